/* The header has three forms: a length of seven bits, or a mark and 16 or 64 bits behind it. */
#include "ws/frame.h"

#include <endian.h>

enum {
    LONGEST_HEADER = 10,
    FIN_TEXT = 0x81
};

static size_t write_header(char *at, uint64_t len)
{
    at[0] = (char)FIN_TEXT;
    if (len < 126) {
        at[1] = (char)len;
        return 2;
    }
    if (len < 65536) {
        uint16_t big = htobe16((uint16_t)len);
        at[1] = 126;
        memcpy(at + 2, &big, sizeof(big));
        return 4;
    }
    uint64_t big = htobe64(len);
    at[1] = 127;
    memcpy(at + 2, &big, sizeof(big));
    return LONGEST_HEADER;
}

struct kv_piece *kv_frame_create(struct kv_keyspace *keyspace, struct kv_slice head,
                                 const struct kv_item *item, struct kv_slice tail)
{
    char header[LONGEST_HEADER];
    size_t len = write_header(header, head.len + item->value.len + tail.len);
    return kv_piece_create(keyspace, (struct kv_slice){header, len}, head, item, tail);
}

void kv_frame_append(struct kv_outbound *out, struct kv_slice text)
{
    char header[LONGEST_HEADER];
    size_t len = write_header(header, text.len);
    char *at = kv_outbound_reserve(out, len + text.len);
    memcpy(at, header, len);
    if (text.len != 0)
        memcpy(at + len, text.bytes, text.len);
}
