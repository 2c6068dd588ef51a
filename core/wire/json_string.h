/*
 * Strings between JSON and UTF-8. What is read here has passed the scanner (json.h).
 */
#ifndef KV_WIRE_JSON_STRING_H
#define KV_WIRE_JSON_STRING_H

#include "base/buffer.h"
#include "base/swar.h"

enum {
    KV_JSON_NO_MEMORY = -2
};

/* Appends what a scanned string stands for, as UTF-8.
 * string: with its quotes. Returns: 0, -1 where it has a lone surrogate, or KV_JSON_NO_MEMORY; what
 * `out` has is then as it was. */
int kv_json_unescape(struct kv_slice string, struct kv_buffer *out);

/* The same, but a lone surrogate is no fault: it becomes bytes that UTF-8 never contains, so that
 * strings can still be compared. Returns: 0, or KV_JSON_NO_MEMORY. */
int kv_json_unescape_to_compare(struct kv_slice string, struct kv_buffer *out);

/* Whether the string has escapes; where it has none, its text is what stands between the quotes. */
bool kv_json_has_escapes(struct kv_slice string);

/* What stands between the quotes of a scanned string, escapes and all. */
static inline struct kv_slice kv_json_inside(struct kv_slice string)
{
    return (struct kv_slice){string.bytes + 1, string.len - 2};
}

/* Whether what stands between the quotes of a scanned string, with escapes, stands for `text`. */
bool kv_json_escaped_equals(struct kv_slice inside, struct kv_slice text);

/* Whether a scanned string stands for `text`, which has no backslash. An escape is longer than the
 * bytes it stands for, so a string of the same length has none. */
static inline bool kv_json_string_equals(struct kv_slice string, struct kv_slice text)
{
    struct kv_slice inside = kv_json_inside(string);
    if (inside.len <= text.len)
        return inside.len == text.len && kv_swar_same(inside.bytes, text.bytes, text.len);
    return kv_json_escaped_equals(inside, text);
}

/* Appends `utf8` as a JSON string with its quotes. Escapes what JSON demands and nothing else. */
void kv_json_append_string(struct kv_buffer *out, struct kv_slice utf8);

#endif
