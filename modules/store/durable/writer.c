/*
 * The writer: takes what has come while it was busy, as one batch, and commits it. So batches grow
 * with the load and with what a sync takes, and a single write waits for nothing but its own.
 */
#include "impl.h"

#include <stdlib.h>
#include <sys/random.h>

#define HEAD  KV_SLICE("head")
#define EPOCH KV_SLICE("epoch")

enum {
    RETRY_MS = 200,          /* until deadlines that could not be judged are looked at again */
    FIRST_RECOVERY_MS = 200, /* until an ill engine is tried; then twice as long */
    LONGEST_RECOVERY_MS = 2000
};

/* ---- giving back ---- */

/* Jobs whose commands are in the batch, in order. */
struct taken {
    struct job *first;
    struct job **end;
    struct job *expiries;
};

/* Gives the commands of the first job, and of others of its loop as far as there is room, back in
 * one call. Returns: the jobs that are left, in order. */
static struct job *gather(struct kv_store *store, struct job *first)
{
    uint32_t loop = first->loop;
    struct job *others = NULL;
    struct job **end = &others;
    size_t n = 0;
    for (struct job *job = first, *next; job != NULL; job = next) {
        next = job->next;
        if (job->loop == loop && n + job->n_cmds <= MOST_GIVEN_BACK) {
            memcpy(store->given_back + n, job->cmds, job->n_cmds * sizeof(struct kv_cmd *));
            n += job->n_cmds;
            free(job);
        } else {
            *end = job;
            end = &job->next;
        }
    }
    *end = NULL;
    store->host->done(store->host, loop, store->given_back, n);
    return others;
}

/* A loop is called once for many of its jobs, as each call may have to wake it. */
static void give_commands_back(struct kv_store *store, struct job *job)
{
    while (job != NULL) {
        if (job->n_cmds <= MOST_GIVEN_BACK) {
            job = gather(store, job);
            continue;
        }
        struct job *next = job->next;
        store->host->done(store->host, job->loop, job->cmds, job->n_cmds);
        free(job);
        job = next;
    }
}

/* The part is looked at again when its next deadline is due. */
static void give_expiries_back(struct kv_store *store, struct job *job)
{
    while (job != NULL) {
        struct job *next = job->next;
        uint32_t part = job->expire.part;
        int64_t now_ms = store->host->base.now_ms(&store->host->base);
        int64_t next_ms = deadlines_next(&store->deadlines, part);
        bool is_stuck = store->ill != KV_ENGINE_OK || job->expire.n_decided == 0;
        if (is_stuck && next_ms <= now_ms)
            next_ms = now_ms + RETRY_MS;
        free(job);
        atomic_store(&store->is_expiring[part], false);
        store->host->wake_at(store->host, part, next_ms);
        job = next;
    }
}

/* ---- committing ---- */

static void fall_ill(struct kv_store *store, enum kv_engine_status why)
{
    if (store->ill == KV_ENGINE_OK)
        store->host->base.log(&store->host->base, KV_LOG_ERROR, "%s: %s: writes are refused",
                              store->path,
                              why == KV_ENGINE_FULL ? "the disk is full" : "the disk fails");
    if (store->ill == KV_ENGINE_OK)
        store->recover_wait_ms = FIRST_RECOVERY_MS;
    store->ill = why;
    store->recover_at_ms = queue_now_ms() + store->recover_wait_ms;
    if (store->recover_wait_ms < LONGEST_RECOVERY_MS)
        store->recover_wait_ms *= 2;
}

/* Whether the engine takes commits, if need be again. */
static bool is_well(struct kv_store *store)
{
    if (store->ill == KV_ENGINE_OK)
        return true;
    if (queue_now_ms() < store->recover_at_ms)
        return false;
    enum kv_engine_status status = store->ops->recover(store->engine);
    if (status == KV_ENGINE_OK)
        status = batch_undo(&store->batch);
    if (status != KV_ENGINE_OK) {
        fall_ill(store, status);
        return false;
    }
    store->ill = KV_ENGINE_OK;
    store->host->base.log(&store->host->base, KV_LOG_INFO, "%s: writes are taken again",
                          store->path);
    return true;
}

static void note_unsynced(struct kv_store *store)
{
    if (store->durability != DURABILITY_INTERVAL || store->is_unsynced)
        return;
    store->is_unsynced = true;
    store->sync_at_ms = queue_now_ms() + store->interval_ms;
}

static void commit(struct kv_store *store)
{
    struct batch *batch = &store->batch;
    bool has_changes = batch_has_changes(batch);
    if (has_changes && !is_well(store)) {
        batch_refuse(batch, store->ill);
        return;
    }
    enum kv_engine_status status = batch_commit(batch, store->durability == DURABILITY_ALWAYS);
    if (status != KV_ENGINE_OK)
        fall_ill(store, status);
    else if (has_changes)
        note_unsynced(store);
}

static void sync_if_due(struct kv_store *store)
{
    if (!store->is_unsynced || queue_now_ms() < store->sync_at_ms)
        return;
    enum kv_engine_status status = is_well(store) ? store->ops->sync(store->engine) : store->ill;
    store->is_unsynced = status != KV_ENGINE_OK;
    if (status == KV_ENGINE_OK)
        return;
    fall_ill(store, status);
    store->sync_at_ms = store->recover_at_ms;
}

static void finish_batch(struct kv_store *store, struct taken *taken)
{
    if (!batch_is_empty(&store->batch))
        commit(store);
    give_expiries_back(store, taken->expiries);
    give_commands_back(store, taken->first);
    *taken = (struct taken){.end = &taken->first};
    sync_if_due(store);
}

/* ---- taking ---- */

static void take_expiry(struct kv_store *store, struct job *job, struct taken *taken)
{
    job->expire.n_decided =
        batch_expire(&store->batch, job->expire.part, job->expire.now_ms, job->expire.max);
    job->next = taken->expiries;
    taken->expiries = job;
}

static void take_commands(struct kv_store *store, struct job *job, struct taken *taken)
{
    size_t n = 0;
    while ((n += batch_add(&store->batch, job->cmds + n, job->n_cmds - n)) < job->n_cmds)
        commit(store);
    job->next = NULL;
    *taken->end = job;
    taken->end = &job->next;
}

/* While it is not known what the engine has of a failed commit, pages would show it. */
static void run_scan(struct kv_store *store, struct job *job)
{
    if (store->batch.n_doubts == 0 || is_well(store))
        scan_fill(store, job->scan);
    else
        scan_fail(job->scan, KV_IO);
    store->host->scan_done(store->host, job->loop, job->scan);
    free(job);
}

/* A vector is not parted for it. */
static bool is_full(const struct kv_store *store)
{
    return store->batch.n_cmds + store->batch.n_due >= store->ops->max_batch ||
           batch_is_full(&store->batch);
}

static void run_jobs(struct kv_store *store, struct job *job)
{
    struct taken taken = {.end = &taken.first};
    deadlines_load(&store->deadlines, store->host->base.now_ms(&store->host->base));
    while (job != NULL) {
        struct job *next = job->next;
        if (job->kind == JOB_SCAN || is_full(store))
            finish_batch(store, &taken);
        if (job->kind == JOB_SCAN)
            run_scan(store, job);
        else if (job->kind == JOB_EXPIRE)
            take_expiry(store, job, &taken);
        else
            take_commands(store, job, &taken);
        job = next;
    }
    finish_batch(store, &taken);
}

/* When there is something to do even if no job comes. */
static int64_t wake_at_ms(const struct kv_store *store)
{
    int64_t at_ms = store->is_unsynced ? store->sync_at_ms : KV_NEVER;
    if (store->ill != KV_ENGINE_OK && store->recover_at_ms < at_ms)
        at_ms = store->recover_at_ms;
    return at_ms;
}

void *writer_run(void *argument)
{
    struct kv_store *store = argument;
    bool is_closed = false;
    while (!is_closed) {
        run_jobs(store, queue_take_all(&store->writes, wake_at_ms(store), &is_closed));
        is_well(store); /* an ill engine is tried again whether or not there are writes */
    }
    return NULL;
}

/* ---- opening and closing ---- */

struct meta {
    struct record_store_head head;
    bool has_head;
    char epoch[33];
};

static void take_head(void *context, struct kv_slice value)
{
    struct meta *meta = context;
    meta->has_head = record_store_head_read(value, &meta->head);
}

static void take_epoch(void *context, struct kv_slice value)
{
    struct meta *meta = context;
    if (value.len == sizeof(meta->epoch) - 1)
        memcpy(meta->epoch, value.bytes, value.len);
}

static int make_epoch(char epoch[33], struct kv_error *reterr)
{
    unsigned char random[16];
    if (getrandom(random, sizeof(random), 0) != sizeof(random))
        return kv_error_set(reterr, "the system has no random bytes for the epoch");
    for (size_t i = 0; i < sizeof(random); i++)
        snprintf(epoch + 2 * i, 3, "%02x", random[i]);
    return 0;
}

/* Begins anew: revisions start where no other store's of this server can have been. */
static int make_meta(struct kv_store *store, struct meta *meta, struct kv_error *reterr)
{
    const struct kv_host *host = &store->host->base;
    if (make_epoch(meta->epoch, reterr) != 0)
        return -1;
    uint64_t revision = (uint64_t)host->wall_us(host) & KV_REVISION_MAX;
    meta->head = (struct record_store_head){.revision = revision, .reserved = revision};
    struct kv_slice epoch = kv_slice_of(meta->epoch);
    store->ops->put(store->engine, KV_ENGINE_META, EPOCH, &epoch, 1);
    return 0;
}

static int read_meta(struct kv_store *store, struct meta *meta, struct kv_error *reterr)
{
    enum kv_engine_status head =
        store->ops->get(store->engine, KV_ENGINE_META, HEAD, true, take_head, meta);
    enum kv_engine_status epoch =
        store->ops->get(store->engine, KV_ENGINE_META, EPOCH, true, take_epoch, meta);
    if (head == KV_ENGINE_ABSENT && epoch == KV_ENGINE_ABSENT && store->folder.is_new)
        return make_meta(store, meta, reterr);
    if (head == KV_ENGINE_OK && epoch == KV_ENGINE_OK && meta->has_head && meta->epoch[0] != '\0')
        return 0;
    return kv_error_set(reterr, "%s: damaged: its database is empty, or cannot be read",
                        store->path);
}

/* The store's clock goes on from the wall clock, or from where it was, if that is later: a wall
 * clock that was set back makes no deadline later than it was. */
static void start_clock(struct kv_store *store, const struct meta *meta)
{
    const struct kv_host *host = &store->host->base;
    int64_t wall_ms = host->wall_us(host) / 1000;
    int64_t start_ms = meta->head.seen_ms > wall_ms ? meta->head.seen_ms : wall_ms;
    store->clock.offset_ms = start_ms - host->now_ms(host);
}

static void start_batch(struct kv_store *store, const struct meta *meta)
{
    struct batch *batch = &store->batch;
    batch->host = store->host;
    batch->ops = store->ops;
    batch->engine = store->engine;
    batch->states = store->states;
    batch->deadlines = &store->deadlines;
    batch->clock = store->clock;
    batch->revision = meta->head.is_clean ? meta->head.revision : meta->head.reserved;
}

int writer_open(struct kv_store *store, struct kv_error *reterr)
{
    struct meta meta = {0};
    if (read_meta(store, &meta, reterr) != 0)
        return -1;
    memcpy(store->epoch, meta.epoch, sizeof(store->epoch));
    start_clock(store, &meta);
    start_batch(store, &meta);
    deadlines_init(&store->deadlines, store->host, store->ops, store->engine, store->clock);
    enum kv_engine_status status = batch_write_head(&store->batch, false);
    if (status != KV_ENGINE_OK)
        return kv_error_set(reterr, "%s: cannot be written to: %s", store->path,
                            status == KV_ENGINE_FULL ? "the disk is full"
                                                     : "the disk fails, or the files are damaged");
    deadlines_load(&store->deadlines, store->host->base.now_ms(&store->host->base));
    return 0;
}

void writer_close(struct kv_store *store)
{
    store->recover_at_ms = 0; /* the last chance */
    if (is_well(store) && batch_write_head(&store->batch, true) == KV_ENGINE_OK)
        return;
    store->host->base.log(&store->host->base, KV_LOG_ERROR,
                          "%s: closed without a last write: the disk is full or fails",
                          store->path);
}
