/* The loop that has the largest connection of all closes it. */
#include "net/relief.h"

#include <malloc.h>

#include "base/mem.h"

enum {
    INTERVAL_MS = 50,
    WATCH_MS = 100,       /* between two checks of the peers */
    STILL_GRACE_MS = 250, /* for peers to take their data */
    GRACE_MS = 1000,      /* for connections to release memory by themselves */
    MOST_ENDED = 64,      /* at once */
    TRIM_MS = 2000,       /* between two trims */
};

static bool is_largest(const struct kv_relief *relief, size_t bytes)
{
    for (uint32_t i = 0; i < relief->n_loops; i++)
        if (i != relief->loop &&
            atomic_load_explicit(&relief->links[i].largest, memory_order_relaxed) > bytes)
            return false;
    return true;
}

/* Publishes the largest connection for the other loops. */
static struct kv_connection *publish_largest(struct kv_relief *relief, int64_t still_ms,
                                             size_t *ret_bytes)
{
    struct kv_connection *largest =
        kv_connections_largest(relief->connections, still_ms, ret_bytes);
    atomic_store_explicit(&relief->links[relief->loop].largest, *ret_bytes, memory_order_relaxed);
    return largest;
}

/* Returns: NULL if another loop has a larger one, or all are small. */
static struct kv_connection *find_largest(struct kv_relief *relief, int64_t still_ms,
                                          size_t *ret_bytes)
{
    struct kv_connection *largest = publish_largest(relief, still_ms, ret_bytes);
    return *ret_bytes >= KV_TALLY_FLOOR && is_largest(relief, *ret_bytes) ? largest : NULL;
}

/* Memory is released when a connection has ended, in a later turn; so only as many are ended as
 * hold the needed amount, and twice that in the next round, if it was not enough. */
static void end_largest(struct kv_relief *relief, int64_t still_ms)
{
    struct kv_connection *largest;
    size_t bytes, freed = 0;
    for (int n = 0; n < MOST_ENDED && freed < relief->to_free &&
                    (largest = find_largest(relief, still_ms, &bytes)) != NULL;
         n++) {
        freed += bytes;
        kv_connection_give_way(largest);
    }
    if (freed != 0 && relief->to_free < kv_budget_limit(relief->connections->tally->budget))
        relief->to_free *= 2;
}

static void begin_episode(struct kv_relief *relief, int64_t now_ms)
{
    relief->episode_since_ms = relief->watched_ms = now_ms;
    relief->to_free = kv_budget_reserve(relief->connections->tally->budget) + 1;
    kv_connections_watch_peers(relief->connections, true);
}

static void watch_peers(struct kv_relief *relief, int64_t now_ms)
{
    if (now_ms - relief->watched_ms < WATCH_MS)
        return;
    relief->watched_ms = now_ms;
    kv_connections_watch_peers(relief->connections, false);
}

/* Frees memory, as others wait for it, or the budget is exceeded. */
static void relieve(struct kv_relief *relief, int64_t now_ms)
{
    size_t bytes;
    if (relief->strained_since_ms == 0)
        relief->strained_since_ms = now_ms;
    if (relief->episode_since_ms == 0)
        begin_episode(relief, now_ms);
    relief->calm_since_ms = 0;
    watch_peers(relief, now_ms);
    if (now_ms - relief->strained_since_ms >= GRACE_MS)
        end_largest(relief, 0);
    else if (now_ms - relief->episode_since_ms >= STILL_GRACE_MS)
        end_largest(relief, STILL_GRACE_MS);
    else
        publish_largest(relief, STILL_GRACE_MS, &bytes);
}

/* Closed connections are soon replaced by others that do the same: until there has been calm for a
 * while, a new strain counts as the continuation of the last, without a new period of grace. */
static void calm_down(struct kv_relief *relief, int64_t now_ms)
{
    size_t bytes;
    relief->strained_since_ms = 0;
    if (relief->calm_since_ms == 0)
        relief->calm_since_ms = now_ms;
    if (now_ms - relief->calm_since_ms >= GRACE_MS)
        relief->episode_since_ms = 0;
    publish_largest(relief, 0, &bytes);
}

static void on_timer(struct kv_timer *timer)
{
    kv_relief_run(KV_CONTAINER(timer, struct kv_relief, timer));
}

static void run_soon(struct kv_relief *relief)
{
    struct kv_loop *loop = relief->connections->loop;
    if (!kv_heap_node_is_in(&relief->timer.node))
        kv_timer_start(loop, &relief->timer, kv_loop_now_ms(loop) + INTERVAL_MS);
}

static void on_call(struct kv_post *call)
{
    struct kv_relief_link *link = KV_CONTAINER(call, struct kv_relief_link, call);
    atomic_store(&link->is_called, false);
    run_soon(link->relief);
}

/* The connections that hold the memory may be those of other loops. */
static void on_wait(struct kv_waits *waits)
{
    struct kv_relief *relief = KV_CONTAINER(waits, struct kv_relief, waits);
    run_soon(relief);
    for (uint32_t i = 0; i < relief->n_loops; i++) {
        struct kv_relief_link *link = &relief->links[i];
        if (i != relief->loop && !atomic_exchange(&link->is_called, true))
            kv_loop_post(link->relief->connections->loop, &link->call);
    }
}

/* ---- freed memory ---- */

/* Small freed blocks stay with the allocator until it is told to examine all of them, which takes
 * milliseconds, under its locks. */
static void trim_on_worker(struct kv_job *job)
{
    (void)job;
    malloc_trim(0);
}

static void on_trimmed(struct kv_job *job)
{
    KV_CONTAINER(job, struct kv_relief, trim)->is_trimming = false;
}

/* Trims twice, as connections may still be ending the first time. */
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
    relief->links[relief->loop].relief = relief;
    relief->links[relief->loop].call.run = on_call;
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
    int64_t now_ms = kv_loop_now_ms(connections->loop);
    kv_tally_resume(connections->tally);
    give_back(relief, now_ms);
    if (!kv_budget_is_strained(connections->tally->budget)) {
        calm_down(relief, now_ms);
        return;
    }
    relieve(relief, now_ms);
    kv_timer_start(connections->loop, &relief->timer, now_ms + INTERVAL_MS);
}
