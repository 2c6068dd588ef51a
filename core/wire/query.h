/*
 * The query of a target, form-encoded (application/x-www-form-urlencoded): `name=value&…`, where
 * `+` is a space and `%XX` a byte. A path accepts only certain parameters, so that a misspelled
 * name is an error instead of a different request.
 */
#ifndef KV_WIRE_QUERY_H
#define KV_WIRE_QUERY_H

#include "base/buffer.h"

enum {
    KV_QUERY_MOST_NAMES = 32
};

/* The parameters that a path accepts. Constant. */
struct kv_query_form {
    const struct kv_slice *names; /* with NUL; at most KV_QUERY_MOST_NAMES */
    size_t n_names;
    uint32_t repeatable; /* a bit for each name that may be given more than once */
};

/* The caller's memory, while reading. */
struct kv_query {
    const struct kv_query_form *form;
    struct kv_slice text;
    size_t at;
    uint32_t seen;
    struct kv_buffer *decoded;
};

/* text: the part after the `?`; lent. decoded: emptied; holds the decoded text, so the slices of
 * all parameters live until it is changed. Returns: 0, or -1 if there is no memory. */
int kv_query_begin(struct kv_query *query, const struct kv_query_form *form, struct kv_slice text,
                   struct kv_buffer *decoded);

enum {
    KV_QUERY_END = -1,
    KV_QUERY_BAD = -2
};

/* Reads the next parameter, in the order sent. One without `=` has an empty value.
 * Returns: the index of its name in the form, and *ret_value, UTF-8; KV_QUERY_END; or KV_QUERY_BAD
 * and *reterr, which names the parameter and the fault. */
int kv_query_next(struct kv_query *query, struct kv_slice *ret_value, struct kv_error *reterr);

/* Read a value by its type. name: of the parameter, with NUL, for errors. Return: 0, or -1 and
 * *reterr, such as `the parameter "limit" must be a whole number from 1 to 10000, not "0"`. */
int kv_query_read_bool(struct kv_slice name, struct kv_slice value, bool *ret,
                       struct kv_error *reterr);
int kv_query_read_number(struct kv_slice name, struct kv_slice value, uint64_t least, uint64_t most,
                         uint64_t *ret, struct kv_error *reterr);

#endif
