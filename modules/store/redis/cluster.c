/*
 * The composition: a host for each partition, which passes on to the real one what telling.h and
 * turns.h say.
 */
#include "cluster.h"

#include "catching_up.h"
#include "drift.h"
#include "opening.h"
#include "record.h"
#include "report.h"
#include "session.h"
#include "survey.h"
#include "telling.h"
#include "turns.h"
#include "worker.h"

#include <stdarg.h>
#include <stdlib.h>
#include <time.h>

enum {
    GLANCE_MS = 50,
    PASSING_MS = 5000, /* by which the clocks of masters may differ when the store opens */
};

#define NS_PER_MS          UINT64_C(1000000)
#define MOST_PENDING_BYTES ((size_t)64 << 20) /* of all partitions */

static struct shard *shard_of(const struct kv_store_host *host)
{
    return (struct shard *)(void *)host;
}

/* ---- changes ---- */

static void shard_changed(const struct kv_store_host *host, uint32_t part,
                          const struct kv_change *change)
{
    (void)part;
    telling_line_up(shard_of(host), change, false);
}

static void shard_changed_elsewhere(const struct kv_store_host *host, uint32_t part,
                                    const struct kv_change *change)
{
    (void)part;
    telling_line_up(shard_of(host), change, true);
}

static void shard_resync(const struct kv_store_host *host, uint32_t part)
{
    (void)part;
    telling_line_up_resync(shard_of(host));
}

/* ---- giving back ---- */

static void hold(struct shard *shard, const struct job *job)
{
    bool was_write = shards_is_write(job); /* before it is held: then it may be freed at any time */
    uint64_t revision = was_write ? job->cmd->revision : 0;
    telling_hold(shard, job);
    if (was_write)
        turns_go_on(shard->cluster, job->loop, revision);
}

static void shard_done(const struct kv_store_host *host, uint32_t loop, struct kv_cmd *const *cmds,
                       size_t n)
{
    for (size_t i = 0; i < n; i++)
        hold(shard_of(host), &(struct job){.kind = JOB_COMMAND, .loop = loop, .cmd = cmds[i]});
}

/* After the last page of a partition, the cursor points to the next partition. */
static void move_on(struct shard *shard, struct kv_scan *scan)
{
    uint32_t next = shard->store->part + 1;
    if (scan->status != KV_OK || scan->next.len != 0 || next == shard->cluster->n_shards)
        return;
    char number = (char)next;
    struct record *cursor = record_create((struct kv_slice){&number, 1}, (struct kv_slice){0});
    if (cursor == NULL) {
        scan->status = KV_FULL;
        for (uint32_t i = 0; i < scan->n; i++)
            record_unref(scan->entries[i].item.ref);
        scan->n = 0;
        return;
    }
    cursor->bytes[0] = RECORD_PART_MARK;
    scan->next = record_cursor(cursor);
    scan->next_ref = cursor;
}

/* An empty page is not given back if more partitions follow: the next one gets the scan. Returns:
 * whether it did. */
static bool hand_on(const struct shard *shard, uint32_t loop, struct kv_scan *scan)
{
    uint32_t next = shard->store->part + 1;
    struct job job = {.kind = JOB_SCAN,
                      .loop = loop,
                      .scan = scan,
                      .is_from_start = true,
                      .since_ms = link_clock_ms()};
    if (scan->status != KV_OK || scan->n != 0 || scan->next.len != 0 ||
        next == shard->cluster->n_shards)
        return false;
    scan->status = KV_PENDING;
    if (worker_submit(shard->cluster->shards[next].store, &job, 1))
        return true;
    scan->status = KV_FULL;
    return false;
}

static void shard_scan_done(const struct kv_store_host *host, uint32_t loop, struct kv_scan *scan)
{
    struct shard *shard = shard_of(host);
    if (hand_on(shard, loop, scan))
        return;
    move_on(shard, scan);
    hold(shard, &(struct job){.kind = JOB_SCAN, .loop = loop, .scan = scan});
}

/* ---- the rest of a partition's host ---- */

static void shard_wake_at(const struct kv_store_host *host, uint32_t part, int64_t deadline_ms)
{
    (void)part;
    hold(shard_of(host), &(struct job){.kind = JOB_WAKE,
                                       .loop = shard_of(host)->store->part,
                                       .deadline_ms = deadline_ms});
}

/* Under the lock. Returns: whether all partitions are well, and the clocks; if not, the text of the
 * first that is not. */
static bool are_all_well(const struct cluster *cluster, char text[LONGEST_LINE])
{
    for (uint32_t i = 0; i < cluster->n_shards; i++)
        if (!cluster->shards[i].is_well) {
            memcpy(text, cluster->shards[i].text, LONGEST_LINE);
            return false;
        }
    memcpy(text, cluster->drift_text, LONGEST_LINE);
    return text[0] == '\0';
}

/* Under the lock. One thread reports at a time, and again if anything has changed meanwhile: so the
 * last report is how things are. */
static void report_health(struct cluster *cluster)
{
    char first[LONGEST_LINE];
    cluster->has_news = true;
    while (cluster->has_news && !cluster->is_reporting) {
        bool is_all_well = are_all_well(cluster, first);
        cluster->has_news = false;
        cluster->is_reporting = true;
        pthread_mutex_unlock(&cluster->lock);
        cluster->host->health(cluster->host, is_all_well, first);
        pthread_mutex_lock(&cluster->lock);
        cluster->is_reporting = false;
    }
}

static void shard_health(const struct kv_store_host *host, bool is_well, const char *text)
{
    struct shard *shard = shard_of(host);
    pthread_mutex_lock(&shard->cluster->lock);
    shard->is_well = is_well;
    snprintf(shard->text, sizeof(shard->text), "%s", text);
    report_health(shard->cluster);
    pthread_mutex_unlock(&shard->cluster->lock);
}

static void shard_passed(void *context, uint64_t revision)
{
    struct shard *shard = context;
    telling_pass(shard, revision);
    if (drift_watch(shard->cluster)) {
        pthread_mutex_lock(&shard->cluster->lock);
        report_health(shard->cluster);
        pthread_mutex_unlock(&shard->cluster->lock);
    }
}

static const struct neighbours neighbours = {
    .passed = shard_passed, .beside = telling_find_beside, .passed_beside = telling_pass_beside};

static void shard_touched(const struct kv_store_host *host, uint32_t part, struct kv_slice key,
                          uint64_t revision, int64_t deadline_ms)
{
    const struct shard *shard = shard_of(host);
    const struct kv_store_host *real = shard->cluster->host;
    (void)part;
    real->touched(real, shard->store->part, key, revision, deadline_ms);
}

static void shard_show(const struct kv_store_host *host, uint32_t part, uint64_t claim,
                       uint16_t mark, const struct kv_change *change)
{
    const struct shard *shard = shard_of(host);
    const struct kv_store_host *real = shard->cluster->host;
    (void)part;
    real->show(real, shard->store->part, claim, mark, change);
}

static bool shard_may_show(const struct kv_store_host *host)
{
    const struct kv_store_host *real = shard_of(host)->cluster->host;
    return real->may_show(real);
}

/* Each partition has a share of its own. One that has nothing in line may always read: the others
 * may be waiting for what it reads. */
static bool shard_may_tell(const struct kv_store_host *host)
{
    const struct shard *shard = shard_of(host);
    const struct cluster *cluster = shard->cluster;
    size_t bytes = shard->pending_bytes;
    bool has_room = bytes == 0 || bytes < MOST_PENDING_BYTES / cluster->n_shards;
    return has_room && cluster->host->may_tell(cluster->host);
}

static uint64_t shard_hash(const struct kv_store_host *host, struct kv_slice key)
{
    const struct kv_store_host *real = shard_of(host)->cluster->host;
    return real->hash(real, key);
}

static const struct kv_store_host *real_host(const struct kv_host *host)
{
    return shard_of((const struct kv_store_host *)(const void *)host)->cluster->host;
}

static int64_t shard_now_ms(const struct kv_host *host)
{
    return real_host(host)->base.now_ms(&real_host(host)->base);
}

static int64_t shard_wall_us(const struct kv_host *host)
{
    return real_host(host)->base.wall_us(&real_host(host)->base);
}

KV_PRINTF(3, 4)
static void shard_log(const struct kv_host *host, enum kv_log_level level, const char *format, ...)
{
    char line[LONGEST_LINE];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    real_host(host)->base.log(&real_host(host)->base, level, "%s", line);
}

static struct kv_store_host make_host(const struct kv_store_host *real)
{
    return (struct kv_store_host){
        .base = {.size = sizeof(struct kv_store_host),
                 .now_ms = shard_now_ms,
                 .wall_us = shard_wall_us,
                 .log = shard_log},
        .n_loops = real->n_loops,
        .hash = shard_hash,
        .changed = shard_changed,
        .changed_elsewhere = shard_changed_elsewhere,
        .wake_at = shard_wake_at,
        .done = shard_done,
        .scan_done = shard_scan_done,
        .resync = shard_resync,
        .health = shard_health,
        .may_tell = shard_may_tell,
        .touched = shard_touched,
        .has_observers = real->has_observers,
        .show = shard_show,
        .may_show = shard_may_show,
    };
}

/* ---- opening and closing ---- */

static struct cluster *create(const struct kv_store *store, struct nodes *nodes, uint32_t n_parts)
{
    struct cluster *cluster = calloc(1, sizeof(*cluster));
    struct turn *turns = turns_create(store->host->n_loops);
    pthread_condattr_t attributes;
    if (cluster == NULL || turns == NULL) {
        free(cluster);
        turns_destroy(turns, turns == NULL ? 0 : store->host->n_loops);
        return NULL;
    }
    cluster->host = store->host;
    cluster->nodes = nodes;
    cluster->orders_all = store->settings.orders_all;
    cluster->timeout_ms = store->settings.timeout_ms;
    cluster->n_loops = store->host->n_loops;
    cluster->n_shards = n_parts;
    cluster->turns = turns;
    pthread_mutex_init(&cluster->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&cluster->is_work, &attributes);
    pthread_condattr_destroy(&attributes);
    for (uint32_t i = 0; i < n_parts; i++)
        cluster->shards[i] =
            (struct shard){.host = make_host(store->host), .cluster = cluster, .is_well = true};
    return cluster;
}

static struct kv_store *create_part(const struct kv_store *store, struct shard *shard,
                                    uint32_t number)
{
    struct kv_store *part = calloc(1, sizeof(*part));
    if (part == NULL)
        return NULL;
    part->host = &shard->host;
    part->is_read_only = store->is_read_only;
    part->origin = store->origin;
    part->opening = store->opening;
    part->settings = store->settings;
    part->settings.address.resolver = &part->resolver;
    part->settings.address.gives_up = &part->is_closing;
    if (part->settings.address.tls.name.len == 0)
        part->settings.address.tls.name.bytes = part->node_host;
    part->part = part->next_node = number;
    part->n_parts = shard->cluster->n_shards;
    part->nodes = shard->cluster->nodes;
    part->first = number == 0 ? NULL : shard->cluster->shards[0].store;
    part->neighbours = &neighbours;
    part->context = shard;
    part->told = &shard->cluster->told;
    nodes_write_tag(number, part->n_parts, part->tag);
    nodes_try_next(part);
    return part;
}

static void pause_ms(int ms)
{
    nanosleep(&(struct timespec){.tv_nsec = ms * 1000000L}, NULL);
}

static int create_parts(struct kv_store *store,
                        int (*prepare_part)(struct kv_store *part, struct kv_error *reterr),
                        struct kv_error *reterr)
{
    struct cluster *cluster = store->cluster;
    struct kv_store *parts[MOST_PARTS];
    for (uint32_t i = 0; i < cluster->n_shards; i++) {
        parts[i] = cluster->shards[i].store = create_part(store, &cluster->shards[i], i);
        if (parts[i] == NULL || !telling_init(&cluster->shards[i]))
            return kv_error_set(reterr, "no memory");
        if (prepare_part(parts[i], reterr) != 0)
            return -1;
    }
    return survey_partitions(parts, cluster->n_shards, reterr);
}

static int open_parts(struct kv_store *store, struct kv_error *reterr)
{
    struct cluster *cluster = store->cluster;
    for (uint32_t i = 0; i < cluster->n_shards; i++) {
        struct shard *shard = &cluster->shards[i];
        int64_t until_ms = link_clock_ms() + store->settings.timeout_ms;
        while (session_open(shard->store, reterr) != 0) { /* some nodes may be down */
            if (link_clock_ms() > until_ms)
                return -1;
            opening_note(shard->store, reterr);
            pause_ms(GLANCE_MS);
        }
        report_connection(shard->store, true, "");
        if (cluster->told < shard->store->position)
            cluster->told = cluster->newest = cluster->taken = shard->store->position;
    }
    return survey_end(cluster->shards[0].store, reterr);
}

/* If so, the store is open from then on. A reader is told no changes, so it need not wait. */
static bool have_all_passed(struct cluster *cluster, bool is_read_only)
{
    bool have = true;
    pthread_mutex_lock(&cluster->lock);
    telling_ask_to_pass(cluster, cluster->told);
    for (uint32_t i = 0; i < cluster->n_shards && !is_read_only; i++)
        have = have && cluster->shards[i].upto >= cluster->told;
    cluster->is_open = have;
    pthread_mutex_unlock(&cluster->lock);
    return have;
}

/* If their difference is longer than the timeout, no write would be answered in time. */
static int check_clocks(const struct kv_store *store, struct kv_error *reterr)
{
    int64_t timeout_ms = store->settings.timeout_ms;
    struct drift drift;
    char text[LONGEST_LINE];
    drift_measure(store->cluster, &drift);
    if (store->is_read_only || drift.apart_ms < (timeout_ms < PASSING_MS ? timeout_ms : PASSING_MS))
        return 0;
    drift_describe(store->cluster, &drift, text);
    return kv_error_set(reterr, "%s", text);
}

static int start_threads(struct kv_store *store, struct kv_error *reterr)
{
    struct cluster *cluster = store->cluster;
    int64_t until_ms = link_clock_ms() + PASSING_MS;
    for (uint32_t i = 0; i < cluster->n_shards; i++) {
        if (worker_start(cluster->shards[i].store, reterr) != 0)
            return -1;
        cluster->shards[i].has_begun = true;
    }
    while (!have_all_passed(cluster, store->is_read_only)) {
        if (link_clock_ms() > until_ms)
            return kv_error_set(reterr,
                                "Redis Cluster: the clocks of its masters are more than "
                                "%d ms apart",
                                PASSING_MS);
        pause_ms(1);
    }
    int fault = pthread_create(&cluster->thread, NULL, telling_run, cluster);
    if (fault != 0)
        return kv_error_set(reterr, "no thread: %s", strerror(fault));
    cluster->has_thread = true;
    return 0;
}

int cluster_open(struct kv_store *store, struct nodes *nodes, uint32_t n_parts,
                 int (*prepare_part)(struct kv_store *part, struct kv_error *reterr),
                 struct kv_error *reterr)
{
    store->cluster = create(store, nodes, n_parts);
    if (store->cluster == NULL) {
        nodes_destroy(nodes);
        return kv_error_set(reterr, "no memory");
    }
    if (create_parts(store, prepare_part, reterr) != 0 || open_parts(store, reterr) != 0 ||
        check_clocks(store, reterr) != 0)
        return -1;
    return start_threads(store, reterr);
}

static void close_shard(struct shard *shard)
{
    telling_clear(shard);
    if (shard->store != NULL)
        worker_destroy(shard->store);
    free(shard->store);
}

/* All at once: each leaves its lease. */
static void stop_threads(struct cluster *cluster)
{
    for (uint32_t i = 0; i < cluster->n_shards; i++)
        if (cluster->shards[i].has_begun)
            worker_end(cluster->shards[i].store);
    for (uint32_t i = 0; i < cluster->n_shards; i++)
        if (cluster->shards[i].has_begun)
            worker_join(cluster->shards[i].store);
}

void cluster_close(struct kv_store *store)
{
    struct cluster *cluster = store->cluster;
    if (cluster == NULL)
        return;
    stop_threads(cluster);
    pthread_mutex_lock(&cluster->lock);
    cluster->is_closing = true;
    telling_alert(cluster);
    pthread_mutex_unlock(&cluster->lock);
    if (cluster->has_thread)
        pthread_join(cluster->thread, NULL);
    for (uint32_t i = 0; i < cluster->n_shards; i++)
        close_shard(&cluster->shards[i]);
    turns_destroy(cluster->turns, cluster->n_loops);
    pthread_cond_destroy(&cluster->is_work);
    pthread_mutex_destroy(&cluster->lock);
    nodes_destroy(cluster->nodes);
    free(cluster);
}

/* ---- as a store ---- */

void cluster_info(struct kv_store *store, struct kv_store_info *ret_info)
{
    ret_info->parts = store->cluster->n_shards;
    ret_info->lacks = KV_STORE_ORDERED | KV_STORE_SEEKS;
    memcpy(ret_info->epoch, store->cluster->shards[0].store->epoch, KV_EPOCH_MAX);
}

void cluster_submit(struct kv_store *store, const struct job *job)
{
    if (job->cmd->op == KV_OP_CATCH_UP)
        catching_up_submit(store->cluster, job);
    else
        turns_submit(store->cluster, job);
}

bool cluster_scan(struct kv_store *store, const struct job *job)
{
    struct cluster *cluster = store->cluster;
    struct kv_slice cursor = job->scan->cursor;
    uint32_t part = 0;
    if (cursor.len == 2 && cursor.bytes[0] == RECORD_PART_MARK)
        part = (unsigned char)cursor.bytes[1];
    else if (cursor.len != 0)
        part = shards_part_of(cluster, (struct kv_slice){cursor.bytes + 1, cursor.len - 1});
    return worker_submit(cluster->shards[part].store, job, 1);
}

struct kv_store *cluster_part(struct kv_store *store, uint32_t part)
{
    return store->cluster->shards[part].store;
}

uint32_t cluster_n_parts(const struct kv_store *store)
{
    return store->cluster->n_shards;
}

uint64_t cluster_n_held(struct kv_store *store, uint32_t part)
{
    struct cluster *cluster = store->cluster;
    pthread_mutex_lock(&cluster->lock);
    uint64_t n = cluster->shards[part].held.n;
    pthread_mutex_unlock(&cluster->lock);
    return n;
}

void cluster_metrics(const struct kv_store *store, struct kv_metrics_out *out)
{
    static const struct kv_metric apart = {"kvserver_store_clock_difference_seconds",
                                           KV_METRIC_GAUGE, "seconds",
                                           "How far the clocks of Redis's masters are apart at "
                                           "least"};
    static const struct kv_metric late = {
        "kvserver_store_late_results", KV_METRIC_COUNTER, NULL,
        "Commands that Redis has executed, but whose changes could not be told in time"};
    const struct cluster *cluster = store->cluster;
    struct drift drift = {0};
    if (cluster != NULL)
        drift_measure(cluster, &drift);
    out->number(out, &apart, (uint64_t)drift.apart_ms * NS_PER_MS);
    out->number(out, &late, cluster == NULL ? 0 : cluster->n_late);
}

uint64_t cluster_revision(struct kv_store *store)
{
    return store->cluster->newest;
}
