/*
 * Expiry: loop p % n_loops expires the keys of part p of the store, in small chunks between its
 * turns.
 */
#ifndef KV_KEYSPACE_EXPIRY_H
#define KV_KEYSPACE_EXPIRY_H

#include "keyspace/gate.h"

/* Of one loop. */
struct kv_expiry_share {
    _Atomic int64_t wake_at_ms;   /* the earliest of its parts */
    uint32_t next_part;           /* among the loop's: where the next turn begins */
    struct kv_histogram lateness; /* of keys that expired; written by several threads */
};

/* Of all loops. */
struct kv_expiry {
    const struct kv_store_link *store;
    const struct kv_keyspace_parts *parts;
    struct kv_feed *feed;
    const struct kv_gate_rules *rules;
    uint32_t n_parts;            /* of the store */
    _Atomic int64_t *wake_at_ms; /* of each part of the store */
    struct kv_expiry_share shares[KV_KEYSPACE_MAX_LOOPS];
};

void kv_expiry_init(struct kv_expiry *expiry, const struct kv_gate_rules *rules,
                    struct kv_feed *feed);
void kv_expiry_fini(struct kv_expiry *expiry);

/* The store is open. */
void kv_expiry_begin(struct kv_expiry *expiry, uint32_t n_parts);

/* The store asks for kv_expiry_run() at that time. Threads: any. */
void kv_expiry_wake_at(struct kv_expiry *expiry, uint32_t part, int64_t deadline_ms);

/* A key of the part has expired. Threads: any. */
void kv_expiry_note(struct kv_expiry *expiry, uint32_t part, int64_t deadline_ms);

/* Writes how late keys expire. Threads: any. */
void kv_expiry_collect(const struct kv_expiry *expiry, struct kv_metrics_text *text);

/* Works off a bounded number of due keys, on their loop. */
void kv_expiry_run(struct kv_expiry *expiry, uint32_t loop);

/* When kv_expiry_run() has to be called at the latest; INT64_MAX: not for now. */
int64_t kv_expiry_next_ms(const struct kv_expiry *expiry, uint32_t loop);

#endif
