/*
 * The query of a target, form-encoded (application/x-www-form-urlencoded): `name=value&…`, where
 * `+` is a space and `%XX` a byte. A path takes certain parameters and no others, so that a name
 * with a typing error is no request for something else.
 */
#ifndef KV_WIRE_QUERY_H
#define KV_WIRE_QUERY_H

#include "base/buffer.h"

enum {
    KV_QUERY_MOST_NAMES = 32
};

/* What a path takes. Constant. */
struct kv_query_form {
    const struct kv_slice *names; /* with NUL; at most KV_QUERY_MOST_NAMES */
    size_t n_names;
    uint32_t repeatable; /* a bit for each of the names: it may be given more than once */
};

/* The caller's memory, while it reads. */
struct kv_query {
    const struct kv_query_form *form;
    struct kv_slice text;
    size_t at;
    uint32_t seen;
    struct kv_buffer *decoded;
};

/* text: what follows the `?`; lent. decoded: emptied; holds what is decoded, so that the slices of
 * all parameters live as long as it is left alone. Returns: 0, or -1 where there is no memory for
 * it. */
int kv_query_begin(struct kv_query *query, const struct kv_query_form *form, struct kv_slice text,
                   struct kv_buffer *decoded);

enum {
    KV_QUERY_END = -1,
    KV_QUERY_BAD = -2
};

/* The next parameter, in the order sent. One without `=` has an empty value.
 * Returns: which of the form's names it has, and *ret_value, UTF-8; KV_QUERY_END; or KV_QUERY_BAD
 * and *reterr, which says which parameter is wrong and why. */
int kv_query_next(struct kv_query *query, struct kv_slice *ret_value, struct kv_error *reterr);

/* Values, read as what they are for. name: of the parameter, with NUL, for errors. Return: 0, or -1
 * and *reterr, as `the parameter "limit" must be a whole number from 1 to 10000, not "0"`. */
int kv_query_read_bool(struct kv_slice name, struct kv_slice value, bool *ret,
                       struct kv_error *reterr);
int kv_query_read_number(struct kv_slice name, struct kv_slice value, uint64_t least, uint64_t most,
                         uint64_t *ret, struct kv_error *reterr);

#endif
