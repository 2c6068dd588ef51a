/*
 * A strict scanner of JSON (RFC 8259). It builds no tree and allocates nothing: it checks the text
 * and yields slices of it, so that a value is kept byte for byte as it came. UTF-8 is validated;
 * surrogate escapes without their partner (`"\ud800"`) are legal text; numbers may have any size.
 *
 * Depth: every open array or object counts one, the outermost included.
 * Threads: any; nothing is shared.
 */
#ifndef KV_WIRE_JSON_H
#define KV_WIRE_JSON_H

#include "base/buffer.h"

enum {
    KV_JSON_MAX_DEPTH = 65536 /* the largest `max_depth` that may be asked for */
};

/* What is wrong (a constant text), and at which byte of the text, counted from 0. */
struct kv_json_error {
    const char *what;
    size_t offset;
};

/* The `what` of two errors that callers answer in their own way: compare the pointers. */
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

/* A member that the caller looks for, in a table of them. Where its value is an object, n_members
 * fields, of which the first is so far ahead in the table, are looked for in that; all are absent
 * where it is none. */
struct kv_json_field {
    struct kv_slice name; /* UTF-8 */
    uint32_t members_ahead;
    uint32_t n_members;
};

/* Checks that the whole text is one value, with or without white space around it.
 * ret_value: the value, a slice of the text. Returns: 0, or -1 and *reterr. */
int kv_json_check(struct kv_slice text, uint32_t max_depth, struct kv_slice *ret_value,
                  struct kv_json_error *reterr);

/* Checks that the whole text is one object, and picks the members in the same pass. Names compare
 * after unescaping; of a member given twice the last counts, with what is in it; members that
 * nobody looks for are checked and skipped.
 * fields: a table, whose first n_fields are looked for in the object itself.
 * values: one for each field of the table, with `bytes` NULL at first; out: a slice of the text
 * without the white space around it, whose `bytes` is NULL where the member is absent. Returns: 0,
 * or -1 and *reterr; members that were complete before the fault have been picked then.
 */
int kv_json_read_object(struct kv_slice text, uint32_t max_depth,
                        const struct kv_json_field *fields, uint32_t n_fields,
                        struct kv_slice *values, struct kv_json_error *reterr);

/* Steps through the elements of an array that kv_json_check() has passed.
 * at: in and out, 0 to begin with.
 * Returns: 1 and *ret_element, a slice of the text; 0 at the end; -1 and *reterr where the text is
 * no array. */
int kv_json_read_array(struct kv_slice text, uint32_t max_depth, size_t *at,
                       struct kv_slice *ret_element, struct kv_json_error *reterr);

/* Writes `bad JSON at byte 17: …`, and returns -1. */
int kv_json_error_tell(const struct kv_json_error *error, struct kv_error *reterr);

#endif
