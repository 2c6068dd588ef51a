/* The loop whose largest connection is the largest of all closes it. */
#include "net/relief.h"

#include <malloc.h>

#include "base/mem.h"

enum {
    INTERVAL_MS = 50,
    GRACE_MS = 1000, /* for connections to give memory back by themselves */
    MOST_ENDED = 64, /* at once */
    TRIM_MS = 2000,  /* from one time to the next */
};

static bool is_largest(const struct kv_relief *relief, size_t bytes)
{
    for (uint32_t i = 0; i < relief->n_loops; i++)
        if (i != relief->loop &&
            atomic_load_explicit(&relief->largest[i].bytes, memory_order_relaxed) > bytes)
            return false;
    return true;
}

/* The other loops look at it. */
static struct kv_connection *publish_largest(struct kv_relief *relief, size_t *ret_bytes)
{
    struct kv_connection *largest = kv_connections_largest(relief->connections, ret_bytes);
    atomic_store_explicit(&relief->largest[relief->loop].bytes, *ret_bytes, memory_order_relaxed);
    return largest;
}

/* Returns: NULL where another loop has a larger one, or all are small. */
static struct kv_connection *find_largest(struct kv_relief *relief, size_t *ret_bytes)
{
    struct kv_connection *largest = publish_largest(relief, ret_bytes);
    return *ret_bytes >= KV_TALLY_FLOOR && is_largest(relief, *ret_bytes) ? largest : NULL;
}

/* Memory comes back when a connection has ended, in a later turn; so only as many are ended as hold
 * what is needed. */
static void end_largest(struct kv_relief *relief)
{
    size_t needed = kv_budget_reserve(relief->connections->tally->budget);
    struct kv_connection *largest;
    size_t bytes, freed = 0;
    for (int n = 0;
         n < MOST_ENDED && freed < needed && (largest = find_largest(relief, &bytes)) != NULL;
         n++) {
        freed += bytes;
        kv_connection_give_way(largest);
    }
}

static int64_t strained_for_ms(struct kv_relief *relief, int64_t now_ms)
{
    if (relief->strained_since_ms == 0)
        relief->strained_since_ms = now_ms;
    return now_ms - relief->strained_since_ms;
}

static void on_timer(struct kv_timer *timer)
{
    kv_relief_run(KV_CONTAINER(timer, struct kv_relief, timer));
}

static void on_wait(struct kv_waits *waits)
{
    struct kv_relief *relief = KV_CONTAINER(waits, struct kv_relief, waits);
    struct kv_loop *loop = relief->connections->loop;
    kv_timer_start(loop, &relief->timer, kv_loop_now_ms(loop) + INTERVAL_MS);
}

/* ---- freed memory ---- */

/* Small blocks that are freed stay with the allocator until it is told to look through all of them,
 * which takes milliseconds, under its locks. */
static void trim_on_worker(struct kv_job *job)
{
    (void)job;
    malloc_trim(0);
}

static void on_trimmed(struct kv_job *job)
{
    KV_CONTAINER(job, struct kv_relief, trim)->is_trimming = false;
}

/* Twice, as connections may still be ending the first time. */
static void give_back(struct kv_relief *relief, int64_t now_ms)
{
    if (kv_budget_has_fallen(relief->connections->tally->budget))
        relief->n_trims_due = 2;
    if (relief->n_trims_due == 0 || relief->is_trimming || now_ms - relief->trimmed_ms < TRIM_MS)
        return;
    relief->n_trims_due--;
    relief->is_trimming = true;
    relief->trimmed_ms = now_ms;
    kv_workers_run(relief->workers, relief->connections->loop, &relief->trim);
}

void kv_relief_start(struct kv_relief *relief)
{
    relief->waits.on_begin = on_wait;
    relief->timer.fire = on_timer;
    relief->trim = (struct kv_job){.work = trim_on_worker, .done = on_trimmed, .bytes = SIZE_MAX};
    kv_tally_watch(relief->connections->tally, &relief->waits);
}

void kv_relief_fini(struct kv_relief *relief)
{
    kv_tally_watch(relief->connections->tally, NULL);
    kv_timer_stop(relief->connections->loop, &relief->timer);
}

void kv_relief_run(struct kv_relief *relief)
{
    struct kv_connections *connections = relief->connections;
    struct kv_budget *budget = connections->tally->budget;
    int64_t now_ms = kv_loop_now_ms(connections->loop);
    size_t bytes;
    kv_tally_resume(connections->tally);
    give_back(relief, now_ms);
    if (!kv_budget_is_strained(budget)) {
        relief->strained_since_ms = 0;
        publish_largest(relief, &bytes);
        return;
    }
    if (strained_for_ms(relief, now_ms) >= GRACE_MS)
        end_largest(relief);
    else
        publish_largest(relief, &bytes);
    kv_timer_start(connections->loop, &relief->timer, now_ms + INTERVAL_MS);
}
