#include "durable.h"

#include <errno.h>
#include <stdlib.h>

#include "reader.h"
#include "readers.h"
#include "scan.h"
#include "writer.h"

struct kv_store {
    struct base base;
    struct writer writer;
    struct change_log log;
    struct readers readers;
};

const char *const kv_durable_durabilities[] = {"always", "interval", "os", NULL};

/* ---- commands ---- */

/* The writes of a vector so far, by a few bits of their hashes: a GET after a write of its key must
 * take the same way. */
static uint64_t mark_of(uint64_t hash)
{
    return UINT64_C(1) << (hash & 63);
}

/* A vector in progress: the commands that the loop cannot answer itself. */
struct sorted {
    struct job *writes;
    struct job *reads;
    struct job *staged; /* writes of long values, and later writes of their keys */
    uint64_t written;
};

/* Returns: false if memory runs out. */
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
    return is_long || job_has(sorted->staged, cmd->hash) ||
                   stager_has(&store->writer.stager, cmd->hash)
               ? &sorted->staged
               : &sorted->writes;
}

static struct job **way_of(struct kv_store *store, struct sorted *sorted, struct kv_cmd *cmd)
{
    if (cmd->op != KV_OP_GET)
        return way_of_write(store, sorted, cmd);
    if ((sorted->written & mark_of(cmd->hash)) != 0)
        return job_has(sorted->staged, cmd->hash) ? &sorted->staged : &sorted->writes;
    switch (reader_get(&store->base, cmd, false)) {
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
        queue_push(&store->readers.jobs, sorted.reads);
    if (sorted.writes != NULL)
        queue_push(&store->writer.jobs, sorted.writes);
    if (sorted.staged != NULL)
        stager_push(&store->writer.stager, sorted.staged);
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
    queue_push(&store->readers.jobs, job);
}

int64_t kv_durable_expire(struct kv_store *store, uint32_t part, int64_t now_ms, uint32_t max)
{
    return writer_expire(&store->writer, part, now_ms, max);
}

void kv_durable_read_log(struct kv_store *store, uint32_t loop, struct kv_log_page *page)
{
    struct job *job = job_create(JOB_LOG, loop, 0);
    if (job == NULL) {
        page->n = 0;
        page->status = KV_FULL;
        return;
    }
    page->is_deferred = true;
    job->page = page;
    queue_push(&store->readers.jobs, job);
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

/* The writer makes its own entries; this one keeps the bytes of the command until it is final. */
struct kv_item kv_durable_stage(struct kv_store *store, struct kv_slice key, struct kv_slice value)
{
    (void)store;
    struct kv_item staged = {0};
    struct entry *entry = entry_create(key, 0, value, 1, KV_NEVER);
    if (entry != NULL)
        staged = entry_item(entry);
    return staged;
}

uint64_t kv_durable_revision(struct kv_store *store)
{
    return atomic_load(&store->writer.committer.newest);
}

/* ---- metrics ---- */

void kv_durable_metrics(struct kv_store *store, struct kv_metrics_out *out)
{
    static const struct kv_metric keys = {"kvserver_store_keys", KV_METRIC_GAUGE, NULL,
                                          "Keys, about"};
    static const struct kv_metric bytes = {"kvserver_store_disk_bytes", KV_METRIC_GAUGE, "bytes",
                                           "The database on the disk, without the journal"};
    const struct base *base = &store->base;
    struct kv_engine_counts counts = {0};
    if (base->ops->count != NULL)
        base->ops->count(base->engine, &counts);
    int64_t n_keys = (int64_t)counts.keys + overlay_more_keys(base->overlay);
    out->number(out, &keys, n_keys > 0 ? (uint64_t)n_keys : 0);
    out->number(out, &bytes, counts.bytes);
    journal_metrics(&store->writer.committer.journal, out);
}

/* ---- life ---- */

void kv_durable_info(struct kv_store *store, struct kv_store_info *ret_info)
{
    ret_info->parts = DEADLINES_PARTS;
    memcpy(ret_info->epoch, store->base.epoch, sizeof(store->base.epoch));
}

static int start_threads(struct kv_store *store, uint32_t n_readers, struct kv_error *reterr)
{
    int fault = readers_start(&store->readers, n_readers);
    if (fault == 0)
        fault = writer_start(&store->writer);
    return fault == 0
               ? 0
               : kv_error_set(reterr, "%s: no thread: %s", store->base.path, strerror(fault));
}

/* Readers are stopped first: they pass on to the writer what they cannot answer. */
static void destroy(struct kv_store *store)
{
    readers_stop(&store->readers);
    writer_close(&store->writer);
    readers_fini(&store->readers);
    change_log_fini(&store->log);
    writer_fini(&store->writer);
    overlay_destroy(store->base.overlay);
    states_destroy(store->base.states);
    if (store->base.engine != NULL)
        store->base.ops->close(store->base.engine);
    folder_close(&store->base.folder);
    free(store);
}

static struct base base_of(const struct kv_store_host *host, const struct kv_option_value *options,
                           const struct kv_engine_ops *ops)
{
    return (struct base){
        .host = host,
        .ops = ops,
        .path = options[KV_DURABLE_OPTION_PATH].string.bytes,
        .folder = {.lock = -1},
        .states = states_create(&host->base, (size_t)options[KV_DURABLE_OPTION_CACHE].integer),
        .overlay = overlay_create(),
        .durability = (enum durability)options[KV_DURABLE_OPTION_DURABILITY].integer,
        .interval_ms = options[KV_DURABLE_OPTION_INTERVAL].integer,
        .journal_size = (size_t)options[KV_DURABLE_OPTION_JOURNAL].integer,
    };
}

static struct kv_store *create(const struct kv_store_host *host,
                               const struct kv_option_value *options,
                               const struct kv_engine_ops *ops)
{
    struct kv_store *store = calloc(1, sizeof(*store));
    if (store == NULL)
        return NULL;
    store->base = base_of(host, options, ops);
    writer_init(&store->writer, &store->base);
    change_log_init(&store->log, &store->base, &store->writer.committer.journal,
                    &store->writer.committer.newest);
    readers_init(&store->readers, &store->base, &store->log, &store->writer.jobs);
    return store;
}

/* Opens the database, and applies the journal to it. */
/* Called before the engine converts its files, so that no older server writes to them afterwards. A
 * folder without a journal is marked once it has one. */
static int mark_ahead(const struct base *base, struct kv_error *reterr)
{
    if (base->folder.is_new || base->folder.format == FOLDER_FORMAT_WITHOUT_JOURNAL)
        return 0;
    return folder_mark(base->path, base->ops->name, &base->folder, reterr);
}

static int open_engine(struct kv_store *store, const struct kv_option_value *options,
                       struct kv_error *reterr)
{
    struct base *base = &store->base;
    if (mark_ahead(base, reterr) != 0)
        return -1;
    if (base->ops->open(&base->host->base, base->folder.database, options, &base->engine, reterr) !=
        0)
        return -1;
    return writer_open(&store->writer, reterr) != 0 ||
                   folder_mark(base->path, base->ops->name, &base->folder, reterr) != 0
               ? -1
               : 0;
}

/* Returns: 1 if it has to be recovered, and the engine is closed again. */
static int open_engine_to_read(struct kv_store *store, const struct kv_option_value *options,
                               struct kv_error *reterr)
{
    struct base *base = &store->base;
    int result = base->ops->open_to_read(&base->host->base, base->folder.database, options,
                                         &base->engine, reterr);
    if (result == 0)
        result = writer_open_to_read(&store->writer, reterr);
    base->is_read_only = result == 0;
    if (result == 1 && base->engine != NULL) {
        base->ops->close(base->engine);
        base->engine = NULL;
    }
    return result;
}

static int recover(struct kv_store *store, const struct kv_option_value *options,
                   struct kv_error *reterr)
{
    struct kv_error error;
    if (open_engine(store, options, &error) == 0)
        return 0;
    return kv_error_set(
        reterr,
        "%s: was not closed in order, or is of an older format, and cannot be recovered: %s",
        store->base.path, error.text);
}

static int open_to_write(struct kv_store *store, const struct kv_option_value *options,
                         struct kv_error *reterr)
{
    struct base *base = &store->base;
    if (folder_open(base->path, base->ops->name, &base->folder, reterr) != 0)
        return -1;
    recovery_open_reserve(&store->writer.recovery);
    return open_engine(store, options, reterr);
}

static int open_to_read(struct kv_store *store, const struct kv_option_value *options,
                        struct kv_error *reterr)
{
    struct base *base = &store->base;
    if (folder_find(base->path, base->ops->name, &base->folder, reterr) != 0)
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
    if (store == NULL || store->base.states == NULL || store->base.overlay == NULL) {
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
