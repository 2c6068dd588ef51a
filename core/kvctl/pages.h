/*
 * Walks the pages of a listing.
 */
#ifndef KV_KVCTL_PAGES_H
#define KV_KVCTL_PAGES_H

#include "kvctl/ask.h"

/* The keys to list. */
struct kv_ctl_listing {
    struct kv_slice prefix;
    struct kv_slice delimiter; /* empty: none */
    bool with_values;
    uint64_t limit; /* number of entries in all pages; 0: no limit */
};

/* One entry: a key, or a prefix that stands for all keys below it. The slices are valid until the
 * next entry. */
struct kv_ctl_entry {
    struct kv_slice name;  /* UTF-8 */
    bool is_prefix;        /* then the members below are zero */
    struct kv_slice value; /* JSON text; bytes NULL: not requested */
    uint64_t revision;
    int64_t ttl_ms; /* -1: none */
};

/* Called for each entry, in byte order; a page is processed before the next one is requested.
 * Returns: whether to continue. */
typedef bool (*kv_ctl_entry_fn)(void *context, const struct kv_ctl_entry *entry);

/* Returns: the exit code; failures have been reported. */
int kv_ctl_pages_walk(struct kv_ctl_call *call, const struct kv_ctl_listing *listing,
                      kv_ctl_entry_fn on_entry, void *context);

/* Returns: the exit code; failures have been reported. KV_CTL_DONE and *ret_n, the number of keys
 * with that prefix. */
int kv_ctl_pages_count(struct kv_ctl_call *call, struct kv_slice prefix, uint64_t *ret_n);

#endif
