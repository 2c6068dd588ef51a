/*
 * A running sink: its queue, its thread, its counts.
 */
#ifndef KV_SINK_RUNNER_H
#define KV_SINK_RUNNER_H

#include <pthread.h>
#include <stdatomic.h>

#include "sink/backoff.h"
#include "sink/config.h"
#include "sink/event.h"
#include "sink/refusals.h"
#include "sink/report.h"

struct kv_sink_runner {
    struct kv_sink_host host; /* the module's */
    const struct kv_sink_config *config;
    struct kv_keyspace *keyspace;
    struct kv_sink *sink;

    pthread_t thread;
    bool is_started;
    atomic_bool is_over; /* the time for delivering is over */

    pthread_mutex_t lock;
    pthread_cond_t stirred; /* CLOCK_MONOTONIC */
    struct kv_sink_queue queue;
    struct kv_sink_counts counts;
    bool is_blocking; /* it holds writes back */
    bool may_block;
    bool is_reopening; /* reopening was requested */
    bool is_ending;
    bool is_in_module;
    bool has_ended;
    bool is_left_behind; /* it was in the module when the time was over */
    int64_t until_ms;    /* CLOCK_BOOTTIME, if it is ending */

    /* Belongs to the thread. */
    struct kv_sink_batch batch;
    struct kv_backoff backoff;
    struct kv_sink_refusals refusals;
    struct kv_sink_report report;
    uint64_t n_given_up; /* in the current call */
    bool was_refused;    /* in the current call */
};

/* Returns: 0, or -1 and *reterr; then there is nothing to close. */
int kv_sink_runner_open(struct kv_sink_runner *runner, const struct kv_sink_config *config,
                        struct kv_error *reterr);
void kv_sink_runner_close(struct kv_sink_runner *runner);

int kv_sink_runner_start(struct kv_sink_runner *runner, struct kv_keyspace *keyspace,
                         struct kv_error *reterr);

/* Threads: the loops'. */
void kv_sink_runner_take(struct kv_sink_runner *runner, const struct kv_change *change,
                         struct kv_shown *shown);

/* Threads: any. */
void kv_sink_runner_reopen(struct kv_sink_runner *runner);
void kv_sink_runner_stop_blocking(struct kv_sink_runner *runner);
struct kv_sink_counts kv_sink_runner_count(struct kv_sink_runner *runner);

/* Asks the thread to end by this time at the latest; at once, if nothing more should be
 * delivered. */
void kv_sink_runner_ask_to_end(struct kv_sink_runner *runner, int64_t until_ms);
void kv_sink_runner_cut_short(struct kv_sink_runner *runner);
bool kv_sink_runner_has_ended(struct kv_sink_runner *runner);

/* Returns: false if it is still in the module, and is abandoned there. */
bool kv_sink_runner_join(struct kv_sink_runner *runner);

/* Drops and counts the remaining events. Call after the thread has ended, before the keyspace is
 * destroyed. */
void kv_sink_runner_drop_all(struct kv_sink_runner *runner);

#endif
