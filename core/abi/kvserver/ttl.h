/*
 * TTL policies: how keys age. A chain of policies, in the order of the YAML file, sees the TTL of
 * every write after the hooks and before the store, and each passes it on, altered or not.
 */
#ifndef KVSERVER_TTL_H
#define KVSERVER_TTL_H

#include <kvserver/module.h>

struct kv_ttl; /* the module's own: one for each entry of the chain */

#define KV_TTL_MAX_MS ((INT64_C(1) << 53) - 1)

/* The TTL of one write on its way down the chain. */
struct kv_ttl_write {
    struct kv_slice key;
    bool is_given;  /* the client gave a TTL, even if it is 0 */
    int64_t ttl_ms; /* in and out: 0 is no expiry; at most KV_TTL_MAX_MS */
};

/* A read that found its key. */
struct kv_ttl_read {
    struct kv_slice key;
    int64_t now_ms;      /* rounded up, so that a TTL added to it is never cut short */
    int64_t deadline_ms; /* in and out: KV_NEVER (see store.h) or a time of the host's clock */
};

enum kv_ttl_capability {
    KV_TTL_RENEWS = 1u << 0, /* has on_read; other policies cost a read nothing */
};

/* Every function but open, close and check runs on any event loop, on several at once, and must be
 * quick: no lock that is held long, no input or output. */
struct kv_ttl_ops {
    uint32_t size; /* sizeof(struct kv_ttl_ops) */

    /* As kv_store_ops.open. */
    int (*open)(const struct kv_host *host, const struct kv_option_value *options,
                struct kv_ttl **ret_policy, struct kv_error *reterr);

    void (*on_write)(struct kv_ttl *policy, struct kv_ttl_write *write);

    /* With KV_TTL_RENEWS: if on_read alters the deadline, the new one is written to the store (by a
     * TOUCH, if the key still has the revision that was read). */
    void (*on_read)(struct kv_ttl *policy, struct kv_ttl_read *read);

    void (*close)(struct kv_ttl *policy);

    kv_check_fn check; /* since 1.3; may be NULL (check.h) */
};

#endif
