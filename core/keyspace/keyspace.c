/*
 * Composes the parts of the keyspace, opens and closes it. Commands do not pass through this file:
 * they go from the client (or kv_keyspace_send) through the gate to the batch, and back at the end
 * of the turn (turn.c).
 */
#include "keyspace/keyspace.h"

#include <stdlib.h>
#include <unistd.h>

#include "access/access.h"
#include "base/mem.h"
#include "keyspace/host.h"
#include "keyspace/loop.h"
#include "keyspace/partitions.h"
#include "keyspace/slow_log.h"
#include "keyspace/turn.h"

enum {
    FINISH_POLL_US = 500
};

struct kv_keyspace {
    struct kv_keyspace_parts parts;
    struct kv_store_link store;
    struct kv_store_info store_info;
    struct kv_keyspace_host host;
    struct kv_feed feed;
    struct kv_showing showing;
    struct kv_gate_rules rules;
    struct kv_turnstiles turnstiles;
    struct kv_expiry expiry;
    bool is_finished;
    struct kv_keyspace_loop loops[KV_KEYSPACE_MAX_LOOPS];
};

/* ---- opening and closing ---- */

static void init_syncs(struct kv_keyspace *keyspace, struct kv_keyspace_loop *here)
{
    kv_syncs_init(&here->syncs);
    here->syncs.parts = &keyspace->parts;
    here->syncs.store = &keyspace->store;
    here->syncs.topics = &here->topics;
    here->syncs.inbox = &here->inbox;
    here->syncs.gate = &here->gate;
    here->syncs.commands = &here->commands;
    here->syncs.log_reads = &here->log_reads;
    here->syncs.counts = &here->counts;
    here->syncs.here = here;
    here->syncs.epoch = keyspace->store_info.epoch;
}

static void tell_observers_of_resync(const struct kv_keyspace_parts *parts)
{
    for (size_t i = 0; i < parts->n_observers; i++)
        if (parts->observers[i]->on_resync != NULL)
            parts->observers[i]->on_resync(parts->observers[i]);
}

static void lose_all(struct kv_keyspace_loop *here)
{
    kv_watches_forget(&here->watches);
    kv_topics_lose_all(&here->topics);
    if (here->index == 0)
        tell_observers_of_resync(here->parts);
}

static void init_loop(struct kv_keyspace *keyspace, uint32_t index)
{
    struct kv_keyspace_loop *here = &keyspace->loops[index];
    here->keyspace = keyspace;
    here->loop = keyspace->parts.loops[index];
    here->index = index;
    here->parts = &keyspace->parts;
    here->access = here->parts->access == NULL ? NULL : kv_access_on(here->parts->access, index);
    here->store = &keyspace->store;
    here->showing = &keyspace->showing;
    here->tally = kv_budget_tally(keyspace->parts.budget, index);
    here->expiry = &keyspace->expiry;
    kv_counts_init(&here->counts, kv_loop_began_ns(here->loop));
    here->counts.slow_log = keyspace->parts.slow_log;
    here->counts.look = here->counts.slow_log == NULL ? NULL : kv_slow_log_note;
    kv_commands_init(&here->commands, &keyspace->store);
    kv_topics_init(&here->topics, &keyspace->feed.interests, index, &here->counts);
    kv_watches_init(&here->watches, &keyspace->store);
    kv_feed_inbox_init(&here->inbox, &keyspace->feed, index, &here->topics, &here->watches, here);
    here->inbox.on_resync = lose_all;
    kv_batch_init(&here->batch, &keyspace->store, &here->inbox);
    kv_updates_init(&here->updates, &keyspace->parts, &here->batch, &keyspace->turnstiles, index);
    kv_scans_init(&here->scans, &keyspace->store, &keyspace->parts, index);
    kv_gate_init(&here->gate, &keyspace->rules, &here->batch, &here->updates, &here->scans,
                 &here->counts, here->access);
    kv_log_reads_init(&here->log_reads, &keyspace->store, &keyspace->parts, &keyspace->feed.log,
                      &here->gate, &here->commands, here, index);
    init_syncs(keyspace, here);
    keyspace->host.log_reads[index] = &here->log_reads;
    keyspace->host.scans[index] = &here->scans;
    keyspace->host.batches[index] = &here->batch;
    kv_turn_init(here);
}

static void fini_loop(struct kv_keyspace_loop *here)
{
    kv_feed_inbox_fini(&here->inbox);
    kv_updates_fini(&here->updates);
    kv_watches_fini(&here->watches);
    kv_topics_fini(&here->topics);
    kv_commands_fini(&here->commands);
}

struct kv_keyspace *kv_keyspace_create(const struct kv_keyspace_parts *parts)
{
    struct kv_keyspace *keyspace = kv_calloc(1, sizeof(*keyspace));
    keyspace->parts = *parts;
    keyspace->store.ops = parts->store_ops;
    keyspace->store.is_sync = (parts->store_capabilities & KV_STORE_SYNC) != 0;
    kv_feed_init(&keyspace->feed, &keyspace->store, &keyspace->parts);
    kv_gate_rules_init(&keyspace->rules, &keyspace->store, &keyspace->parts);
    kv_turnstiles_init(&keyspace->turnstiles, &keyspace->parts);
    kv_expiry_init(&keyspace->expiry, &keyspace->rules, &keyspace->feed);
    kv_showing_init(&keyspace->showing, &keyspace->store, &keyspace->parts);
    kv_keyspace_host_init(&keyspace->host, &keyspace->parts, &keyspace->feed, &keyspace->showing,
                          &keyspace->expiry);
    for (uint32_t i = 0; i < parts->n_loops; i++)
        init_loop(keyspace, i);
    return keyspace;
}

static void wake_all(const struct kv_keyspace *keyspace)
{
    for (uint32_t i = 0; i < keyspace->parts.n_loops; i++)
        kv_loop_wake(keyspace->parts.loops[i]);
}

/* Also for clients that were at another server, or at this one before it was restarted. */
static void begin_log(struct kv_keyspace *keyspace)
{
    const struct kv_store_link *store = &keyspace->store;
    struct kv_change_log *log = &keyspace->feed.log;
    if ((keyspace->parts.store_capabilities & KV_STORE_CATCHES_UP) == 0)
        return;
    kv_change_log_join(log);
    if (store->ops->recall != NULL && kv_change_log_is_running(log))
        store->ops->recall(store->store, kv_change_log_begins_after(log));
}

int kv_keyspace_open(struct kv_keyspace *keyspace, struct kv_error *reterr)
{
    const struct kv_keyspace_parts *parts = &keyspace->parts;
    struct kv_store_link *store = &keyspace->store;
    if (store->ops->open(&keyspace->host.base, parts->store_options, &store->store, reterr) != 0) {
        store->store = NULL;
        return -1;
    }
    store->ops->info(store->store, &keyspace->store_info);
    keyspace->parts.store_capabilities &= ~keyspace->store_info.lacks;
    kv_watermark_begin(&keyspace->feed.watermark);
    begin_log(keyspace);
    kv_expiry_begin(&keyspace->expiry, keyspace->store_info.parts);
    kv_showing_begin(&keyspace->showing, keyspace->store_info.parts);
    if (parts->loader != NULL && parts->loader->load(parts->loader, keyspace, reterr) != 0)
        return -1;
    atomic_store(&store->is_ready, true);
    wake_all(keyspace);
    return 0;
}

/* Returns: whether commands are under way; the store's threads complete theirs in time. */
static bool finish_loops(struct kv_keyspace *keyspace)
{
    bool is_busy = false;
    for (uint32_t i = 0; i < keyspace->parts.n_loops; i++)
        is_busy = kv_turn_finish(&keyspace->loops[i]) || is_busy;
    return is_busy;
}

void kv_keyspace_finish(struct kv_keyspace *keyspace)
{
    if (keyspace->is_finished)
        return;
    keyspace->is_finished = true;
    atomic_store(&keyspace->rules.n_holds, 0); /* their holders are gone */
    kv_feed_end(&keyspace->feed);              /* no subscriber is left for expiries */
    kv_showing_end(&keyspace->showing);
    while (finish_loops(keyspace))
        usleep(FINISH_POLL_US);
}

void kv_keyspace_destroy(struct kv_keyspace *keyspace)
{
    if (keyspace == NULL)
        return;
    kv_keyspace_finish(keyspace);
    for (uint32_t i = 0; i < keyspace->parts.n_loops; i++)
        fini_loop(&keyspace->loops[i]);
    kv_change_log_end(&keyspace->feed.log);
    kv_showing_fini(&keyspace->showing);
    if (keyspace->store.store != NULL)
        keyspace->store.ops->close(keyspace->store.store);
    kv_expiry_fini(&keyspace->expiry);
    kv_turnstiles_fini(&keyspace->turnstiles);
    kv_feed_fini(&keyspace->feed);
    kv_keyspace_host_fini(&keyspace->host);
    free(keyspace);
}

/* ---- its state ---- */

bool kv_keyspace_is_ready(const struct kv_keyspace *keyspace)
{
    return kv_store_is_ready(&keyspace->store);
}

const struct kv_store_link *kv_keyspace_store(const struct kv_keyspace *keyspace)
{
    return &keyspace->store;
}

bool kv_keyspace_is_well(const struct kv_keyspace *keyspace)
{
    return kv_health_is_good(&keyspace->host.health);
}

int64_t kv_keyspace_ttl_left_ms(const struct kv_keyspace *keyspace, int64_t deadline_ms)
{
    if (deadline_ms == KV_NEVER)
        return 0;
    int64_t left_ms = kv_clock_left_ms(keyspace->parts.clock, deadline_ms);
    return left_ms < 1 ? 1 : left_ms;
}

uint64_t kv_keyspace_under_way(const struct kv_keyspace *keyspace)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < keyspace->parts.n_loops; i++)
        n += kv_counter_read(&keyspace->loops[i].commands.under_way);
    return n;
}

bool kv_keyspace_is_quiet(struct kv_keyspace *keyspace)
{
    return kv_keyspace_under_way(keyspace) == 0 && kv_feed_is_quiet(&keyspace->feed) &&
           kv_showing_is_quiet(&keyspace->showing);
}

void kv_keyspace_drain(struct kv_keyspace *keyspace)
{
    if (kv_keyspace_is_ready(keyspace) && kv_keyspace_shows(keyspace))
        kv_showing_drain(&keyspace->showing, kv_keyspace_revision(keyspace));
}

void kv_keyspace_stop_showing(struct kv_keyspace *keyspace)
{
    kv_showing_end(&keyspace->showing);
}

bool kv_keyspace_shows(const struct kv_keyspace *keyspace)
{
    return (keyspace->parts.store_capabilities & KV_STORE_SHOWS) != 0;
}

bool kv_keyspace_catches_up(const struct kv_keyspace *keyspace)
{
    return kv_keyspace_is_ready(keyspace) &&
           (keyspace->parts.store_capabilities & KV_STORE_CATCHES_UP) != 0;
}

const char *kv_keyspace_epoch(const struct kv_keyspace *keyspace)
{
    return keyspace->store_info.epoch;
}

uint64_t kv_keyspace_revision(const struct kv_keyspace *keyspace)
{
    return kv_watermark_newest(&keyspace->feed.watermark);
}

struct kv_keyspace_loop *kv_keyspace_on(struct kv_keyspace *keyspace, uint32_t loop)
{
    return &keyspace->loops[loop];
}

struct kv_keyspace *kv_keyspace_of(struct kv_keyspace_loop *here)
{
    return here->keyspace;
}

struct kv_tally *kv_keyspace_tally(struct kv_keyspace_loop *here)
{
    return here->tally;
}

struct kv_loop *kv_keyspace_event_loop(struct kv_keyspace_loop *here)
{
    return here->loop;
}

/* ---- metrics ---- */

/* Receives the figures of the store. */
struct store_metrics {
    struct kv_metrics_out out;
    struct kv_metrics_text *text;
    bool tells_seconds;
};

static void tell_number(struct kv_metrics_out *out, const struct kv_metric *metric, uint64_t value)
{
    const struct store_metrics *metrics = KV_CONTAINER(out, struct store_metrics, out);
    bool is_duration = metric->unit != NULL && strcmp(metric->unit, "seconds") == 0;
    if (!is_duration || metrics->tells_seconds) {
        kv_metrics_number(metrics->text, metric, value);
        return;
    }
    kv_metrics_begin(metrics->text, metric);
    kv_metrics_sample_ns(metrics->text, KV_NO_LABELS, value);
}

static void tell_durations(struct kv_metrics_out *out, const struct kv_metric *metric,
                           const struct kv_histogram *histogram)
{
    struct kv_metrics_text *text = KV_CONTAINER(out, struct store_metrics, out)->text;
    struct kv_histogram_sum sum = {0};
    kv_histogram_sum_add(&sum, histogram);
    kv_metrics_begin(text, metric);
    kv_metrics_histogram(text, KV_NO_LABELS, &sum);
}

static void collect_store(const struct kv_keyspace *keyspace, struct kv_metrics_text *text)
{
    static const struct kv_metric revision = {"kvserver_store_revision", KV_METRIC_GAUGE, NULL,
                                              "The store's newest revision; 0: not known"};
    static const struct kv_metric well = {"kvserver_store_well", KV_METRIC_GAUGE, NULL,
                                          "1 unless the store says that it cannot serve"};
    static const struct kv_metric resyncs = {
        "kvserver_store_resyncs", KV_METRIC_COUNTER, NULL,
        "Times that the store lost the thread of its changes: all subscribers began anew"};
    const struct kv_store_link *store = &keyspace->store;
    struct store_metrics metrics = {.out = {.size = sizeof(struct kv_metrics_out),
                                            .number = tell_number,
                                            .durations = tell_durations},
                                    .text = text,
                                    .tells_seconds = keyspace->parts.store_tells_seconds};
    kv_metrics_number(text, &revision, kv_keyspace_revision(keyspace));
    kv_metrics_number(text, &well, kv_keyspace_is_well(keyspace));
    kv_metrics_number(text, &resyncs, kv_counter_read(&keyspace->feed.resyncs));
    if (store->ops->metrics != NULL)
        store->ops->metrics(store->store, &metrics.out);
    kv_partitions_collect(store, text);
}

static void collect_counts(const struct kv_keyspace *keyspace, struct kv_metrics_text *text)
{
    const struct kv_counts *counts[KV_KEYSPACE_MAX_LOOPS];
    for (uint32_t i = 0; i < keyspace->parts.n_loops; i++)
        counts[i] = &keyspace->loops[i].counts;
    kv_counts_collect(counts, keyspace->parts.n_loops, text);
}

void kv_keyspace_collect(struct kv_keyspace *keyspace, struct kv_metrics_text *text)
{
    static const struct kv_metric ready = {"kvserver_ready", KV_METRIC_GAUGE, NULL,
                                           "1 when the store is open and loaded"};
    static const struct kv_metric under_way = {"kvserver_commands_in_progress", KV_METRIC_GAUGE,
                                               NULL, "Commands that have no answer yet"};
    kv_metrics_number(text, &ready, kv_keyspace_is_ready(keyspace));
    kv_metrics_number(text, &under_way, kv_keyspace_under_way(keyspace));
    collect_counts(keyspace, text);
    kv_expiry_collect(&keyspace->expiry, text);
    kv_change_log_collect(&keyspace->feed.log, text);
    if (kv_keyspace_is_ready(keyspace))
        collect_store(keyspace, text);
}

/* ---- commands without a client ---- */

struct kv_command *kv_command_create(struct kv_keyspace_loop *home, enum kv_command_kind kind)
{
    return kv_commands_take(&home->commands, home, kind);
}

void kv_keyspace_send(struct kv_command *command)
{
    struct kv_gate *gate = &command->home->gate;
    kv_gate_enter(gate, command);
    kv_gate_admit(gate, command);
}

void kv_command_resume(struct kv_command *command, enum kv_verdict verdict)
{
    kv_gate_resume(&command->home->gate, command, verdict);
}

void kv_keyspace_submit_now(struct kv_keyspace_loop *here)
{
    kv_batch_submit(&here->batch);
    kv_batch_keep(&here->batch);
}

/* ---- holding writes, and items ---- */

void kv_keyspace_hold_writes(struct kv_keyspace *keyspace)
{
    atomic_fetch_add(&keyspace->rules.n_holds, 1);
}

void kv_keyspace_release_writes(struct kv_keyspace *keyspace)
{
    if (atomic_fetch_sub(&keyspace->rules.n_holds, 1) == 1)
        wake_all(keyspace);
}

void kv_keyspace_release(struct kv_keyspace *keyspace, struct kv_item *item)
{
    kv_item_release(&keyspace->store, item);
}

struct kv_item kv_keyspace_share(struct kv_keyspace *keyspace, const struct kv_item *item)
{
    return kv_item_share(&keyspace->store, item);
}

struct kv_item kv_keyspace_stage(struct kv_keyspace *keyspace, struct kv_slice key,
                                 struct kv_slice value)
{
    return kv_item_stage(&keyspace->store, key, value);
}

static void release_held(void *owner, void *ref)
{
    struct kv_item item = {.ref = ref};
    kv_keyspace_release(owner, &item);
}

struct kv_held kv_keyspace_hold(struct kv_keyspace *keyspace, const struct kv_item *item)
{
    if (item->ref == NULL)
        return (struct kv_held){.bytes = item->value};
    struct kv_item share = kv_keyspace_share(keyspace, item);
    return (struct kv_held){
        .bytes = share.value, .owner = keyspace, .ref = share.ref, .release = release_held};
}
