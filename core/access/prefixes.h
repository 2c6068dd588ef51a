/*
 * A set of literal prefixes of keys. "" covers every key.
 */
#ifndef KV_ACCESS_PREFIXES_H
#define KV_ACCESS_PREFIXES_H

#include "base/buffer.h"
#include "base/swar.h"

/* All zero covers nothing. Owns: `all` and its bytes, until kv_prefixes_fini(). */
struct kv_prefixes {
    struct kv_slice *all; /* in byte order; none is a prefix of another */
    size_t n;
};

/* Makes a set of the n texts, which are copied. Texts that others cover are left out. */
void kv_prefixes_init(struct kv_prefixes *prefixes, const struct kv_slice *texts, size_t n);
/* The same, only of the texts that begin with `within`. */
void kv_prefixes_init_within(struct kv_prefixes *prefixes, const struct kv_slice *texts, size_t n,
                             struct kv_slice within);
void kv_prefixes_fini(struct kv_prefixes *prefixes);

/* Whether they cover every key. "" is a prefix of every other prefix, so it is then the only one.
 */
static inline bool kv_prefixes_cover_all(const struct kv_prefixes *prefixes)
{
    return prefixes->n == 1 && prefixes->all[0].len == 0;
}

/* kv_prefixes_cover() for any number of prefixes. */
bool kv_prefixes_cover_part(const struct kv_prefixes *prefixes, struct kv_slice text);

/* Whether one of the prefixes is a prefix of the text: of a key, or of another prefix, all of whose
 * keys are then covered. Always inline, as most sets have one short prefix. */
__attribute__((always_inline)) static inline bool
kv_prefixes_cover(const struct kv_prefixes *prefixes, struct kv_slice text)
{
    if (prefixes->n != 1)
        return kv_prefixes_cover_part(prefixes, text);
    const struct kv_slice *only = &prefixes->all[0];
    return text.len >= only->len && kv_swar_same(text.bytes, only->bytes, only->len);
}

/* Finds the first prefix that covers a text at or after `from` in byte order. Returns: its index; n
 * if there is none. */
size_t kv_prefixes_find(const struct kv_prefixes *prefixes, struct kv_slice from);

/* Appends the prefixes for a message: `"a/", "b/"`. If they have more than `most` bytes, the text
 * ends with `…`. */
void kv_prefixes_print(const struct kv_prefixes *prefixes, size_t most, struct kv_buffer *out);

#endif
