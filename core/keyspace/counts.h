/*
 * Figures about the keyspace for metrics: the outcomes and durations of commands, subscriptions,
 * and the states sent to subscribers. Each loop has its own and alone writes to it; any thread may
 * read them.
 *
 * Durations: a command that finishes in the turn in which it was sent has taken as long as the turn
 * took up to its end, when the answers are written: the clock is read once for all of them. Other
 * commands are measured from turn to turn.
 *
 * Most commands succeed in the turn in which they were sent. They are counted once, with their
 * durations: how many there were is seen when the figures are collected. And most resemble the one
 * before: as long as they do, finishing one costs a comparison and an addition.
 */
#ifndef KV_KEYSPACE_COUNTS_H
#define KV_KEYSPACE_COUNTS_H

#include "base/metrics.h"
#include "keyspace/command.h"
#include "loop/loop.h"

enum {
    KV_N_SERIES = 2 * KV_N_COMMAND_KINDS,                              /* of durations */
    KV_N_STORE_OUTCOMES = KV_UNAVAILABLE + 1,                          /* statuses of the store, */
    KV_N_OUTCOMES = KV_N_STORE_OUTCOMES + KV_NOT_OPEN - KV_REFUSED + 1 /* and the keyspace's */
};

/* How a subscription began to send states. */
enum kv_sync_reason {
    KV_SYNC_INITIAL,
    KV_SYNC_RESUMED,
    KV_SYNC_RESET,
    KV_N_SYNC_REASONS
};

struct kv_slow_log;

struct kv_counts {
    const int64_t *began_ns; /* the loop's: when its turn began */
    /* Looks at commands that took more than a turn. NULL: nobody does. */
    void (*look)(struct kv_slow_log *log, const struct kv_command *command, int64_t took_ns);
    struct kv_slow_log *slow_log; /* for that */
    /* By kind: those that were sent and finished in one turn with KV_OK; behind them all others. */
    struct kv_histogram durations[KV_N_SERIES];
    struct kv_counter other_outcomes[KV_N_COMMAND_KINDS][KV_N_OUTCOMES];
    /* Commands that were sent and have finished in this turn. A series is a kind with KV_OK, or a
     * kind with any other outcome. */
    struct kv_turn_work work;      /* n_done: of the current series */
    unsigned series;               /* the current one */
    uint64_t n_aside[KV_N_SERIES]; /* of the series that were current earlier in this turn */
    uint32_t has_aside;            /* a bit for each */

    struct kv_counter key_subscriptions; /* that there are */
    struct kv_counter prefix_subscriptions;
    struct kv_counter syncs[KV_N_SYNC_REASONS];
    struct kv_counter states_sent; /* to subscribers */
    struct kv_counter states_collapsed;
};

/* All else is zero at first. began_ns: lent. */
void kv_counts_init(struct kv_counts *counts, const int64_t *began_ns);

/* The rare parts of kv_counts_finish(): a command that was sent in an earlier turn, */
void kv_counts_finish_late(struct kv_counts *counts, const struct kv_command *command);
/* and one of this turn that is unlike the one before, or has not succeeded. */
void kv_counts_finish_otherwise(struct kv_counts *counts, const struct kv_command *command);

/* A command is about to be handed back; its client is still known. */
static inline void kv_counts_finish(struct kv_counts *counts, const struct kv_command *command)
{
    if (command->sent_ns != *counts->began_ns)
        kv_counts_finish_late(counts, command);
    else if (command->status == KV_OK && command->kind == counts->series)
        counts->work.n_done++;
    else
        kv_counts_finish_otherwise(counts, command);
}

static inline void kv_counts_sync(struct kv_counts *counts, enum kv_sync_reason reason)
{
    kv_counter_add(&counts->syncs[reason], 1);
}

/* The names in metrics; NULL: what clients do not see has none. Constant. */
const char *kv_counts_operation(enum kv_command_kind kind);
const char *kv_counts_outcome(int status);

/* Writes the sums over n loops. */
void kv_counts_collect(const struct kv_counts *const *all, uint32_t n,
                       struct kv_metrics_text *text);

#endif
