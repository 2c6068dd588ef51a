/*
 * A strict scanner of JSON (RFC 8259). It builds no tree and allocates nothing: it checks the text
 * and yields slices of it, so values are kept byte for byte. UTF-8 is validated; unpaired surrogate
 * escapes (`"\ud800"`) are legal text; numbers may have any size.
 * Depth: every open array or object counts one, including the outermost.
 * Threads: any; nothing is shared.
 */
#ifndef KV_WIRE_JSON_H
#define KV_WIRE_JSON_H

#include "base/buffer.h"

enum {
    KV_JSON_MAX_DEPTH = 65536 /* the largest permitted `max_depth` */
};

/* The fault (a constant text), and its place: a byte of the text, counted from 0. */
struct kv_json_error {
    const char *what;
    size_t offset;
};

/* The `what` of two errors that callers treat specially: compare the pointers. */
extern const char KV_JSON_TOO_DEEP[];
extern const char KV_JSON_NOT_OBJECT[];

enum kv_json_type {
    KV_JSON_NONE = 0, /* absent: `bytes` is NULL */
    KV_JSON_NULL,
    KV_JSON_TRUE,
    KV_JSON_FALSE,
    KV_JSON_NUMBER,
    KV_JSON_STRING,
    KV_JSON_ARRAY,
    KV_JSON_OBJECT,
};

/* The type of a scanned value. */
static inline enum kv_json_type kv_json_type_of(struct kv_slice value)
{
    if (value.bytes == NULL)
        return KV_JSON_NONE;
    switch (value.bytes[0]) {
    case 'n':
        return KV_JSON_NULL;
    case 't':
        return KV_JSON_TRUE;
    case 'f':
        return KV_JSON_FALSE;
    case '"':
        return KV_JSON_STRING;
    case '[':
        return KV_JSON_ARRAY;
    case '{':
        return KV_JSON_OBJECT;
    default:
        return KV_JSON_NUMBER;
    }
}

/* A type in words, for messages: "an array", "null"; "nothing" for KV_JSON_NONE. */
const char *kv_json_type_name(enum kv_json_type type);

/* A member to look for, in a table. If its value is an object, n_members fields are looked for in
 * that; the first of them is `members_ahead` entries after this one. If it is not an object, all
 * are absent. */
struct kv_json_field {
    struct kv_slice name; /* UTF-8 */
    uint32_t members_ahead;
    uint32_t n_members;
};

/* Checks that the whole text is one value, with or without white space around it.
 * ret_value: the value, a slice of the text. Returns: 0, or -1 and *reterr. */
int kv_json_check(struct kv_slice text, uint32_t max_depth, struct kv_slice *ret_value,
                  struct kv_json_error *reterr);

/* Checks that the whole text is one object, and picks members in the same pass. Names are compared
 * after unescaping; if a member is repeated, the last one counts, including its members; members
 * that are not in the table are checked and skipped.
 * fields: a table; its first n_fields are looked for in the object itself.
 * values: one for each field of the table, with `bytes` NULL at first; out: a slice of the text
 * without the white space around it, whose `bytes` is NULL if the member is absent.
 * Returns: 0, or -1 and *reterr; then the members that were complete before the fault have been
 * picked. */
int kv_json_read_object(struct kv_slice text, uint32_t max_depth,
                        const struct kv_json_field *fields, uint32_t n_fields,
                        struct kv_slice *values, struct kv_json_error *reterr);

/* Steps through the elements of an array that kv_json_check() has passed.
 * at: in and out, 0 to begin with.
 * Returns: 1 and *ret_element, a slice of the text; 0 at the end; -1 and *reterr if the text is no
 * array. */
int kv_json_read_array(struct kv_slice text, uint32_t max_depth, size_t *at,
                       struct kv_slice *ret_element, struct kv_json_error *reterr);

/* Writes `bad JSON at byte 17: …`, and returns -1. */
int kv_json_error_tell(const struct kv_json_error *error, struct kv_error *reterr);

#endif
