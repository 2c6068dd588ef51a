/*
 * A key as a line of text, as data is carried from one store to another: one JSON object,
 *
 *     {"key":"greeting","value":{"text": "hello"},"ttl":60000,"revision":1795464866373480}
 *
 * `value` is the text as it was stored. A line feed or carriage return in its white space (they
 * can't stand anywhere else in JSON) is written as a space: a line stays a line. `ttl` is the time
 * left in milliseconds, absent where there is no deadline.
 */
#ifndef KV_WIRE_LINE_H
#define KV_WIRE_LINE_H

#include "base/buffer.h"

/* The contents of a line. The slices point into the text or the scratch buffer of kv_line_parse(),
 * and live as long as these. */
struct kv_line {
    struct kv_slice key;   /* UTF-8, decoded */
    struct kv_slice value; /* JSON text */
    int64_t ttl_ms;        /* 0: no expiry */
};

struct kv_line_limits {
    uint32_t max_depth; /* of a value, not counting the line itself */
    size_t max_key_bytes;
    size_t max_value_bytes;
};

enum {
    KV_LINE_OF_BACKUP = -2
};

/* Reads a line. `ttl` is read as in any write (wire/ttl.h); `revision` is ignored, as a store
 * assigns its own, and so are unknown members; if a member is repeated, the last one counts.
 * scratch: emptied first; holds the key if that has escapes. Returns: 0; -1 and *reterr;
 * KV_LINE_OF_BACKUP and *reterr if it has a member that only the lines of backups have. */
int kv_line_parse(struct kv_slice text, const struct kv_line_limits *limits,
                  struct kv_buffer *scratch, struct kv_line *ret, struct kv_error *reterr);

/* Whether the text has nothing but white space. */
bool kv_line_is_blank(struct kv_slice text);

/* The length of the longest line for a key and value within the limits. */
size_t kv_line_max_bytes(const struct kv_line_limits *limits);

/* Writing: the part before the value, and the part after it, with its line feed. The value itself
 * may be long and is written separately.
 * ttl_ms: 0 is no expiry. */
void kv_line_append_front(struct kv_buffer *out, struct kv_slice key);
void kv_line_append_back(struct kv_buffer *out, int64_t ttl_ms, uint64_t revision);

/* The number of bytes at the front of a value that are written as they are; the byte after them, if
 * any, is written as a space. */
size_t kv_line_value_run(struct kv_slice value);

#endif
