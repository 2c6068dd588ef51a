/*
 * The loop sleeps until the earliest deadline of its parts.
 *
 * Invariant: a part's wake_at_ms is at or before its earliest deadline, and a loop's wake_at_ms at
 * or before that of each of its parts, except while kv_expiry_run() is at work, which raises them
 * first and lowers them again by what it finds; wake_at() only lowers, so nothing is lost.
 */
#include "keyspace/expiry.h"

#include <stdlib.h>

#include "base/mem.h"

enum {
    CHUNK = 64,       /* keys of one part at a time */
    CHUNKS_A_TURN = 8 /* so that expiry delays a turn by no more than a millisecond */
};

/* Returns: the previous value. */
static int64_t lower(_Atomic int64_t *at, int64_t to)
{
    int64_t now = atomic_load(at);
    while (to < now && !atomic_compare_exchange_weak(at, &now, to))
        continue;
    return now;
}

void kv_expiry_init(struct kv_expiry *expiry, const struct kv_gate_rules *rules,
                    struct kv_feed *feed)
{
    expiry->store = rules->store;
    expiry->parts = rules->parts;
    expiry->feed = feed;
    expiry->rules = rules;
    for (uint32_t i = 0; i < expiry->parts->n_loops; i++)
        atomic_init(&expiry->shares[i].wake_at_ms, INT64_MIN);
}

void kv_expiry_fini(struct kv_expiry *expiry)
{
    free(expiry->wake_at_ms);
}

void kv_expiry_begin(struct kv_expiry *expiry, uint32_t n_parts)
{
    expiry->n_parts = n_parts;
    expiry->wake_at_ms = kv_alloc(n_parts * sizeof(*expiry->wake_at_ms));
    for (uint32_t i = 0; i < n_parts; i++)
        atomic_init(&expiry->wake_at_ms[i], INT64_MIN);
}

void kv_expiry_wake_at(struct kv_expiry *expiry, uint32_t part, int64_t deadline_ms)
{
    if (!kv_store_is_ready(expiry->store))
        return; /* every part is run when the keyspace is ready */
    if (lower(&expiry->wake_at_ms[part], deadline_ms) <= deadline_ms)
        return;
    uint32_t loop = part % expiry->parts->n_loops;
    if (lower(&expiry->shares[loop].wake_at_ms, deadline_ms) > deadline_ms)
        kv_loop_wake(expiry->parts->loops[loop]);
}

void kv_expiry_note(struct kv_expiry *expiry, uint32_t part, int64_t deadline_ms)
{
    const struct kv_keyspace_parts *parts = expiry->parts;
    int64_t late_ns = parts->clock->now_ns(parts->clock) - deadline_ms * KV_NS_PER_MS;
    kv_histogram_add_shared(&expiry->shares[part % parts->n_loops].lateness, late_ns);
}

void kv_expiry_collect(const struct kv_expiry *expiry, struct kv_metrics_text *text)
{
    static const struct kv_metric metric = {
        "kvserver_expiry_lateness_seconds", KV_METRIC_HISTOGRAM, "seconds",
        "Time from a key's deadline until it expired; the count is that of expired keys"};
    struct kv_histogram_sum sum = {0};
    for (uint32_t i = 0; i < expiry->parts->n_loops; i++)
        kv_histogram_sum_add(&sum, &expiry->shares[i].lateness);
    kv_metrics_begin(text, &metric);
    kv_metrics_histogram(text, KV_NO_LABELS, &sum);
}

static void run_part(struct kv_expiry *expiry, uint32_t part, int64_t now_ms)
{
    const struct kv_store_link *store = expiry->store;
    struct kv_watermark *watermark = &expiry->feed->watermark;
    uint32_t loop = part % expiry->parts->n_loops;
    atomic_store(&expiry->wake_at_ms[part], INT64_MAX);
    kv_watermark_enter(watermark, loop);
    lower(&expiry->wake_at_ms[part], store->ops->expire(store->store, part, now_ms, CHUNK));
    kv_watermark_leave(watermark, loop);
}

/* Runs one chunk of each part that is due, as long as the turn may take; the next turn, which
 * follows at once, begins with the parts that were left out. */
static void run_parts(struct kv_expiry *expiry, uint32_t loop, int64_t now_ms)
{
    struct kv_expiry_share *share = &expiry->shares[loop];
    uint32_t n_loops = expiry->parts->n_loops;
    uint32_t n_parts = (expiry->n_parts + n_loops - 1 - loop) / n_loops;
    uint32_t first = share->next_part;
    uint32_t n_run = 0;
    for (uint32_t i = 0; i < n_parts; i++) {
        uint32_t place = (first + i) % n_parts;
        uint32_t part = loop + place * n_loops;
        if (n_run < CHUNKS_A_TURN && atomic_load(&expiry->wake_at_ms[part]) <= now_ms) {
            run_part(expiry, part, now_ms);
            share->next_part = place + 1;
            n_run++;
        }
        lower(&share->wake_at_ms, atomic_load(&expiry->wake_at_ms[part]));
    }
}

void kv_expiry_run(struct kv_expiry *expiry, uint32_t loop)
{
    if (!kv_store_is_ready(expiry->store) || kv_feed_is_ending(expiry->feed))
        return;
    int64_t now_ms = kv_clock_now_ms(expiry->parts->clock);
    if (atomic_load(&expiry->shares[loop].wake_at_ms) > now_ms ||
        kv_feed_is_congested(expiry->feed) || kv_gate_holds_writes(expiry->rules))
        return;
    atomic_store(&expiry->shares[loop].wake_at_ms, INT64_MAX);
    run_parts(expiry, loop, now_ms);
}

int64_t kv_expiry_next_ms(const struct kv_expiry *expiry, uint32_t loop)
{
    if (!kv_store_is_ready(expiry->store) || kv_feed_is_congested(expiry->feed) ||
        kv_gate_holds_writes(expiry->rules))
        return INT64_MAX;
    return atomic_load(&expiry->shares[loop].wake_at_ms);
}
