/*
 * A batch consists of the queue's oldest events. The module delivers it and settles some events,
 * and the batch is filled up again; unsettled events stay first. Events of a batch count as queued
 * until they are settled, so the bound applies to them, too; only the events after them can be
 * dropped for lack of room.
 */
#include "sink/runner.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

enum {
    UNSURE_MS = 20 /* interval for checking events whose claim is unsure */
};

static int64_t now_ms(void)
{
    return kv_clock_now_ms(&kv_clock_boot);
}

/* ---- the module's host ---- */

static struct kv_sink_runner *runner_of(const struct kv_sink_host *host)
{
    return (struct kv_sink_runner *)((char *)(uintptr_t)host -
                                     offsetof(struct kv_sink_runner, host));
}

static int64_t host_now_ms(const struct kv_host *host)
{
    (void)host;
    return now_ms();
}

static int64_t host_wall_us(const struct kv_host *host)
{
    (void)host;
    return kv_wall_us();
}

static void host_log(const struct kv_host *base, enum kv_log_level level, const char *format, ...)
{
    const struct kv_sink_host *host = KV_CONTAINER(base, const struct kv_sink_host, base);
    va_list args;
    va_start(args, format);
    kv_vlog(level, runner_of(host)->config->name, format, args);
    va_end(args);
}

static void host_gave_up(const struct kv_sink_host *host, uint64_t n)
{
    runner_of(host)->n_given_up += n;
}

static void host_drop(const struct kv_sink_host *host, const struct kv_event *event,
                      const char *format, ...)
{
    struct kv_sink_runner *runner = runner_of(host);
    struct kv_error why;
    va_list args;
    va_start(args, format);
    vsnprintf(why.text, sizeof(why.text), format, args);
    va_end(args);
    runner->n_given_up++;
    kv_sink_report_drop(&runner->report, event, why.text, now_ms());
}

static void host_refused(const struct kv_sink_host *host)
{
    runner_of(host)->was_refused = true;
}

static bool host_is_ending(const struct kv_sink_host *host)
{
    return atomic_load(&runner_of(host)->is_over);
}

/* ---- taking; under the lock ---- */

static void block_or_release(struct kv_sink_runner *runner)
{
    bool is_to_block =
        runner->may_block && (runner->is_blocking ? !kv_sink_queue_is_relaxed(&runner->queue)
                                                  : kv_sink_queue_is_over(&runner->queue));
    if (is_to_block == runner->is_blocking)
        return;
    runner->is_blocking = is_to_block;
    if (is_to_block)
        kv_keyspace_hold_writes(runner->keyspace);
    else
        kv_keyspace_release_writes(runner->keyspace);
}

/* Returns: the dropped entries; destroy them after the lock is released. */
static struct kv_queue make_room(struct kv_sink_runner *runner)
{
    struct kv_queue dropped;
    struct kv_sink_entry *entry;
    kv_queue_init(&dropped);
    while (kv_sink_queue_is_over(&runner->queue) && runner->queue.entries.head != NULL &&
           runner->queue.entries.head->next != NULL &&
           (entry = kv_sink_queue_pop(&runner->queue)) != NULL) {
        kv_sink_queue_settle(&runner->queue, entry);
        kv_queue_push(&dropped, &entry->link);
        runner->counts.dropped++;
    }
    return dropped;
}

static void destroy_all(struct kv_sink_runner *runner, struct kv_queue *entries)
{
    struct kv_link *link;
    while ((link = kv_queue_pop(entries)) != NULL)
        kv_sink_entry_destroy(runner->keyspace, KV_CONTAINER(link, struct kv_sink_entry, link));
}

static bool is_selected(const struct kv_sink_config *config, const struct kv_change *change)
{
    if ((config->events & 1u << change->reason) == 0)
        return false;
    for (size_t i = 0; i < config->n_prefixes; i++)
        if (kv_slice_has_prefix(change->key, config->prefixes[i]))
            return true;
    return config->n_prefixes == 0;
}

void kv_sink_runner_take(struct kv_sink_runner *runner, const struct kv_change *change,
                         struct kv_shown *shown)
{
    struct kv_queue dropped;
    kv_queue_init(&dropped);
    if (!is_selected(runner->config, change))
        return;
    struct kv_sink_entry *entry = kv_sink_entry_create(runner->keyspace, change, shown, now_ms());
    pthread_mutex_lock(&runner->lock);
    bool was_empty = kv_queue_is_empty(&runner->queue.entries);
    kv_sink_queue_push(&runner->queue, entry);
    if (runner->config->when_full == KV_SINK_BLOCK_WRITES)
        block_or_release(runner);
    else
        dropped = make_room(runner);
    if (was_empty)
        pthread_cond_signal(&runner->stirred);
    pthread_mutex_unlock(&runner->lock);
    destroy_all(runner, &dropped);
}

/* ---- delivering, on the thread ---- */

/* Waits until there is something to do, or `wait_ms` have passed (-1: forever). Under the lock. */
static void wait_a_while(struct kv_sink_runner *runner, int64_t wait_ms)
{
    struct timespec until;
    if (wait_ms < 0) {
        pthread_cond_wait(&runner->stirred, &runner->lock);
        return;
    }
    clock_gettime(CLOCK_MONOTONIC, &until);
    int64_t ns = until.tv_nsec + wait_ms % 1000 * 1000000;
    until.tv_sec += wait_ms / 1000 + ns / 1000000000;
    until.tv_nsec = ns % 1000000000;
    pthread_cond_timedwait(&runner->stirred, &runner->lock, &until);
}

/* Under the lock. */
static bool is_time_over(const struct kv_sink_runner *runner)
{
    return runner->is_ending && now_ms() >= runner->until_ms;
}

/* Under the lock. Returns: milliseconds until the end; -1 if none is set. */
static int64_t time_left(const struct kv_sink_runner *runner)
{
    if (!runner->is_ending)
        return -1;
    int64_t left_ms = runner->until_ms - now_ms();
    return left_ms < 0 ? 0 : left_ms;
}

/* Called before and after the module. After abandonment the keyspace may be freed, so a late return
 * must touch nothing. */
static void enter_module(struct kv_sink_runner *runner)
{
    pthread_mutex_lock(&runner->lock);
    runner->is_in_module = true;
    pthread_cond_broadcast(&runner->stirred);
    pthread_mutex_unlock(&runner->lock);
}

static void leave_module(struct kv_sink_runner *runner)
{
    pthread_mutex_lock(&runner->lock);
    while (runner->is_left_behind)
        wait_a_while(runner, -1); /* the process ends now */
    runner->is_in_module = false;
    pthread_mutex_unlock(&runner->lock);
}

static void reopen_if_asked(struct kv_sink_runner *runner)
{
    pthread_mutex_lock(&runner->lock);
    bool is_reopening = runner->is_reopening;
    runner->is_reopening = false;
    pthread_mutex_unlock(&runner->lock);
    if (!is_reopening || runner->config->ops->reopen == NULL)
        return;
    enter_module(runner);
    runner->config->ops->reopen(runner->sink);
    leave_module(runner);
    kv_log(KV_LOG_INFO, runner->config->name, "reopened");
}

/* Under the lock. Moves the first events that another server delivers to *ret_forgone.
 * Returns: the next to be delivered; NULL if there is none now. */
static struct kv_sink_entry *pop_own(struct kv_sink_runner *runner, struct kv_queue *ret_forgone)
{
    struct kv_sink_entry *entry;
    while ((entry = kv_sink_queue_pop(&runner->queue)) != NULL) {
        enum kv_claim_state state = kv_shown_state(entry->shown);
        if (state == KV_CLAIM_HELD)
            return entry;
        if (state == KV_CLAIM_UNSURE) {
            kv_queue_push_front(&runner->queue.entries, &entry->link);
            return NULL;
        }
        kv_shown_forgo(entry->shown);
        kv_sink_queue_settle(&runner->queue, entry);
        kv_queue_push(ret_forgone, &entry->link);
    }
    return NULL;
}

/* Under the lock. Waits until there may be something to do. */
static void await_events(struct kv_sink_runner *runner)
{
    while (kv_queue_is_empty(&runner->queue.entries) && !runner->is_ending && !runner->is_reopening)
        wait_a_while(runner, -1);
}

/* Waits for events and makes a batch. Returns: false once the thread must end. */
static bool fill(struct kv_sink_runner *runner)
{
    struct kv_sink_batch *batch = &runner->batch;
    struct kv_queue forgone;
    struct kv_sink_entry *entry;
    size_t bytes = 0, most = runner->refusals.most == 0 ? KV_SINK_BATCH : runner->refusals.most;
    kv_queue_init(&forgone);
    pthread_mutex_lock(&runner->lock);
    await_events(runner);
    bool is_over = is_time_over(runner);
    while (!is_over && batch->n < most && bytes < KV_SINK_BATCH_BYTES &&
           (entry = pop_own(runner, &forgone)) != NULL) {
        bytes += entry->bytes;
        batch->entries[batch->n++] = entry;
    }
    bool is_unsure = batch->n == 0 && !kv_queue_is_empty(&runner->queue.entries);
    if (is_unsure && !is_over)
        wait_a_while(runner, UNSURE_MS);
    if (runner->config->when_full == KV_SINK_BLOCK_WRITES)
        block_or_release(runner);
    bool goes_on = !is_over && (batch->n != 0 || is_unsure || !runner->is_ending);
    pthread_mutex_unlock(&runner->lock);
    destroy_all(runner, &forgone);
    return goes_on;
}

/* Removes the first n events of the batch; the others are tried again. */
static void settle(struct kv_sink_runner *runner, size_t n, uint64_t n_dropped)
{
    struct kv_sink_batch *batch = &runner->batch;
    struct kv_queue dropped;
    kv_queue_init(&dropped);
    if (n_dropped > n)
        n_dropped = n;
    pthread_mutex_lock(&runner->lock);
    for (size_t i = 0; i < n; i++)
        kv_sink_queue_settle(&runner->queue, batch->entries[i]);
    for (size_t i = batch->n; i > n; i--)
        kv_queue_push_front(&runner->queue.entries, &batch->entries[i - 1]->link);
    runner->counts.dropped += n_dropped;
    runner->counts.delivered += n - n_dropped;
    if (runner->config->when_full == KV_SINK_BLOCK_WRITES)
        block_or_release(runner);
    else
        dropped = make_room(runner);
    pthread_mutex_unlock(&runner->lock);
    destroy_all(runner, &dropped);
    for (size_t i = 0; i < n; i++)
        kv_sink_entry_destroy(runner->keyspace, batch->entries[i]);
    batch->n = 0;
}

/* Under the lock. Returns: the next event that has been tried for too long. */
static struct kv_sink_entry *pop_hopeless(struct kv_sink_runner *runner)
{
    struct kv_link *first = runner->queue.entries.head;
    if (first == NULL || runner->config->give_up_ms == 0 ||
        now_ms() - KV_CONTAINER(first, struct kv_sink_entry, link)->taken_ms <
            runner->config->give_up_ms)
        return NULL;
    return kv_sink_queue_pop(&runner->queue);
}

/* Drops the first events if they have been tried for too long. */
static void give_up(struct kv_sink_runner *runner)
{
    struct kv_queue dropped;
    struct kv_sink_entry *entry;
    kv_queue_init(&dropped);
    pthread_mutex_lock(&runner->lock);
    while ((entry = pop_hopeless(runner)) != NULL) {
        kv_sink_queue_settle(&runner->queue, entry);
        kv_queue_push(&dropped, &entry->link);
        runner->counts.dropped++;
    }
    if (runner->config->when_full == KV_SINK_BLOCK_WRITES)
        block_or_release(runner);
    pthread_mutex_unlock(&runner->lock);
    destroy_all(runner, &dropped);
}

/* Waits before the next attempt. New events do not shorten the pause; the end or SIGHUP does. */
static void back_off(struct kv_sink_runner *runner)
{
    int64_t until_ms = now_ms() + kv_backoff_fail(&runner->backoff);
    pthread_mutex_lock(&runner->lock);
    runner->counts.retried++;
    while (!runner->is_reopening && now_ms() < until_ms && !is_time_over(runner)) {
        int64_t wait_ms = until_ms - now_ms();
        int64_t left_ms = time_left(runner);
        wait_a_while(runner, left_ms >= 0 && left_ms < wait_ms ? left_ms : wait_ms);
    }
    pthread_mutex_unlock(&runner->lock);
}

/* Has the module deliver the batch. Returns: how many events it has settled. */
static size_t call_module(struct kv_sink_runner *runner, struct kv_error *reterr)
{
    struct kv_sink_batch *batch = &runner->batch;
    runner->n_given_up = 0;
    runner->was_refused = false;
    if (kv_sink_batch_write(batch, kv_keyspace_epoch(runner->keyspace)) != 0) {
        kv_error_set(reterr, "no memory");
        return 0;
    }
    kv_error_set(reterr, "no reason given");
    enter_module(runner);
    size_t settled = runner->config->ops->deliver(runner->sink, batch->events, batch->n, reterr);
    leave_module(runner);
    return settled > batch->n ? batch->n : settled;
}

/* Drops the first unsettled event if the peer will never accept it.
 * Returns: the number of settled events. */
static size_t drop_refused(struct kv_sink_runner *runner, size_t settled, const char *why)
{
    const struct kv_sink_batch *batch = &runner->batch;
    struct kv_error text;
    if (!runner->was_refused || settled == batch->n ||
        !kv_sink_refusals_note(&runner->refusals, batch->entries[settled]->revision, batch->n))
        return settled;
    kv_error_set(&text, "refused %d times alone: %.900s", KV_SINK_REFUSALS, why);
    kv_sink_report_drop(&runner->report, &batch->events[settled], text.text, now_ms());
    runner->n_given_up++;
    return settled + 1;
}

static void deliver(struct kv_sink_runner *runner)
{
    struct kv_error error;
    size_t n = runner->batch.n;
    size_t settled = drop_refused(runner, call_module(runner, &error), error.text);
    settle(runner, settled, runner->n_given_up);
    if (settled != 0)
        kv_backoff_reset(&runner->backoff);
    if (settled == n && runner->was_refused)
        return; /* the last event was dropped: nothing was delivered */
    if (settled == n) {
        kv_sink_refusals_relax(&runner->refusals, KV_SINK_BATCH);
        kv_sink_report_success(&runner->report, now_ms());
        return;
    }
    kv_sink_report_failure(&runner->report, error.text, kv_sink_runner_count(runner).queued,
                           now_ms());
    give_up(runner);
    back_off(runner);
}

static void *run(void *argument)
{
    struct kv_sink_runner *runner = argument;
    while (fill(runner)) {
        reopen_if_asked(runner);
        if (runner->batch.n != 0)
            deliver(runner);
    }
    pthread_mutex_lock(&runner->lock);
    runner->has_ended = true;
    pthread_cond_broadcast(&runner->stirred);
    pthread_mutex_unlock(&runner->lock);
    return NULL;
}

/* ---- for other threads ---- */

static void stir(struct kv_sink_runner *runner, bool *mark)
{
    pthread_mutex_lock(&runner->lock);
    *mark = true;
    pthread_cond_broadcast(&runner->stirred);
    pthread_mutex_unlock(&runner->lock);
}

void kv_sink_runner_reopen(struct kv_sink_runner *runner)
{
    stir(runner, &runner->is_reopening);
}

void kv_sink_runner_stop_blocking(struct kv_sink_runner *runner)
{
    pthread_mutex_lock(&runner->lock);
    runner->may_block = false;
    block_or_release(runner);
    pthread_mutex_unlock(&runner->lock);
}

struct kv_sink_counts kv_sink_runner_count(struct kv_sink_runner *runner)
{
    pthread_mutex_lock(&runner->lock);
    struct kv_sink_counts counts = runner->counts;
    counts.queued = runner->queue.n;
    counts.queued_bytes = runner->queue.bytes;
    pthread_mutex_unlock(&runner->lock);
    return counts;
}

void kv_sink_runner_ask_to_end(struct kv_sink_runner *runner, int64_t until_ms)
{
    pthread_mutex_lock(&runner->lock);
    runner->until_ms = until_ms;
    pthread_mutex_unlock(&runner->lock);
    stir(runner, &runner->is_ending);
}

void kv_sink_runner_cut_short(struct kv_sink_runner *runner)
{
    atomic_store(&runner->is_over, true);
    kv_sink_runner_ask_to_end(runner, now_ms());
}

bool kv_sink_runner_has_ended(struct kv_sink_runner *runner)
{
    pthread_mutex_lock(&runner->lock);
    bool has_ended = runner->has_ended || !runner->is_started;
    pthread_mutex_unlock(&runner->lock);
    return has_ended;
}

bool kv_sink_runner_join(struct kv_sink_runner *runner)
{
    if (!runner->is_started)
        return true;
    pthread_mutex_lock(&runner->lock);
    while (!runner->has_ended && !runner->is_in_module)
        wait_a_while(runner, -1); /* outside of the module the thread is never busy for long */
    bool has_ended = runner->has_ended;
    runner->is_left_behind = !has_ended;
    pthread_mutex_unlock(&runner->lock);
    if (!has_ended) {
        pthread_detach(runner->thread);
        return false;
    }
    pthread_join(runner->thread, NULL);
    runner->is_started = false;
    return true;
}

/* ---- opening and closing ---- */

int kv_sink_runner_open(struct kv_sink_runner *runner, const struct kv_sink_config *config,
                        struct kv_error *reterr)
{
    pthread_condattr_t attributes;
    *runner = (struct kv_sink_runner){
        .host = {.base = {.size = sizeof(runner->host),
                          .now_ms = host_now_ms,
                          .wall_us = host_wall_us,
                          .log = host_log},
                 .gave_up = host_gave_up,
                 .is_ending = host_is_ending,
                 .drop = host_drop,
                 .refused = host_refused},
        .config = config,
        .report = {.name = config->name},
        .may_block = config->when_full == KV_SINK_BLOCK_WRITES,
        .backoff = {.first_ms = config->first_retry_ms,
                    .longest_ms = config->longest_retry_ms,
                    .random = (uint64_t)kv_wall_us() ^ (uint64_t)(uintptr_t)runner},
    };
    if (config->ops->open(&runner->host, config->options, &runner->sink, reterr) != 0)
        return -1;
    kv_sink_queue_init(&runner->queue, config->max_events, config->max_bytes);
    pthread_mutex_init(&runner->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&runner->stirred, &attributes);
    pthread_condattr_destroy(&attributes);
    return 0;
}

int kv_sink_runner_start(struct kv_sink_runner *runner, struct kv_keyspace *keyspace,
                         struct kv_error *reterr)
{
    runner->keyspace = keyspace;
    int fault = pthread_create(&runner->thread, NULL, run, runner);
    runner->is_started = fault == 0;
    if (!runner->is_started)
        return kv_error_set(reterr, "%s: no thread: %s", runner->config->name, strerror(fault));
    pthread_setname_np(runner->thread, "sink");
    return 0;
}

void kv_sink_runner_drop_all(struct kv_sink_runner *runner)
{
    struct kv_sink_entry *entry;
    if (runner->keyspace == NULL)
        return;
    while ((entry = kv_sink_queue_pop(&runner->queue)) != NULL) {
        kv_sink_queue_settle(&runner->queue, entry);
        runner->counts.dropped++;
        kv_shown_forgo(entry->shown); /* it is not lost */
        kv_sink_entry_destroy(runner->keyspace, entry);
    }
}

void kv_sink_runner_close(struct kv_sink_runner *runner)
{
    runner->config->ops->close(runner->sink);
    kv_sink_batch_fini(&runner->batch);
    pthread_cond_destroy(&runner->stirred);
    pthread_mutex_destroy(&runner->lock);
}
