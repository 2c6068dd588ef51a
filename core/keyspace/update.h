/*
 * UPDATEs: a key gets the result of a function of its old value, without a race. Conditions are
 * judged by the old state that the function sees, and interceptors see the result as they see a
 * SET.
 *
 * If no interceptor has to see the result before it is written, and the store can
 * (KV_STORE_UPDATES), the store computes it at its commit point. Otherwise, and for long values,
 * the old state is read, the result computed (by a worker if it is long), and set on the condition
 * that the old state is still current; if it is not, this is repeated. Such updates of one key run
 * one after the other, on each loop in their order, and loops take turns; so they contend only with
 * other writes. Updates by hooks do not wait, as an update may be waiting for the hook.
 *
 * A TOUCH does not alter the revision: if one comes between reading and setting, it is undone if
 * the update keeps the key's deadline.
 */
#ifndef KV_KEYSPACE_UPDATE_H
#define KV_KEYSPACE_UPDATE_H

#include "base/table.h"
#include "keyspace/batch.h"
#include "keyspace/turnstile.h"

enum {
    KV_UPDATE_MOST_TRIES = 100
};

/* Of one loop. */
struct kv_updates {
    const struct kv_keyspace_parts *parts;
    struct kv_batch *batch;
    struct kv_turnstiles *turnstiles;
    uint32_t loop;
    struct kv_table lanes;    /* updates under way, and updates that wait for them */
    struct kv_list parked;    /* lanes that wait for other loops */
    bool can_at_once;         /* KV_STORE_UPDATES */
    struct kv_list computing; /* updates that workers are computing */
    struct kv_queue computed; /* updates that workers have computed */
    bool is_ended;            /* the workers have ended */
};

void kv_updates_init(struct kv_updates *updates, const struct kv_keyspace_parts *parts,
                     struct kv_batch *batch, struct kv_turnstiles *turnstiles, uint32_t loop);
void kv_updates_fini(struct kv_updates *updates);

/* The command was sent: decides how it begins. */
void kv_update_enter(struct kv_updates *updates, struct kv_command *command);

/* The command's turn has come. */
void kv_update_begin(struct kv_updates *updates, struct kv_command *command);

/* The store has answered. Returns: whether there is a result, which interceptors have to see before
 * kv_update_set(); otherwise the command has finished, or is tried again. */
bool kv_update_advance(struct kv_updates *updates, struct kv_command *command);

/* Takes the next update whose result a worker has computed. Returns: NULL if there is none. */
struct kv_command *kv_updates_take_computed(struct kv_updates *updates);

/* The same as kv_update_advance(), for an update from kv_updates_take_computed(). */
bool kv_update_take_result(struct kv_updates *updates, struct kv_command *command);

/* The workers have ended: takes back their updates, and computes the remaining ones here. Call
 * after the loops have ended. */
void kv_updates_end(struct kv_updates *updates);

/* The deadline from the command's TTL, unless the result keeps the key's. */
int64_t kv_update_deadline(const struct kv_updates *updates, const struct kv_command *command);

/* Sends the result to the store, with this deadline unless it keeps the key's. */
void kv_update_set(struct kv_updates *updates, struct kv_command *command, int64_t deadline_ms);

/* Whether the result will keep the key's deadline, as far as known now. */
bool kv_update_keeps_deadline(const struct kv_command *command);

/* Begins updates that waited for other loops. */
void kv_updates_go_on(struct kv_updates *updates);

/* Whether kv_updates_go_on() or kv_updates_take_computed() would find work now. Sequentially
 * consistent. */
bool kv_updates_have_work(const struct kv_updates *updates);

/* The command is handed back: begins the next update of the key. */
void kv_update_end(struct kv_updates *updates, const struct kv_command *command);

#endif
