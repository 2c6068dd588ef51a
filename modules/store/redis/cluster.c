/*
 * Locks: one of the cluster, for the changes that partitions have reported and the results that are
 * held; and one for each loop's turn. None is held while the host or a partition is called, except
 * to put a job into a partition's inbox.
 */
#include "cluster.h"

#include "nodes.h"
#include "record.h"
#include "worker.h"

#include <stdarg.h>
#include <stdlib.h>
#include <time.h>

enum {
    TOLD_AT_ONCE = 64,
    GLANCE_MS = 50,
    LONGEST_LINE = 512,
    FIRST_ROOM = 64,
    PASSING_MS = 5000, /* by which the clocks of masters may differ when the store opens */
};

#define MOST_PENDING_BYTES ((size_t)64 << 20) /* of all partitions */

/* A change that waits for its turn, or a resync. */
struct pending {
    struct kv_change change;
    bool is_resync;
    bool is_elsewhere;
};

struct queue {
    struct pending *slots;
    size_t first, n, capacity; /* a power of two, or 0 */
};

struct shard {
    struct kv_store_host host; /* the partition's */
    struct cluster *cluster;
    struct kv_store *store;
    struct queue pending;
    _Atomic size_t pending_bytes;
    uint64_t upto;    /* changes that come have larger revisions */
    uint64_t last;    /* the last revision in line */
    struct jobs held; /* final; `revision` has to be told before they are given back */
    bool is_well;
    bool has_begun; /* its thread runs */
    char text[LONGEST_LINE];
};

/* The writes of a loop: to one partition at a time, and each with a larger revision than those
 * before it, so that all take effect in the order submitted. A read waits behind waiting writes to
 * its partition. */
struct turn {
    pthread_mutex_t lock;
    uint32_t part;
    size_t n_under_way;
    uint64_t last; /* the largest revision of those that have been executed */
    struct jobs waiting;
    size_t n_writes[MOST_PARTS]; /* of those that wait, by partition */
};

struct cluster {
    const struct kv_store_host *host;
    struct nodes *nodes;
    bool orders_all;
    int64_t timeout_ms;
    pthread_mutex_t lock;
    pthread_cond_t is_work;
    bool has_work, is_closing, has_thread, is_open;
    bool has_news, is_reporting; /* of the partitions' health */
    pthread_t thread;
    _Atomic uint64_t told;
    uint32_t n_loops, n_shards;
    struct turn *turns;
    struct shard shards[MOST_PARTS];
};

static struct shard *shard_of(const struct kv_store_host *host)
{
    return (struct shard *)(void *)host;
}

/* ---- what is in line ---- */

static bool reserve(struct queue *queue)
{
    if (queue->n < queue->capacity)
        return true;
    size_t capacity = queue->capacity == 0 ? FIRST_ROOM : 2 * queue->capacity;
    struct pending *slots = calloc(capacity, sizeof(*slots));
    if (slots == NULL)
        return false;
    for (size_t i = 0; i < queue->n; i++)
        slots[i] = queue->slots[(queue->first + i) & (queue->capacity - 1)];
    free(queue->slots);
    *queue = (struct queue){.slots = slots, .n = queue->n, .capacity = capacity};
    return true;
}

static struct pending take_first(struct queue *queue)
{
    struct pending first = queue->slots[queue->first];
    queue->first = (queue->first + 1) & (queue->capacity - 1);
    queue->n--;
    return first;
}

static size_t bytes_of(const struct kv_change *change)
{
    return sizeof(struct pending) + change->key.len + change->before.value.len +
           change->after.value.len;
}

static void append(struct shard *shard, const struct pending *pending)
{
    struct queue *queue = &shard->pending;
    queue->slots[(queue->first + queue->n++) & (queue->capacity - 1)] = *pending;
    shard->pending_bytes += bytes_of(&pending->change);
}

static void release(struct shard *shard, const struct pending *pending)
{
    shard->pending_bytes -= bytes_of(&pending->change);
    record_unref(pending->change.before.ref);
    record_unref(pending->change.after.ref);
}

/* Wakes the thread. Under the lock. */
static void alert(struct cluster *cluster)
{
    cluster->has_work = true;
    pthread_cond_signal(&cluster->is_work);
}

/* A change whose revision has been passed already cannot be told in order: it becomes a resync. */
static void line_up(struct shard *shard, const struct kv_change *change, bool is_elsewhere)
{
    struct cluster *cluster = shard->cluster;
    struct pending pending = {.change = *change, .is_elsewhere = is_elsewhere};
    pthread_mutex_lock(&cluster->lock);
    uint64_t told = cluster->told;
    if (change->revision <= told && !cluster->is_open) {
        pthread_mutex_unlock(&cluster->lock);
        return; /* nobody was told anything yet */
    }
    if (change->revision <= told || !reserve(&shard->pending)) {
        if (reserve(&shard->pending))
            append(shard, &(struct pending){.change = {.revision = told + 1}, .is_resync = true});
        alert(cluster);
        pthread_mutex_unlock(&cluster->lock);
        return;
    }
    if (change->before.ref != NULL)
        record_ref(change->before.ref);
    if (change->after.ref != NULL)
        record_ref(change->after.ref);
    append(shard, &pending);
    shard->last = change->revision;
    if (shard->upto < change->revision)
        shard->upto = change->revision;
    alert(cluster);
    pthread_mutex_unlock(&cluster->lock);
}

static void shard_changed(const struct kv_store_host *host, uint32_t part,
                          const struct kv_change *change)
{
    (void)part;
    line_up(shard_of(host), change, false);
}

static void shard_changed_elsewhere(const struct kv_store_host *host, uint32_t part,
                                    const struct kv_change *change)
{
    (void)part;
    line_up(shard_of(host), change, true);
}

static void shard_resync(const struct kv_store_host *host, uint32_t part)
{
    struct shard *shard = shard_of(host);
    struct cluster *cluster = shard->cluster;
    (void)part;
    pthread_mutex_lock(&cluster->lock);
    if (reserve(&shard->pending)) {
        uint64_t revision = shard->upto > cluster->told ? shard->upto : cluster->told + 1;
        append(shard, &(struct pending){.change = {.revision = revision}, .is_resync = true});
    }
    alert(cluster);
    pthread_mutex_unlock(&cluster->lock);
}

/* No further change of this partition will have a revision up to this one. */
static void pass(void *context, uint64_t revision)
{
    struct shard *shard = context;
    pthread_mutex_lock(&shard->cluster->lock);
    if (shard->upto < revision)
        shard->upto = revision;
    alert(shard->cluster);
    pthread_mutex_unlock(&shard->cluster->lock);
}

/* ---- giving back ---- */

static uint32_t part_of(const struct cluster *cluster, struct kv_slice key)
{
    return nodes_part_of(key, cluster->shards[0].store->epoch, cluster->n_shards);
}

static bool is_write(const struct job *job)
{
    return job->kind == JOB_COMMAND && job->cmd->op != KV_OP_GET;
}

static void give_back(struct cluster *cluster, struct job *job, bool is_late)
{
    const struct kv_store_host *host = cluster->host;
    if (job->kind == JOB_WAKE) {
        host->wake_at(host, job->loop, job->deadline_ms);
        return;
    }
    if (is_late)
        worker_drop_result(job);
    if (job->kind == JOB_SCAN) {
        if (is_late)
            job->scan->status = KV_UNAVAILABLE;
        host->scan_done(host, job->loop, job->scan);
        return;
    }
    if (is_late)
        job->cmd->status = is_write(job) ? KV_UNKNOWN : KV_UNAVAILABLE;
    host->done(host, job->loop, &job->cmd, 1);
}

/* Keeps a result until what its partition reported before it has been told. */
static void hold_result(struct shard *shard, const struct job *job)
{
    struct cluster *cluster = shard->cluster;
    struct job held = *job;
    pthread_mutex_lock(&cluster->lock);
    held.revision = shard->last;
    held.since_ms = link_clock_ms();
    bool has_room = jobs_reserve(&shard->held, 1);
    if (has_room)
        jobs_append(&shard->held, &held);
    alert(cluster);
    pthread_mutex_unlock(&cluster->lock);
    if (!has_room)
        give_back(cluster, &held, true);
}

static void fail_unsent(struct cluster *cluster, const struct job *job)
{
    struct job failed = *job;
    failed.cmd->status = KV_FULL;
    failed.cmd->revision = 0;
    hold_result(&cluster->shards[part_of(cluster, failed.cmd->key)], &failed);
}

/* Submits what waits and may go, in order, so that nothing overtakes it: under the turn's lock.
 * Returns: false and *ret_failed where there was no memory to submit that one. */
static bool submit_waiting(struct cluster *cluster, struct turn *turn, struct job *ret_failed)
{
    while (turn->waiting.n != 0) {
        uint32_t part = part_of(cluster, jobs_at(&turn->waiting, 0)->cmd->key);
        bool takes_turn = is_write(jobs_at(&turn->waiting, 0));
        if (takes_turn && turn->n_under_way != 0 && part != turn->part)
            break;
        struct job job = jobs_take_first(&turn->waiting);
        if (takes_turn) {
            turn->n_writes[part]--;
            turn->part = part;
            turn->n_under_way++;
            job.after = turn->last;
        }
        if (!worker_submit(cluster->shards[part].store, &job, 1)) {
            *ret_failed = job;
            return false;
        }
    }
    return true;
}

/* A write of the loop has been executed: submits those behind it whose turn it is. revision: what
 * it was answered with. */
static void go_on(struct cluster *cluster, uint32_t loop, uint64_t revision)
{
    struct turn *turn = &cluster->turns[loop];
    struct job failed;
    if (!cluster->orders_all)
        return;
    pthread_mutex_lock(&turn->lock);
    turn->n_under_way--;
    if (turn->last < revision)
        turn->last = revision;
    while (!submit_waiting(cluster, turn, &failed)) {
        turn->n_under_way -= is_write(&failed);
        pthread_mutex_unlock(&turn->lock);
        fail_unsent(cluster, &failed);
        pthread_mutex_lock(&turn->lock);
    }
    pthread_mutex_unlock(&turn->lock);
}

static void hold(struct shard *shard, const struct job *job)
{
    bool was_write = is_write(job); /* before it is held: then it may be freed at any time */
    uint64_t revision = was_write ? job->cmd->revision : 0;
    hold_result(shard, job);
    if (was_write)
        go_on(shard->cluster, job->loop, revision);
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

/* Under the lock. Returns: whether all partitions are well; if not, the text of the first that is
 * not. */
static bool are_all_well(const struct cluster *cluster, char text[LONGEST_LINE])
{
    for (uint32_t i = 0; i < cluster->n_shards; i++)
        if (!cluster->shards[i].is_well) {
            memcpy(text, cluster->shards[i].text, LONGEST_LINE);
            return false;
        }
    text[0] = '\0';
    return true;
}

/* One thread reports at a time, and again if anything has changed meanwhile: so the last report is
 * how things are. */
static void shard_health(const struct kv_store_host *host, bool is_well, const char *text)
{
    struct shard *shard = shard_of(host);
    struct cluster *cluster = shard->cluster;
    char first[LONGEST_LINE];
    pthread_mutex_lock(&cluster->lock);
    shard->is_well = is_well;
    snprintf(shard->text, sizeof(shard->text), "%s", text);
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
    pthread_mutex_unlock(&cluster->lock);
}

static void shard_touched(const struct kv_store_host *host, uint32_t part, struct kv_slice key,
                          uint64_t revision, int64_t deadline_ms)
{
    const struct shard *shard = shard_of(host);
    const struct kv_store_host *real = shard->cluster->host;
    (void)part;
    real->touched(real, shard->store->part, key, revision, deadline_ms);
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
    };
}

/* ---- telling ---- */

/* Returns: the partition that has the next change of all; NULL: there is none, or it is not known
 * yet. *ret_wanted: the revision that all partitions have to pass. */
static struct shard *find_next(struct cluster *cluster, uint64_t *ret_wanted)
{
    struct shard *next = NULL;
    uint64_t first = UINT64_MAX;
    *ret_wanted = 0;
    for (uint32_t i = 0; i < cluster->n_shards; i++) {
        struct shard *shard = &cluster->shards[i];
        if (shard->pending.n == 0)
            continue;
        uint64_t revision = shard->pending.slots[shard->pending.first].change.revision;
        if (revision < first) {
            first = revision;
            next = shard;
        }
        if (*ret_wanted < shard->last)
            *ret_wanted = shard->last;
    }
    for (uint32_t i = 0; next != NULL && i < cluster->n_shards; i++)
        if (cluster->shards[i].pending.n == 0 && cluster->shards[i].upto < first)
            return NULL;
    return next;
}

/* Makes the partitions that have not passed the revision ask Redis. */
static void ask_to_pass(struct cluster *cluster, uint64_t wanted)
{
    for (uint32_t i = 0; i < cluster->n_shards; i++) {
        struct shard *shard = &cluster->shards[i];
        if (shard->upto < wanted && shard->store->look_for < wanted) {
            shard->store->look_for = wanted;
            worker_wake(shard->store);
        }
    }
}

struct told {
    struct pending pending;
    uint32_t part;
};

static size_t take_next(struct cluster *cluster, struct told told[TOLD_AT_ONCE])
{
    size_t n = 0;
    uint64_t wanted = 0;
    struct shard *next;
    while (n < TOLD_AT_ONCE && (next = find_next(cluster, &wanted)) != NULL)
        told[n++] = (struct told){take_first(&next->pending), next->store->part};
    ask_to_pass(cluster, wanted);
    return n;
}

static void tell(struct cluster *cluster, const struct told *told)
{
    const struct kv_store_host *host = cluster->host;
    const struct kv_change *change = &told->pending.change;
    if (change->revision > cluster->told)
        cluster->told = change->revision;
    if (told->pending.is_resync)
        host->resync(host, told->part);
    else if (told->pending.is_elsewhere)
        host->changed_elsewhere(host, told->part, change);
    else
        host->changed(host, told->part, change);
    release(&cluster->shards[told->part], &told->pending);
}

static bool is_overdue(const struct cluster *cluster, const struct job *job)
{
    return link_clock_ms() - job->since_ms > cluster->timeout_ms;
}

/* Returns: whether there was one. *ret_is_late: it has waited too long, and must not be shown. */
static bool take_ready(struct cluster *cluster, struct job *ret, bool *ret_is_late)
{
    for (uint32_t i = 0; i < cluster->n_shards; i++) {
        struct jobs *held = &cluster->shards[i].held;
        if (held->n == 0)
            continue;
        bool is_ready = jobs_at(held, 0)->revision <= cluster->told;
        if (!is_ready && !is_overdue(cluster, jobs_at(held, 0)))
            continue;
        *ret = jobs_take_first(held);
        *ret_is_late = !is_ready;
        return true;
    }
    return false;
}

static void give_back_ready(struct cluster *cluster)
{
    struct job job;
    bool is_late, is_there;
    do {
        pthread_mutex_lock(&cluster->lock);
        is_there = take_ready(cluster, &job, &is_late);
        pthread_mutex_unlock(&cluster->lock);
        if (is_there)
            give_back(cluster, &job, is_late);
    } while (is_there);
}

static void wait_for_work(struct cluster *cluster)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += GLANCE_MS * 1000000L;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    if (!cluster->has_work && !cluster->is_closing)
        pthread_cond_timedwait(&cluster->is_work, &cluster->lock, &until);
    cluster->has_work = false;
}

static void *tell_all(void *arg)
{
    struct cluster *cluster = arg;
    struct told told[TOLD_AT_ONCE];
    bool is_closing = false;
    while (!is_closing) {
        pthread_mutex_lock(&cluster->lock);
        wait_for_work(cluster);
        size_t n = take_next(cluster, told);
        cluster->has_work = cluster->has_work || n == TOLD_AT_ONCE;
        is_closing = cluster->is_closing;
        pthread_mutex_unlock(&cluster->lock);
        for (size_t i = 0; i < n; i++)
            tell(cluster, &told[i]);
        give_back_ready(cluster);
    }
    return NULL;
}

/* ---- opening and closing ---- */

static struct cluster *create(const struct kv_store *store, struct nodes *nodes, uint32_t n_parts)
{
    struct cluster *cluster = calloc(1, sizeof(*cluster));
    struct turn *turns = calloc(store->host->n_loops, sizeof(*turns));
    pthread_condattr_t attributes;
    if (cluster == NULL || turns == NULL) {
        free(cluster);
        free(turns);
        return NULL;
    }
    cluster->host = store->host;
    cluster->nodes = nodes;
    cluster->orders_all = store->settings.orders_all;
    cluster->timeout_ms = store->settings.timeout_ms;
    cluster->n_loops = store->host->n_loops;
    cluster->n_shards = n_parts;
    cluster->turns = turns;
    for (uint32_t i = 0; i < cluster->n_loops; i++)
        pthread_mutex_init(&turns[i].lock, NULL);
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
    part->settings = store->settings;
    part->settings.address.resolver = &part->resolver;
    part->settings.address.gives_up = &part->is_closing;
    if (part->settings.address.tls.name.len == 0)
        part->settings.address.tls.name.bytes = part->node_host;
    part->part = part->next_node = number;
    part->n_parts = shard->cluster->n_shards;
    part->nodes = shard->cluster->nodes;
    part->wanted_epoch = number == 0 ? NULL : shard->cluster->shards[0].store->epoch;
    part->passed = pass;
    part->context = shard;
    nodes_write_tag(number, part->n_parts, part->tag);
    nodes_try_next(part);
    return part;
}

static void pause_ms(int ms)
{
    nanosleep(&(struct timespec){.tv_nsec = ms * 1000000L}, NULL);
}

static int open_parts(struct kv_store *store,
                      int (*open_part)(struct kv_store *part, struct kv_error *reterr),
                      struct kv_error *reterr)
{
    struct cluster *cluster = store->cluster;
    for (uint32_t i = 0; i < cluster->n_shards; i++) {
        struct shard *shard = &cluster->shards[i];
        shard->store = create_part(store, shard, i);
        if (shard->store == NULL)
            return kv_error_set(reterr, "no memory");
        int64_t until_ms = link_clock_ms() + store->settings.timeout_ms;
        while (open_part(shard->store, reterr) != 0) { /* some nodes may be down */
            if (link_clock_ms() > until_ms)
                return -1;
            pause_ms(GLANCE_MS);
        }
        if (cluster->told < shard->store->position)
            cluster->told = shard->store->position;
    }
    return 0;
}

/* If so, the store is open from then on. A reader is told no changes, so it need not wait. */
static bool have_all_passed(struct cluster *cluster, bool is_read_only)
{
    bool have = true;
    pthread_mutex_lock(&cluster->lock);
    ask_to_pass(cluster, cluster->told);
    for (uint32_t i = 0; i < cluster->n_shards && !is_read_only; i++)
        have = have && cluster->shards[i].upto >= cluster->told;
    cluster->is_open = have;
    pthread_mutex_unlock(&cluster->lock);
    return have;
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
    int fault = pthread_create(&cluster->thread, NULL, tell_all, cluster);
    if (fault != 0)
        return kv_error_set(reterr, "no thread: %s", strerror(fault));
    cluster->has_thread = true;
    return 0;
}

int cluster_open(struct kv_store *store, struct nodes *nodes, uint32_t n_parts,
                 int (*open_part)(struct kv_store *part, struct kv_error *reterr),
                 struct kv_error *reterr)
{
    store->cluster = create(store, nodes, n_parts);
    if (store->cluster == NULL) {
        nodes_destroy(nodes);
        return kv_error_set(reterr, "no memory");
    }
    return open_parts(store, open_part, reterr) == 0 ? start_threads(store, reterr) : -1;
}

static void close_shard(struct shard *shard)
{
    while (shard->pending.n != 0) {
        struct pending pending = take_first(&shard->pending);
        release(shard, &pending);
    }
    free(shard->pending.slots);
    jobs_clear(&shard->held);
    if (shard->store != NULL)
        worker_destroy(shard->store);
    free(shard->store);
}

void cluster_close(struct kv_store *store)
{
    struct cluster *cluster = store->cluster;
    if (cluster == NULL)
        return;
    for (uint32_t i = 0; i < cluster->n_shards; i++)
        if (cluster->shards[i].has_begun)
            worker_stop(cluster->shards[i].store);
    pthread_mutex_lock(&cluster->lock);
    cluster->is_closing = true;
    alert(cluster);
    pthread_mutex_unlock(&cluster->lock);
    if (cluster->has_thread)
        pthread_join(cluster->thread, NULL);
    for (uint32_t i = 0; i < cluster->n_shards; i++)
        close_shard(&cluster->shards[i]);
    for (uint32_t i = 0; i < cluster->n_loops; i++) {
        jobs_clear(&cluster->turns[i].waiting);
        pthread_mutex_destroy(&cluster->turns[i].lock);
    }
    free(cluster->turns);
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

/* Returns: whether it may go now. */
static bool take_turn(struct cluster *cluster, uint32_t part, struct job *job)
{
    struct turn *turn = &cluster->turns[job->loop];
    bool takes_turn = is_write(job);
    pthread_mutex_lock(&turn->lock);
    bool is_to_wait = takes_turn
                          ? turn->waiting.n != 0 || (turn->n_under_way != 0 && turn->part != part)
                          : turn->n_writes[part] != 0;
    if (is_to_wait && jobs_reserve(&turn->waiting, 1)) {
        jobs_append(&turn->waiting, job);
        turn->n_writes[part] += takes_turn;
    } else {
        is_to_wait = false;
        turn->part = takes_turn ? part : turn->part;
        turn->n_under_way += takes_turn;
        job->after = takes_turn ? turn->last : 0;
    }
    pthread_mutex_unlock(&turn->lock);
    return !is_to_wait;
}

void cluster_submit(struct kv_store *store, const struct job *job)
{
    struct cluster *cluster = store->cluster;
    uint32_t part = part_of(cluster, job->cmd->key);
    struct job turned = *job;
    bool may_go = !cluster->orders_all || take_turn(cluster, part, &turned);
    if (!may_go || worker_submit(cluster->shards[part].store, &turned, 1))
        return;
    bool was_write = is_write(&turned);
    fail_unsent(cluster, &turned);
    if (was_write)
        go_on(cluster, turned.loop, 0);
}

bool cluster_scan(struct kv_store *store, const struct job *job)
{
    struct cluster *cluster = store->cluster;
    struct kv_slice cursor = job->scan->cursor;
    uint32_t part = 0;
    if (cursor.len == 2 && cursor.bytes[0] == RECORD_PART_MARK)
        part = (unsigned char)cursor.bytes[1];
    else if (cursor.len != 0)
        part = part_of(cluster, (struct kv_slice){cursor.bytes + 1, cursor.len - 1});
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

uint64_t cluster_revision(struct kv_store *store)
{
    return store->cluster->told;
}
