/*
 * If commands are many, they do not wait for the end of the turn (relieve()).
 *
 * The feed is delivered before the batch is submitted and again before anything is handed back: so
 * the state that a GET has read is never followed by news of an older one (client.h).
 */
#include "keyspace/turn.h"

#include "base/mem.h"
#include "keyspace/client.h"

enum {
    ROUNDS_PER_TURN = 8,
    MANY = 32,           /* commands in the batch: their memory fits into a cache of 32 KB */
    LONGEST_TURN_MS = 10 /* of commands without a client: those of hooks may lead to others */
};

static bool is_over(const struct kv_keyspace_loop *here, int64_t until_ms)
{
    return kv_clock_now_ms(here->parts->clock) >= until_ms;
}

/* Hands back commands without a client: the bytes that they borrow live until then, possibly in a
 * later turn. */
static void hand_back_unordered(struct kv_keyspace_loop *here, int64_t until_ms)
{
    struct kv_link *link;
    while ((link = kv_queue_pop(&here->commands.finished)) != NULL) {
        struct kv_command *command = KV_CONTAINER(link, struct kv_command, link);
        kv_counts_finish(&here->counts, command);
        kv_gate_leave(&here->gate, command);
        if (is_over(here, until_ms))
            return;
    }
}

static void hand_back(struct kv_keyspace_loop *here, int64_t until_ms)
{
    struct kv_link *link;
    hand_back_unordered(here, until_ms);
    struct kv_queue dirty = here->commands.dirty;
    if (kv_queue_is_empty(&dirty))
        return;
    kv_queue_init(&here->commands.dirty); /* orders marked meanwhile wait for the next round */
    while (dirty.head != NULL) {
        link = dirty.head;
        dirty.head = link->next;
        kv_client_advance(KV_CONTAINER(link, struct kv_order, in_dirty));
    }
}

static bool has_work(struct kv_keyspace_loop *here)
{
    return !kv_queue_is_empty(&here->commands.finished) ||
           !kv_queue_is_empty(&here->commands.dirty) || kv_batch_has_work(&here->batch) ||
           !kv_queue_is_empty(&here->batch.returned) || kv_gate_has_work(&here->gate) ||
           kv_updates_have_work(&here->updates);
}

static void run(struct kv_loop_stage *stage)
{
    struct kv_keyspace_loop *here = KV_CONTAINER(stage, struct kv_keyspace_loop, stage);
    kv_batch_collect(&here->batch);
    kv_commands_end_waits(&here->commands);
    kv_gate_let_go(&here->gate);
    kv_scans_run(&here->scans);
    kv_log_reads_run(&here->log_reads);
    int64_t until_ms = kv_loop_now_ms(here->loop) + LONGEST_TURN_MS;
    for (int round = 0; round < ROUNDS_PER_TURN; round++) {
        kv_batch_submit(&here->batch);
        kv_gate_advance_updates(&here->gate);
        kv_feed_deliver(&here->inbox);
        kv_showing_deliver(here->showing, here, here->index);
        hand_back(here, until_ms);
        if (!has_work(here) || kv_batch_turn_is_over(&here->batch))
            break;
    }
    kv_expiry_run(here->expiry, here->index);
    kv_feed_deliver(&here->inbox);
    kv_syncs_run(&here->syncs);
    kv_change_log_tidy(here->log_reads.log);
    kv_batch_keep(&here->batch);
}

/* The commands that many connections send in one turn do not fit into the processor's caches: if
 * all were read, then all executed, then all answered, each command would be fetched from memory
 * three times. */
static void relieve(struct kv_loop_stage *stage)
{
    struct kv_keyspace_loop *here = KV_CONTAINER(stage, struct kv_keyspace_loop, stage);
    if (here->batch.n < MANY)
        return;
    kv_batch_submit(&here->batch);
    kv_feed_deliver(&here->inbox);
    hand_back(here, kv_clock_now_ms(here->parts->clock) + LONGEST_TURN_MS);
}

static int64_t least_of(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t wake_at(struct kv_loop_stage *stage)
{
    struct kv_keyspace_loop *here = KV_CONTAINER(stage, struct kv_keyspace_loop, stage);
    if (has_work(here) || kv_scans_have_work(&here->scans) ||
        kv_log_reads_have_work(&here->log_reads) || !kv_inbox_is_empty(&here->inbox.records) ||
        !kv_inbox_is_empty(&here->batch.done))
        return INT64_MIN;
    int64_t expiry_ms = kv_expiry_next_ms(here->expiry, here->index);
    int64_t log_ms = kv_change_log_next_ms(here->log_reads.log);
    int64_t sync_ms = kv_syncs_next_ms(&here->syncs);
    int64_t showing_ms = kv_showing_next_ms(here->showing, here->index);
    return least_of(least_of(expiry_ms, log_ms), least_of(sync_ms, showing_ms));
}

void kv_turn_init(struct kv_keyspace_loop *here)
{
    here->stage.run = run;
    here->stage.relieve = relieve;
    here->stage.wake_at = wake_at;
    kv_loop_add_stage(here->loop, &here->stage);
    kv_loop_set_work(here->loop, &here->counts.work);
}

bool kv_turn_finish(struct kv_keyspace_loop *here)
{
    kv_updates_end(&here->updates);
    run(&here->stage);
    return here->batch.n_deferred != 0 || here->scans.n_deferred != 0 ||
           here->log_reads.n_deferred != 0 || has_work(here) || kv_scans_have_work(&here->scans) ||
           kv_log_reads_have_work(&here->log_reads) || !kv_list_is_empty(&here->updates.parked);
}
