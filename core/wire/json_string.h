/*
 * Converts strings between JSON and UTF-8. Strings that are read here have passed the scanner
 * (json.h).
 */
#ifndef KV_WIRE_JSON_STRING_H
#define KV_WIRE_JSON_STRING_H

#include "base/buffer.h"
#include "base/swar.h"

enum {
    KV_JSON_NO_MEMORY = -2
};

/* Appends the decoded text of a scanned string, as UTF-8.
 * string: with its quotes. Returns: 0, -1 if it has a lone surrogate, or KV_JSON_NO_MEMORY; on
 * failure `out` is unchanged. */
int kv_json_unescape(struct kv_slice string, struct kv_buffer *out);

/* The same, but a lone surrogate is no fault: it becomes bytes that UTF-8 never contains, so that
 * strings can still be compared. Returns: 0, or KV_JSON_NO_MEMORY. */
int kv_json_unescape_to_compare(struct kv_slice string, struct kv_buffer *out);

/* Whether the string has escapes; if it has none, its text is the part between the quotes. */
bool kv_json_has_escapes(struct kv_slice string);

/* The part between the quotes of a scanned string, with its escapes. */
static inline struct kv_slice kv_json_inside(struct kv_slice string)
{
    return (struct kv_slice){string.bytes + 1, string.len - 2};
}

/* Whether the part between the quotes of a scanned string, with escapes, decodes to `text`. */
bool kv_json_escaped_equals(struct kv_slice inside, struct kv_slice text);

/* Whether a scanned string decodes to `text`, which has no backslash. An escape is longer than the
 * bytes that it encodes, so a string of the same length has none. */
static inline bool kv_json_string_equals(struct kv_slice string, struct kv_slice text)
{
    struct kv_slice inside = kv_json_inside(string);
    if (inside.len <= text.len)
        return inside.len == text.len && kv_swar_same(inside.bytes, text.bytes, text.len);
    return kv_json_escaped_equals(inside, text);
}

/* Appends `utf8` as a JSON string with its quotes. Escapes only what JSON requires. */
void kv_json_append_string(struct kv_buffer *out, struct kv_slice utf8);

#endif
