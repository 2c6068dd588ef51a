#include "wire/event_text.h"

#include <kvserver/store.h>

#define NEXT_LINE KV_SLICE("\ndata: ")

void kv_event_begin(struct kv_buffer *out, struct kv_slice type)
{
    kv_buffer_append(out, KV_SLICE("event: "));
    kv_buffer_append(out, type);
    kv_buffer_append(out, NEXT_LINE);
}

bool kv_event_is_one_line(struct kv_slice text)
{
    return text.len == 0 || (memchr(text.bytes, '\n', text.len) == NULL &&
                             memchr(text.bytes, '\r', text.len) == NULL);
}

void kv_event_append(struct kv_buffer *out, struct kv_slice text)
{
    size_t begin = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.bytes[i] != '\n' && text.bytes[i] != '\r')
            continue;
        kv_buffer_append(out, (struct kv_slice){text.bytes + begin, i - begin});
        kv_buffer_append(out, text.bytes[i] == '\n' ? NEXT_LINE : KV_SLICE(" "));
        begin = i + 1;
    }
    kv_buffer_append(out, (struct kv_slice){text.bytes + begin, text.len - begin});
}

void kv_event_append_id(struct kv_buffer *out, struct kv_slice epoch, uint64_t revision)
{
    kv_buffer_append(out, KV_SLICE("id: "));
    kv_buffer_append(out, epoch);
    kv_buffer_append_char(out, '-');
    kv_buffer_append_u64(out, revision);
    kv_buffer_append_char(out, '\n');
}

/* Returns: false if it is not a revision. */
static bool read_revision(struct kv_slice digits, uint64_t *ret)
{
    uint64_t revision = 0;
    if (digits.len == 0)
        return false;
    for (size_t i = 0; i < digits.len; i++) {
        if (digits.bytes[i] < '0' || digits.bytes[i] > '9' || revision > KV_REVISION_MAX / 10)
            return false;
        revision = revision * 10 + (uint64_t)(digits.bytes[i] - '0');
    }
    *ret = revision;
    return revision <= KV_REVISION_MAX;
}

bool kv_event_read_id(struct kv_slice id, struct kv_slice *ret_epoch, uint64_t *ret_revision)
{
    const char *dash = id.len == 0 ? NULL : memrchr(id.bytes, '-', id.len);
    if (dash == NULL)
        return false;
    size_t len = (size_t)(dash - id.bytes);
    *ret_epoch = (struct kv_slice){id.bytes, len};
    return read_revision((struct kv_slice){dash + 1, id.len - len - 1}, ret_revision);
}
