#include "durable.h"

#include <errno.h>
#include <stdlib.h>

#include "commit.h"
#include "reader.h"
#include "scan.h"
#include "shared.h"
#include "writer.h"

enum {
    LEAST_RESERVE = 1 << 20 /* less is of no use */
};

const char *const kv_durable_durabilities[] = {"always", "interval", "os", NULL};

/* ---- commands ---- */

/* The writes that a vector had so far, by a few bits of their hashes: a GET behind one of its key
 * has to go the same way. */
static uint64_t mark_of(uint64_t hash)
{
    return UINT64_C(1) << (hash & 63);
}

/* A vector on its way: what loops cannot answer themselves. */
struct sorted {
    struct job *writes;
    struct job *reads;
    struct job *staged; /* writes of long values, and what has to stay behind them */
    uint64_t written;
};

/* Returns: false where there is no memory. */
static bool put_in(struct job **job, uint32_t loop, struct kv_cmd *cmd, size_t n)
{
    if (*job == NULL && (*job = job_create(JOB_COMMANDS, loop, n)) == NULL)
        return false;
    cmd->is_deferred = true;
    (*job)->cmds[(*job)->n_cmds++] = cmd;
    return true;
}

static void fail(struct kv_cmd *cmd)
{
    cmd->is_deferred = false;
    cmd->status = cmd->op == KV_OP_GET ? KV_IO : KV_FULL;
    cmd->revision = 0;
}

static bool job_has(const struct job *job, uint64_t hash)
{
    size_t n = job == NULL ? 0 : job->n_cmds;
    while (n != 0 && job->cmds[n - 1]->hash != hash)
        n--;
    return n != 0;
}

static struct job **way_of_write(struct kv_store *store, struct sorted *sorted,
                                 const struct kv_cmd *cmd)
{
    bool is_long = cmd->op == KV_OP_SET && cmd->value.len > KV_LONG_VALUE;
    sorted->written |= mark_of(cmd->hash);
    return is_long || job_has(sorted->staged, cmd->hash) || stager_has(&store->stager, cmd->hash)
               ? &sorted->staged
               : &sorted->writes;
}

static struct job **way_of(struct kv_store *store, struct sorted *sorted, struct kv_cmd *cmd)
{
    if (cmd->op != KV_OP_GET)
        return way_of_write(store, sorted, cmd);
    if ((sorted->written & mark_of(cmd->hash)) != 0)
        return job_has(sorted->staged, cmd->hash) ? &sorted->staged : &sorted->writes;
    switch (reader_get(store, cmd, false)) {
    case GLANCE_HELD:
        return &sorted->writes;
    case GLANCE_UNKNOWN:
        return &sorted->reads;
    default:
        return NULL;
    }
}

void kv_durable_submit(struct kv_store *store, uint32_t loop, struct kv_cmd *const *cmds, size_t n)
{
    struct sorted sorted = {0};
    for (size_t i = 0; i < n; i++) {
        struct job **way = way_of(store, &sorted, cmds[i]);
        if (way != NULL && !put_in(way, loop, cmds[i], n - i))
            fail(cmds[i]);
    }
    if (sorted.reads != NULL)
        queue_push(&store->reads, sorted.reads);
    if (sorted.writes != NULL)
        queue_push(&store->writes, sorted.writes);
    if (sorted.staged != NULL)
        stager_push(&store->stager, sorted.staged);
}

void kv_durable_scan(struct kv_store *store, uint32_t loop, struct kv_scan *scan)
{
    struct job *job = job_create(JOB_SCAN, loop, 0);
    if (job == NULL) {
        scan_fail(scan, KV_FULL);
        return;
    }
    scan->is_deferred = true;
    job->scan = scan;
    queue_push(&store->writes, job);
}

int64_t kv_durable_expire(struct kv_store *store, uint32_t part, int64_t now_ms, uint32_t max)
{
    if (atomic_exchange(&store->is_expiring[part], true))
        return KV_EXPIRING;
    struct job *job = job_create(JOB_EXPIRE, 0, 0);
    if (job == NULL) {
        atomic_store(&store->is_expiring[part], false);
        return now_ms + 1000;
    }
    job->expire.part = part;
    job->expire.now_ms = now_ms;
    job->expire.max = max;
    queue_push(&store->writes, job);
    return KV_EXPIRING;
}

/* ---- items ---- */

void kv_durable_ref(struct kv_store *store, void *ref)
{
    (void)store;
    entry_ref(ref);
}

void kv_durable_unref(struct kv_store *store, void *ref)
{
    (void)store;
    entry_unref(ref);
}

/* ---- life ---- */

void kv_durable_info(struct kv_store *store, struct kv_store_info *ret_info)
{
    ret_info->parts = DEADLINES_PARTS;
    memcpy(ret_info->epoch, store->epoch, sizeof(store->epoch));
}

/* name: at most 15 letters, for who looks at the process's threads. */
static int start_thread(pthread_t *ret, const char *name, void *(*run)(void *),
                        struct kv_store *store, struct kv_error *reterr)
{
    int fault = pthread_create(ret, NULL, run, store);
    if (fault != 0)
        return kv_error_set(reterr, "%s: no thread: %s", store->path, strerror(fault));
    pthread_setname_np(*ret, name);
    return 0;
}

static int start_threads(struct kv_store *store, uint32_t n_readers, struct kv_error *reterr)
{
    store->readers = calloc(n_readers, sizeof(pthread_t));
    if (store->readers == NULL)
        return kv_error_set(reterr, "%s: no memory", store->path);
    for (; store->n_readers < n_readers; store->n_readers++)
        if (start_thread(&store->readers[store->n_readers], "store-reader", reader_run, store,
                         reterr) != 0)
            return -1;
    const struct held_source source = {
        .states = store->states, .ops = store->ops, .engine = store->engine, .clock = store->clock};
    int fault = stager_start(&store->stager, &source);
    if (fault == 0)
        fault = syncer_start(&store->syncer);
    if (fault == 0)
        fault = applier_start(&store->applier, store->engine, store->clock, store->journal_size);
    if (fault != 0)
        return kv_error_set(reterr, "%s: no thread: %s", store->path, strerror(fault));
    if (start_thread(&store->writer, "store-writer", writer_run, store, reterr) != 0)
        return -1;
    store->has_writer = true;
    return 0;
}

/* Readers first: what they cannot answer goes to the writer. */
static void stop_threads(struct kv_store *store)
{
    queue_close(&store->reads);
    while (store->n_readers != 0)
        pthread_join(store->readers[--store->n_readers], NULL);
    stager_stop(&store->stager);
    queue_close(&store->writes);
    if (store->has_writer)
        pthread_join(store->writer, NULL);
}

static void destroy(struct kv_store *store)
{
    stop_threads(store);
    if (store->has_writer)
        commit_close(store);
    stager_fini(&store->stager);
    syncer_fini(&store->syncer);
    applier_fini(&store->applier);
    changes_fini(&store->changes);
    rows_fini(&store->rows);
    journal_close(&store->journal);
    batch_fini(&store->turns[0].batch);
    batch_fini(&store->turns[1].batch);
    deadlines_fini(&store->deadlines);
    states_destroy(store->states);
    if (store->engine != NULL)
        store->ops->close(store->engine);
    folder_close(&store->folder);
    reserve_fini(&store->reserve);
    queue_fini(&store->writes);
    queue_fini(&store->reads);
    free(store->readers);
    free(store);
}

static struct kv_store *create(const struct kv_store_host *host,
                               const struct kv_option_value *options,
                               const struct kv_engine_ops *ops)
{
    struct kv_store *store = calloc(1, sizeof(*store));
    if (store == NULL)
        return NULL;
    store->host = host;
    store->ops = ops;
    store->path = options[KV_DURABLE_OPTION_PATH].string.bytes;
    store->durability = (enum durability)options[KV_DURABLE_OPTION_DURABILITY].integer;
    store->interval_ms = options[KV_DURABLE_OPTION_INTERVAL].integer;
    store->journal_size = (size_t)options[KV_DURABLE_OPTION_JOURNAL].integer;
    store->folder.lock = -1;
    store->states = states_create(&host->base, (size_t)options[KV_DURABLE_OPTION_CACHE].integer);
    queue_init(&store->writes);
    queue_init(&store->reads);
    stager_init(&store->stager, host, &store->journal.values, &store->writes, ops->max_row,
                commit_most_journal(store));
    syncer_init(&store->syncer, &store->journal, &store->writes);
    applier_init(&store->applier, ops, store->states, &store->journal, &store->writes);
    return store;
}

/* The database, and what the journal has for it. */
static int open_engine(struct kv_store *store, const struct kv_option_value *options,
                       struct kv_error *reterr)
{
    if (store->ops->open(&store->host->base, store->folder.database, options, &store->engine,
                         reterr) != 0)
        return -1;
    return writer_open(store, reterr) != 0 ||
                   folder_mark(store->path, store->ops->name, &store->folder, reterr) != 0
               ? -1
               : 0;
}

/* Returns: 1 where it has to be recovered, and the engine is closed again. */
static int open_engine_to_read(struct kv_store *store, const struct kv_option_value *options,
                               struct kv_error *reterr)
{
    int result = store->ops->open_to_read(&store->host->base, store->folder.database, options,
                                          &store->engine, reterr);
    if (result == 0)
        result = writer_open_to_read(store, reterr);
    store->is_only_read = result == 0;
    if (result == 1 && store->engine != NULL) {
        store->ops->close(store->engine);
        store->engine = NULL;
    }
    return result;
}

static int recover(struct kv_store *store, const struct kv_option_value *options,
                   struct kv_error *reterr)
{
    struct kv_error error;
    if (open_engine(store, options, &error) == 0)
        return 0;
    return kv_error_set(reterr, "%s: was not closed in order, and cannot be recovered: %s",
                        store->path, error.text);
}

/* As much of it as the disk has room for. */
static void make_reserve(struct kv_store *store)
{
    size_t size = commit_reserve_size(store);
    size_t made = size;
    while (reserve_make(&store->reserve, made) == KV_ENGINE_FULL && made / 2 >= LEAST_RESERVE)
        made /= 2;
    if (!store->reserve.is_held)
        store->host->base.log(
            &store->host->base, KV_LOG_WARN,
            "%s: the disk has no room for a reserve: if it gets full, deletes are "
            "refused, too",
            store->path);
    else if (made != size)
        store->host->base.log(&store->host->base, KV_LOG_WARN,
                              "%s: the disk has room for a reserve of %zu MiB instead of %zu",
                              store->path, made >> 20, size >> 20);
}

/* A store that finds its disk full when it is opened begins with the reserve that it has. */
static void open_reserve(struct kv_store *store)
{
    reserve_init(&store->reserve, store->path);
    store->room.is_disk_full = store->reserve.is_held &&
                               folder_try_room(store->path) == KV_ENGINE_FULL &&
                               reserve_give_up(&store->reserve);
    if (!store->room.is_disk_full)
        make_reserve(store);
    else
        store->host->base.log(&store->host->base, KV_LOG_WARN,
                              "%s: the disk is full: deletes and expiries are taken, and nothing "
                              "else",
                              store->path);
}

static int open_to_write(struct kv_store *store, const struct kv_option_value *options,
                         struct kv_error *reterr)
{
    if (folder_open(store->path, store->ops->name, &store->folder, reterr) != 0)
        return -1;
    open_reserve(store);
    return open_engine(store, options, reterr);
}

static int open_to_read(struct kv_store *store, const struct kv_option_value *options,
                        struct kv_error *reterr)
{
    if (folder_find(store->path, store->ops->name, &store->folder, reterr) != 0)
        return -1;
    int result = open_engine_to_read(store, options, reterr);
    return result == 1 ? recover(store, options, reterr) : result;
}

typedef int (*open_fn)(struct kv_store *store, const struct kv_option_value *options,
                       struct kv_error *reterr);

static int open_with(const struct kv_store_host *host, const struct kv_option_value *options,
                     const struct kv_engine_ops *ops, open_fn open_files,
                     struct kv_store **ret_store, struct kv_error *reterr)
{
    struct kv_store *store = create(host, options, ops);
    if (store == NULL || store->states == NULL) {
        if (store != NULL)
            destroy(store);
        return kv_error_set(reterr, "%s: no memory", ops->name);
    }
    uint32_t n_readers = (uint32_t)options[KV_DURABLE_OPTION_READERS].integer;
    if (open_files(store, options, reterr) != 0 || start_threads(store, n_readers, reterr) != 0) {
        destroy(store);
        return -1;
    }
    *ret_store = store;
    return 0;
}

int kv_durable_open(const struct kv_store_host *host, const struct kv_option_value *options,
                    const struct kv_engine_ops *ops, struct kv_store **ret_store,
                    struct kv_error *reterr)
{
    return open_with(host, options, ops, open_to_write, ret_store, reterr);
}

int kv_durable_open_to_read(const struct kv_store_host *host, const struct kv_option_value *options,
                            const struct kv_engine_ops *ops, struct kv_store **ret_store,
                            struct kv_error *reterr)
{
    return open_with(host, options, ops, open_to_read, ret_store, reterr);
}

void kv_durable_check(const struct kv_option_value *options, const struct kv_engine_ops *ops,
                      const struct kv_faults *faults)
{
    struct kv_error error;
    const char *path = options[KV_DURABLE_OPTION_PATH].string.bytes;
    if (folder_judge(path, ops->name, &error) != 0)
        faults->add(faults, "path", "%s", error.text);
}

void kv_durable_close(struct kv_store *store)
{
    destroy(store);
}
