#include "base/shown.h"

#include "base/utf8.h"

/* Control characters would allow a name or a key to imitate another line, or to control a
 * terminal. */
static size_t control_len(struct kv_slice text)
{
    unsigned char first = (unsigned char)text.bytes[0];
    if (first < 0x20 || first == 0x7f)
        return 1;
    bool is_c1 = first == 0xc2 && text.len > 1 && ((unsigned char)text.bytes[1] & 0xe0) == 0x80;
    return is_c1 ? 2 : 0;
}

/* Returns: the number of bytes of the text that were appended. */
static size_t append_character(struct kv_buffer *out, struct kv_slice text)
{
    size_t n = control_len(text);
    if (n != 0) {
        kv_buffer_printf(out, "\\u%04x", (unsigned char)text.bytes[n - 1]);
        return n;
    }
    if (text.bytes[0] == '"' || text.bytes[0] == '\\')
        kv_buffer_append_char(out, '\\');
    kv_buffer_append_char(out, text.bytes[0]);
    return 1;
}

void kv_shown_append(struct kv_buffer *out, struct kv_slice text, size_t most)
{
    bool is_cut = text.len > most;
    if (is_cut)
        text.len = kv_utf8_valid_len((struct kv_slice){text.bytes, most});
    while (text.len != 0) {
        size_t n = append_character(out, text);
        text = (struct kv_slice){text.bytes + n, text.len - n};
    }
    if (is_cut)
        kv_buffer_append(out, KV_SLICE("…"));
}
