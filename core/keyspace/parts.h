/*
 * The parts that a keyspace is composed of, and the interfaces of those that take part in commands
 * and changes.
 */
#ifndef KV_KEYSPACE_PARTS_H
#define KV_KEYSPACE_PARTS_H

#include <kvserver/store.h>
#include <kvserver/ttl.h>

#include "base/clock.h"
#include "loop/loop.h"

struct kv_access;
struct kv_command;
struct kv_keyspace;
struct kv_keyspace_loop;
struct kv_shown;
struct kv_slow_log;
struct kv_workers;

enum {
    KV_KEYSPACE_MAX_LOOPS = 64
};

/* A policy of the TTL chain, opened. */
struct kv_ttl_link {
    const struct kv_ttl_ops *ops;
    struct kv_ttl *policy;
    bool renews; /* KV_TTL_RENEWS */
};

/* An interceptor's verdict on a write. */
enum kv_verdict {
    KV_PASS,    /* on to the next, with the command as it is now */
    KV_REFUSE,  /* ends the command with KV_REFUSED; kv_command_refuse() has been called */
    KV_SUSPEND, /* kv_command_resume() will give the verdict */
};

/* Sees every write (SET, DELETE, and the result of an UPDATE) before the TTL policies and the
 * store, on the client's loop, in the client's order. May alter value (kv_command_replace_value)
 * and TTL. The caller's memory. */
struct kv_interceptor {
    enum kv_verdict (*before_write)(struct kv_interceptor *self, struct kv_command *command);
    /* Whether before_write() may do anything but pass this command, an UPDATE whose result is not
     * yet computed. NULL: it may. */
    bool (*covers)(const struct kv_interceptor *self, const struct kv_command *command);
};

/* Sees every change of a keyspace that is ready, once, on loop `hash(key) % n_loops`, in order per
 * key. The change is lent for the call. It may send commands. The caller's memory.
 *
 * Of several servers that share a store, one sees each change; with `is_everywhere`, all do.
 * shown: the change as shown by the store (showing.h), for observers that act on it after the call;
 * NULL if the store reported it. */
struct kv_observer {
    void (*on_change)(struct kv_observer *self, struct kv_keyspace_loop *loop,
                      const struct kv_change *change, struct kv_shown *shown);
    /* The store may have missed changes, or lost some that it reported. Called on loop 0. NULL: the
     * observer takes no notice. */
    void (*on_resync)(struct kv_observer *self);
    bool is_everywhere;
};

/* Fills the store when it has opened, before it serves; meanwhile the keyspace is not ready. `load`
 * runs on the thread of kv_keyspace_open(), and may block. It sends SETs, DELETEs and SCANs with
 * `is_load` from posts to a loop: only these are accepted before the keyspace is ready, no
 * interceptor and no policy sees them, and the writes' key and value are not copied, so they must
 * not change until `finished`. Returns: 0 once all of them are finished, or -1 and *reterr. The
 * caller's memory. */
struct kv_loader {
    int (*load)(struct kv_loader *self, struct kv_keyspace *keyspace, struct kv_error *reterr);
};

/* Lent until kv_keyspace_destroy(). */
struct kv_keyspace_parts {
    const struct kv_clock *clock;
    struct kv_loop *const *loops;
    uint32_t n_loops;
    const struct kv_store_ops *store_ops;
    uint64_t store_capabilities; /* once it is open, without those that it lacks because of its
                                    options */
    bool store_tells_seconds;    /* in metrics with that unit; others tell nanoseconds (ABI 1.8) */
    const char *store_name;      /* for the log */
    const struct kv_option_value *store_options;
    uint64_t log_bytes; /* of the change log, in memory or the store's; 0: there is none */
    int64_t log_ms;
    const struct kv_ttl_link *ttl_chain;
    size_t n_ttl_chain;
    struct kv_interceptor *const *interceptors;
    size_t n_interceptors;
    struct kv_observer *const *observers;
    size_t n_observers;
    struct kv_slow_log *slow_log; /* NULL: none */
    struct kv_loader *loader;     /* NULL: none */
    struct kv_workers *workers;   /* NULL: none. They end before kv_keyspace_finish() */
    struct kv_access *access; /* its rules judge clients; NULL: no rules, and rights never change */
    struct kv_budget *budget; /* of the memory of all clients; NULL: no limit */
};

#endif
