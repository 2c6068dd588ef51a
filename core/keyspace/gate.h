/*
 * The gate: the way into the batch, and out. Every command enters when it is sent, is admitted when
 * its turn has come (then interceptors and TTL policies see writes), and leaves when it is handed
 * back.
 */
#ifndef KV_KEYSPACE_GATE_H
#define KV_KEYSPACE_GATE_H

#include "keyspace/counts.h"
#include "keyspace/scan.h"
#include "keyspace/update.h"

struct kv_access_loop;

/* Of all loops. */
struct kv_gate_rules {
    const struct kv_store_link *store;
    const struct kv_keyspace_parts *parts;
    bool renews;              /* some policy renews deadlines when a key is read */
    _Atomic uint32_t n_holds; /* the number of parties that hold writes back; sequentially
                                 consistent, as loops check it before they sleep */
};

/* Of one loop. */
struct kv_gate {
    const struct kv_gate_rules *rules;
    struct kv_batch *batch;
    struct kv_updates *updates;
    struct kv_scans *scans;
    struct kv_counts *counts;
    struct kv_access_loop *access; /* NULL: rights never change */
    struct kv_queue held;          /* writes, while they are held back */
};

void kv_gate_rules_init(struct kv_gate_rules *rules, const struct kv_store_link *store,
                        const struct kv_keyspace_parts *parts);
void kv_gate_init(struct kv_gate *gate, const struct kv_gate_rules *rules, struct kv_batch *batch,
                  struct kv_updates *updates, struct kv_scans *scans, struct kv_counts *counts,
                  struct kv_access_loop *access);

/* The command was sent: counts it as under way, and begins its TTL. */
void kv_gate_enter(struct kv_gate *gate, struct kv_command *command);

/* The command's turn has come: passes it to the batch, or finishes it. */
void kv_gate_admit(struct kv_gate *gate, struct kv_command *command);

/* Brings the verdict of an interceptor that suspended the command. */
void kv_gate_resume(struct kv_gate *gate, struct kv_command *command, enum kv_verdict verdict);

/* Continues UPDATEs that waited for other loops, or that the store has answered: their results pass
 * the interceptors. */
void kv_gate_advance_updates(struct kv_gate *gate);

/* Hands a finished command back to its owner, and frees it. */
void kv_gate_leave(struct kv_gate *gate, struct kv_command *command);

/* Lets writes continue if they are no longer held back. */
void kv_gate_let_go(struct kv_gate *gate);

/* Whether kv_gate_let_go() would find work now. */
bool kv_gate_has_work(const struct kv_gate *gate);

/* Threads: any. */
bool kv_gate_holds_writes(const struct kv_gate_rules *rules);

#endif
