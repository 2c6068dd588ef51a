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
 * durations: how many there were is seen when the figures are collected.
 */
#ifndef KV_KEYSPACE_COUNTS_H
#define KV_KEYSPACE_COUNTS_H

#include "base/metrics.h"
#include "keyspace/command.h"

enum {
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
    /* Those that were sent and finished in one turn with KV_OK, and all others. */
    struct kv_histogram durations[KV_N_COMMAND_KINDS];
    struct kv_histogram other_durations[KV_N_COMMAND_KINDS];
    struct kv_counter other_outcomes[KV_N_COMMAND_KINDS][KV_N_OUTCOMES];
    /* Those that were sent and have finished in this turn. */
    uint32_t n_this_turn[KV_N_COMMAND_KINDS];
    uint32_t n_others_this_turn[KV_N_COMMAND_KINDS];
    uint32_t kinds_this_turn; /* a bit for each kind that has any, */
    bool has_others_this_turn;

    struct kv_counter key_subscriptions; /* that there are */
    struct kv_counter prefix_subscriptions;
    struct kv_counter syncs[KV_N_SYNC_REASONS];
    struct kv_counter states_sent; /* to subscribers */
    struct kv_counter states_collapsed;
};

/* The rare part of kv_counts_finish(). is_late: it was sent in an earlier turn. */
void kv_counts_finish_otherwise(struct kv_counts *counts, const struct kv_command *command,
                                bool is_late);

/* A command is handed back. */
static inline void kv_counts_finish(struct kv_counts *counts, const struct kv_command *command)
{
    bool is_late = command->sent_ns != *counts->began_ns;
    if (is_late || command->status != KV_OK) {
        kv_counts_finish_otherwise(counts, command, is_late);
        return;
    }
    counts->n_this_turn[command->kind]++;
    counts->kinds_this_turn |= 1U << command->kind;
}

/* The same, ahead of that, while its client is known: shows it to the slow log. */
static inline void kv_counts_look(const struct kv_counts *counts, const struct kv_command *command)
{
    if (command->sent_ns != *counts->began_ns && counts->look != NULL)
        counts->look(counts->slow_log, command, *counts->began_ns - command->sent_ns);
}

static inline void kv_counts_sync(struct kv_counts *counts, enum kv_sync_reason reason)
{
    kv_counter_add(&counts->syncs[reason], 1);
}

/* The turn is over, and has taken so long, which belongs into that bucket. */
void kv_counts_end_turn(struct kv_counts *counts, uint64_t took_ns, unsigned bucket);

/* The names in metrics; NULL: what clients do not see has none. Constant. */
const char *kv_counts_operation(enum kv_command_kind kind);
const char *kv_counts_outcome(int status);

/* Writes the sums over n loops. */
void kv_counts_collect(const struct kv_counts *const *all, uint32_t n,
                       struct kv_metrics_text *text);

#endif
