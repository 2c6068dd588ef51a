/*
 * What the files of this folder share. Lock order: there is no lock here; what crosses threads
 * goes through inboxes (base/inbox.h) and atomics.
 */
#ifndef KV_KEYSPACE_IMPL_H
#define KV_KEYSPACE_IMPL_H

#include <stdatomic.h>

#include "base/inbox.h"
#include "base/table.h"
#include "keyspace/keyspace.h"

/* A key that clients of this loop subscribe to. */
struct kv_topic {
    struct kv_table_node node;
    struct kv_slice key; /* behind the struct */
    struct kv_list subscriptions;
    uint64_t n_told;          /* changes told so far */
    uint64_t newest_revision; /* of the newest one; 0: none was told */
    struct kv_item newest;    /* its state, with a reference; revision 0: no value */
};

/* One part of the store, as its loop drives it. */
struct kv_part {
    _Atomic int64_t wake_at_ms;
};

struct kv_keyspace_loop {
    struct kv_keyspace *keyspace;
    struct kv_loop *loop;
    uint32_t index;
    struct kv_loop_stage stage;

    /* commands */
    struct kv_queue batch;    /* BATCHED */
    struct kv_queue held;     /* writes, while the keyspace holds them back */
    struct kv_inbox done;     /* final, from the store's threads */
    uint64_t n_deferred;      /* with the store's threads */
    struct kv_queue finished; /* of no client, to be handed back */
    struct kv_queue dirty;    /* clients with commands to hand back or to let in */
    struct kv_link *free_commands;
    uint32_t n_free_commands;
    _Atomic uint64_t under_way; /* written by this loop alone */

    /* changes */
    struct kv_inbox feed;
    _Atomic uint64_t feed_bytes; /* in the inbox */
    struct kv_table topics;
    struct kv_table subscriptions;
    uint32_t *interests; /* how many topics fall into each bucket of the interest table */

    /* expiry */
    _Atomic int64_t wake_at_ms; /* the earliest of this loop's parts */
    uint32_t next_part;         /* among this loop's: where the next turn begins */
};

enum {
    KV_INTEREST_BUCKETS = 1 << 16
};

struct kv_keyspace {
    struct kv_keyspace_parts parts;
    struct kv_store_host host;
    struct kv_store *store;
    struct kv_store_info store_info;
    bool is_sync;         /* KV_STORE_SYNC */
    bool renews;          /* some policy has KV_TTL_RENEWS */
    atomic_bool is_ready; /* the store is open, and loaded */
    bool is_finished;
    _Atomic uint32_t n_holds; /* who holds writes back; sequentially consistent, as a loop looks
                                 here before it sleeps */
    atomic_bool is_ending;    /* the loops have ended: nothing expires, and no change is told */
    struct kv_part *store_parts;
    _Atomic uint64_t *interests; /* for each bucket of key hashes: the loops that want changes */
    struct kv_keyspace_loop loops[KV_KEYSPACE_MAX_LOOPS];
};

/* command.c */
void kv_commands_fini(struct kv_keyspace_loop *here);

/* keyspace.c */
/* A command whose turn it is: through interceptors and policies to the batch. */
void kv_keyspace_admit(struct kv_command *command);
/* The outcome is known; the stage will hand the command back. */
void kv_command_finish(struct kv_command *command, int status);
/* Hands it back to its owner and frees it. */
void kv_command_hand_back(struct kv_command *command);

/* client.c */
void kv_client_mark_dirty(struct kv_client *client);
/* Hands back what is finished, in order, and lets in what waited for it. */
void kv_client_advance(struct kv_client *client);

/* feed.c: the path of changes. */
void kv_feed_changed(const struct kv_store_host *host, uint32_t part,
                     const struct kv_change *change);
/* Delivers what has arrived. Returns: whether there was anything. */
bool kv_feed_deliver(struct kv_keyspace_loop *here);
/* Some loop is behind by more than a loop should be: nothing is submitted for now. Sequentially
 * consistent, as a loop looks here before it sleeps. */
bool kv_feed_is_congested(struct kv_keyspace *keyspace);
void kv_feed_fini(struct kv_keyspace_loop *here);

/* topics.c */
struct kv_subscription *kv_topics_find(struct kv_client *client, struct kv_slice key,
                                       uint64_t hash);
int kv_topics_subscribe(struct kv_client *client, struct kv_slice key, uint64_t hash);
void kv_topics_unsubscribe(struct kv_subscription *subscription);
void kv_topics_tell(struct kv_keyspace_loop *here, const struct kv_change *change);
void kv_topics_fini(struct kv_keyspace_loop *here);

/* expiry.c */
void kv_expiry_wake_at(const struct kv_store_host *host, uint32_t part, int64_t deadline_ms);
void kv_expiry_init(struct kv_keyspace *keyspace);
/* Works off a bounded number of due keys. */
void kv_expiry_run(struct kv_keyspace_loop *here);

static inline bool kv_keyspace_holds_writes(struct kv_keyspace *keyspace)
{
    return atomic_load(&keyspace->n_holds) != 0;
}

static inline struct kv_keyspace *kv_keyspace_of_host(const struct kv_store_host *host)
{
    return (struct kv_keyspace *)((char *)(uintptr_t)host - offsetof(struct kv_keyspace, host));
}

#endif
