/*
 * The engine `rocksdb`: a log-structured merge tree. Each table is a column family; a commit is one
 * write batch. RocksDB's own write-ahead log is not used: the store has a journal. RocksDB may
 * flush tables to the disk at any time, except the one with the head, which is too small for that:
 * only persist() flushes it, after the others.
 *
 * A read that may not wait searches the memtables and the block cache; RocksDB returns "incomplete"
 * if the answer may be on the disk.
 *
 * After a failed flush, RocksDB accepts no more writes, and the C interface cannot resume it. So
 * recover() closes and reopens it once the disk has room; `access` keeps readers out until the rows
 * that were only in memory have been filled in again.
 *
 * Nothing is compacted until the refilled rows are on the disk, as a compaction could take the last
 * space.
 *
 * RocksDB's own log contains only its options: the second line that does not fit on the disk fails
 * an assertion, and assertions are enabled in Debian's library (7.8.3). Failures are in the
 * server's log.
 *
 * RocksDB keeps deleted rows until it compacts a file for other reasons. So it is told to compact
 * files with many deletions close together, which frees the space.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include <rocksdb/c.h>

#include "../durable/durable.h"
#include "../durable/folder.h"

enum {
    DELETIONS_AMONG = 1024, /* consecutive rows of a file */
    DELETIONS = 256,        /* deletions among them that trigger a compaction */
    ERASED = 50000,       /* erased records; then they are flushed, so that compaction sees them */
    READ_TIER_MEMORY = 1, /* kBlockCacheTier */
    READ_TIER_DISK = 2,   /* kPersistedTier */
    BITS_PER_KEY = 10,    /* of the filters: 1 % false positives */
    PERF_NOTHING = 1,     /* PerfLevel::kDisable: counting costs a fifth of an insertion */
    LOG_FATAL = 4,        /* of RocksDB's levels */
    LOG_FILES = 1,
    N_REACHES = KV_ENGINE_ON_DISK + 1
};

enum {
    OPTION_BLOCK_CACHE = KV_DURABLE_N_OPTIONS,
    OPTION_WRITE_BUFFER,
    N_OPTIONS
};

static const char *const table_names[KV_ENGINE_N_TABLES] = {
    [KV_ENGINE_RECORDS] = "default",
    [KV_ENGINE_DEADLINES] = "deadlines",
    [KV_ENGINE_META] = "meta",
};

struct kv_engine {
    const struct kv_host *host;
    char *folder;
    bool is_only_read;
    rocksdb_options_t *options;
    rocksdb_block_based_table_options_t *table_options;
    rocksdb_cache_t *cache;
    rocksdb_readoptions_t *read[N_REACHES];
    rocksdb_writeoptions_t *write;

    pthread_rwlock_t access; /* for the two below, which only recover() writes */
    rocksdb_t *db;           /* NULL: it could not be reopened */
    rocksdb_column_family_handle_t *tables[KV_ENGINE_N_TABLES];

    bool holds_compactions; /* until the refilled rows are on the disk */
    rocksdb_writebatch_t *batch;
    size_t n_erased; /* records, since the last flush */
};

/* ---- errors ---- */

static enum kv_engine_status classify(const char *error)
{
    return strstr(error, "No space left") != NULL || strstr(error, "NoSpace") != NULL ||
                   strstr(error, "Disk quota") != NULL
               ? KV_ENGINE_FULL
               : KV_ENGINE_FAILED;
}

/* Takes ownership of the text, logs it, and returns its status. */
static enum kv_engine_status report(struct kv_engine *engine, const char *what, char *error)
{
    enum kv_engine_status status = classify(error);
    engine->host->log(engine->host, KV_LOG_WARN, "%s: %s: %s", engine->folder, what, error);
    rocksdb_free(error);
    return status;
}

/* ---- reading ---- */

static bool enter(struct kv_engine *engine, enum kv_engine_reach reach)
{
    return reach == KV_ENGINE_IN_MEMORY ? pthread_rwlock_tryrdlock(&engine->access) == 0
                                        : pthread_rwlock_rdlock(&engine->access) == 0;
}

static enum kv_engine_status read_row(struct kv_engine *engine, enum kv_engine_table table,
                                      struct kv_slice key, enum kv_engine_reach reach,
                                      kv_engine_take_fn take, void *context)
{
    char *error = NULL;
    if (engine->db == NULL)
        return KV_ENGINE_FAILED;
    rocksdb_pinnableslice_t *pinned =
        rocksdb_get_pinned_cf(engine->db, engine->read[reach], engine->tables[table],
                              key.len == 0 ? "" : key.bytes, key.len, &error);
    if (error != NULL && reach == KV_ENGINE_IN_MEMORY && strstr(error, "incomplete") != NULL) {
        rocksdb_free(error);
        return KV_ENGINE_WAITING;
    }
    if (error != NULL)
        return report(engine, "a row cannot be read", error);
    if (pinned == NULL)
        return KV_ENGINE_ABSENT;
    struct kv_slice value;
    value.bytes = rocksdb_pinnableslice_value(pinned, &value.len);
    take(context, value);
    rocksdb_pinnableslice_destroy(pinned);
    return KV_ENGINE_OK;
}

static enum kv_engine_status engine_get(struct kv_engine *engine, enum kv_engine_table table,
                                        struct kv_slice key, enum kv_engine_reach reach,
                                        kv_engine_take_fn take, void *context)
{
    if (!enter(engine, reach))
        return KV_ENGINE_WAITING;
    enum kv_engine_status status = read_row(engine, table, key, reach, take, context);
    pthread_rwlock_unlock(&engine->access);
    return status;
}

static enum kv_engine_status walk_rows(struct kv_engine *engine, enum kv_engine_table table,
                                       struct kv_slice from, kv_engine_visit_fn visit,
                                       void *context)
{
    char *error = NULL;
    if (engine->db == NULL)
        return KV_ENGINE_FAILED;
    rocksdb_iterator_t *row = rocksdb_create_iterator_cf(
        engine->db, engine->read[KV_ENGINE_ANYWHERE], engine->tables[table]);
    for (rocksdb_iter_seek(row, from.len == 0 ? "" : from.bytes, from.len); rocksdb_iter_valid(row);
         rocksdb_iter_next(row)) {
        struct kv_slice key;
        struct kv_slice value;
        key.bytes = rocksdb_iter_key(row, &key.len);
        value.bytes = rocksdb_iter_value(row, &value.len);
        if (!visit(context, key, value))
            break;
    }
    rocksdb_iter_get_error(row, &error);
    rocksdb_iter_destroy(row);
    return error == NULL ? KV_ENGINE_OK : report(engine, "rows cannot be read", error);
}

static enum kv_engine_status engine_walk(struct kv_engine *engine, enum kv_engine_table table,
                                         struct kv_slice from, kv_engine_visit_fn visit,
                                         void *context)
{
    pthread_rwlock_rdlock(&engine->access);
    enum kv_engine_status status = walk_rows(engine, table, from, visit, context);
    pthread_rwlock_unlock(&engine->access);
    return status;
}

/* ---- writing ---- */

static void engine_put(struct kv_engine *engine, enum kv_engine_table table, struct kv_slice key,
                       struct kv_slice value)
{
    if (engine->db != NULL)
        rocksdb_writebatch_put_cf(engine->batch, engine->tables[table], key.bytes, key.len,
                                  value.bytes, value.len);
}

static void engine_erase(struct kv_engine *engine, enum kv_engine_table table, struct kv_slice key)
{
    if (engine->db == NULL)
        return;
    rocksdb_writebatch_delete_cf(engine->batch, engine->tables[table], key.bytes, key.len);
    if (table == KV_ENGINE_RECORDS)
        engine->n_erased++;
}

/* The table with the head is flushed last, so everything that it claims is on the disk.
 * (`atomic_flush`, all at once, fails an assertion if RocksDB starts another flush by itself.) */
static enum kv_engine_status flush(struct kv_engine *engine)
{
    enum kv_engine_status status = KV_ENGINE_OK;
    rocksdb_flushoptions_t *options = rocksdb_flushoptions_create();
    rocksdb_flushoptions_set_wait(options, 1);
    for (int i = 0; i < KV_ENGINE_N_TABLES && status == KV_ENGINE_OK; i++) {
        char *error = NULL;
        rocksdb_flush_cf(engine->db, options, engine->tables[i], &error);
        if (error != NULL)
            status = report(engine, "not flushed", error);
    }
    rocksdb_flushoptions_destroy(options);
    engine->n_erased = 0;
    return status;
}

/* The last space is for accepted rows, before any compaction. */
static void hold_compactions(struct kv_engine *engine)
{
    rocksdb_options_set_disable_auto_compactions(engine->options, 1);
    engine->holds_compactions = true;
}

static void allow_compactions(struct kv_engine *engine)
{
    static const char *const names[] = {"disable_auto_compactions"};
    static const char *const values[] = {"false"};
    rocksdb_options_set_disable_auto_compactions(engine->options, 0);
    engine->holds_compactions = false;
    for (int i = 0; i < KV_ENGINE_N_TABLES; i++) {
        char *error = NULL;
        rocksdb_set_options_cf(engine->db, engine->tables[i], 1, names, values, &error);
        if (error != NULL)
            report(engine, "files are not compacted", error);
    }
}

static enum kv_engine_status engine_persist(struct kv_engine *engine)
{
    enum kv_engine_status status = engine->db == NULL ? KV_ENGINE_FAILED : flush(engine);
    if (status == KV_ENGINE_OK && engine->holds_compactions)
        allow_compactions(engine);
    return status;
}

static enum kv_engine_status engine_commit(struct kv_engine *engine)
{
    char *error = NULL;
    rocksdb_set_perf_level(PERF_NOTHING); /* of this thread */
    if (engine->db != NULL)
        rocksdb_write(engine->db, engine->write, engine->batch, &error);
    rocksdb_writebatch_clear(engine->batch);
    if (engine->db == NULL)
        return KV_ENGINE_FAILED;
    if (error != NULL)
        return report(engine, "a write failed", error);
    return engine->n_erased > ERASED ? flush(engine) : KV_ENGINE_OK;
}

/* ---- opening and closing ---- */

static void close_database(struct kv_engine *engine)
{
    if (engine->db == NULL)
        return;
    for (int i = 0; i < KV_ENGINE_N_TABLES; i++)
        rocksdb_column_family_handle_destroy(engine->tables[i]);
    rocksdb_close(engine->db);
    engine->db = NULL;
}

/* Returns: NULL, or the error, to be freed by rocksdb_free(). */
static char *open_database(struct kv_engine *engine)
{
    char *error = NULL;
    const rocksdb_options_t *options[KV_ENGINE_N_TABLES];
    for (int i = 0; i < KV_ENGINE_N_TABLES; i++)
        options[i] = engine->options;
    if (engine->is_only_read)
        engine->db = rocksdb_open_for_read_only_column_families(engine->options, engine->folder,
                                                                KV_ENGINE_N_TABLES, table_names,
                                                                options, engine->tables, 0, &error);
    else
        engine->db =
            rocksdb_open_column_families(engine->options, engine->folder, KV_ENGINE_N_TABLES,
                                         table_names, options, engine->tables, &error);
    if (error != NULL)
        engine->db = NULL;
    return error;
}

static enum kv_engine_status engine_recover(struct kv_engine *engine, kv_engine_refill_fn refill,
                                            void *context)
{
    pthread_rwlock_wrlock(&engine->access);
    rocksdb_writebatch_clear(engine->batch);
    close_database(engine);
    hold_compactions(engine);
    char *error = open_database(engine);
    enum kv_engine_status status =
        error == NULL ? refill(context) : report(engine, "cannot be opened again", error);
    if (status != KV_ENGINE_OK)
        close_database(engine); /* nobody may read before missing rows are refilled */
    pthread_rwlock_unlock(&engine->access);
    return status;
}

/* Makes a memtable insert from the position of the last row, as commits are sorted. The C interface
 * offers this only as text. */
static void insert_from_the_last(struct kv_engine *engine)
{
    char *error = NULL;
    rocksdb_options_t *options = rocksdb_options_create();
    rocksdb_get_options_from_string(
        engine->options, "memtable_insert_with_hint_prefix_extractor=fixed:1", options, &error);
    if (error != NULL) {
        report(engine, "rows are put more slowly", error);
        rocksdb_options_destroy(options);
        return;
    }
    rocksdb_options_destroy(engine->options);
    engine->options = options;
}

static void set_options(struct kv_engine *engine, const struct kv_option_value *values)
{
    rocksdb_options_t *options = engine->options;
    rocksdb_options_set_create_if_missing(options, 1);
    rocksdb_options_set_create_missing_column_families(options, 1);
    rocksdb_options_set_compression(options, rocksdb_lz4_compression);
    rocksdb_options_set_level_compaction_dynamic_level_bytes(options, 1);
    rocksdb_options_set_write_buffer_size(options, (size_t)values[OPTION_WRITE_BUFFER].integer);
    rocksdb_options_set_max_write_buffer_number(options, 4);
    rocksdb_options_set_max_background_jobs(options, 2);
    rocksdb_options_set_bytes_per_sync(options, 1 << 20);
    rocksdb_options_add_compact_on_deletion_collector_factory(options, DELETIONS_AMONG, DELETIONS);
    rocksdb_options_set_keep_log_file_num(options, LOG_FILES);
    rocksdb_options_set_info_log_level(options, LOG_FATAL);
    rocksdb_options_set_stats_dump_period_sec(options, 0);

    engine->cache = rocksdb_cache_create_lru((size_t)values[OPTION_BLOCK_CACHE].integer);
    rocksdb_block_based_table_options_t *table = engine->table_options;
    rocksdb_block_based_options_set_block_cache(table, engine->cache);
    rocksdb_block_based_options_set_filter_policy(
        table, rocksdb_filterpolicy_create_bloom_full(BITS_PER_KEY));
    rocksdb_block_based_options_set_cache_index_and_filter_blocks(table, 1);
    rocksdb_block_based_options_set_cache_index_and_filter_blocks_with_high_priority(table, 1);
    rocksdb_block_based_options_set_pin_l0_filter_and_index_blocks_in_cache(table, 1);
    rocksdb_options_set_block_based_table_factory(options, table);
    insert_from_the_last(engine);

    rocksdb_readoptions_set_read_tier(engine->read[KV_ENGINE_IN_MEMORY], READ_TIER_MEMORY);
    rocksdb_readoptions_set_read_tier(engine->read[KV_ENGINE_ON_DISK], READ_TIER_DISK);
    rocksdb_writeoptions_disable_WAL(engine->write, 1);
}

static void engine_close(struct kv_engine *engine)
{
    if (engine == NULL)
        return;
    close_database(engine);
    rocksdb_writebatch_destroy(engine->batch);
    for (int i = 0; i < N_REACHES; i++)
        rocksdb_readoptions_destroy(engine->read[i]);
    rocksdb_writeoptions_destroy(engine->write);
    rocksdb_block_based_options_destroy(engine->table_options);
    rocksdb_options_destroy(engine->options);
    if (engine->cache != NULL)
        rocksdb_cache_destroy(engine->cache);
    pthread_rwlock_destroy(&engine->access);
    free(engine->folder);
    free(engine);
}

static struct kv_engine *create(const struct kv_host *host, const char *folder)
{
    struct kv_engine *engine = calloc(1, sizeof(*engine));
    if (engine == NULL || (engine->folder = strdup(folder)) == NULL) {
        free(engine);
        return NULL;
    }
    engine->host = host;
    engine->options = rocksdb_options_create();
    engine->table_options = rocksdb_block_based_options_create();
    for (int i = 0; i < N_REACHES; i++)
        engine->read[i] = rocksdb_readoptions_create();
    engine->write = rocksdb_writeoptions_create();
    engine->batch = rocksdb_writebatch_create();
    kv_durable_init_access(&engine->access);
    return engine;
}

static int open_with(const struct kv_host *host, const char *folder, bool is_only_read,
                     const struct kv_option_value *options, struct kv_engine **ret,
                     struct kv_error *reterr)
{
    struct kv_engine *engine = create(host, folder);
    if (engine == NULL)
        return kv_error_set(reterr, "%s: no memory", folder);
    engine->is_only_read = is_only_read;
    set_options(engine, options);
    char *error = open_database(engine);
    if (error != NULL) {
        kv_error_set(reterr, "%s: cannot be opened: %s", folder, error);
        rocksdb_free(error);
        engine_close(engine);
        return -1;
    }
    *ret = engine;
    return 0;
}

static int engine_open(const struct kv_host *host, const char *folder,
                       const struct kv_option_value *options, struct kv_engine **ret,
                       struct kv_error *reterr)
{
    return open_with(host, folder, false, options, ret, reterr);
}

static int engine_open_to_read(const struct kv_host *host, const char *folder,
                               const struct kv_option_value *options, struct kv_engine **ret,
                               struct kv_error *reterr)
{
    return open_with(host, folder, true, options, ret, reterr);
}

/* ---- metrics ---- */

static uint64_t read_property(struct kv_engine *engine, const char *name)
{
    uint64_t value;
    return rocksdb_property_int_cf(engine->db, engine->tables[KV_ENGINE_RECORDS], name, &value) == 0
               ? value
               : 0;
}

static void engine_count(struct kv_engine *engine, struct kv_engine_counts *ret)
{
    if (!enter(engine, KV_ENGINE_IN_MEMORY))
        return;
    if (engine->db != NULL)
        *ret = (struct kv_engine_counts){.keys = read_property(engine, "rocksdb.estimate-num-keys"),
                                         .bytes =
                                             read_property(engine, "rocksdb.total-sst-files-size")};
    pthread_rwlock_unlock(&engine->access);
}

static const struct kv_engine_ops engine_ops = {
    .name = "rocksdb",
    .max_commit = 16384,
    .max_row = (size_t)2 << 30,
    .open = engine_open,
    .open_to_read = engine_open_to_read,
    .close = engine_close,
    .get = engine_get,
    .put = engine_put,
    .erase = engine_erase,
    .commit = engine_commit,
    .persist = engine_persist,
    .walk = engine_walk,
    .recover = engine_recover,
    .count = engine_count,
};

/* ---- the module ---- */

static const struct kv_option options[N_OPTIONS] = {
    KV_DURABLE_OPTIONS("data"),
    [OPTION_BLOCK_CACHE] = {.name = "block_cache",
                            .type = KV_OPTION_SIZE,
                            .fallback = "256MiB",
                            .max = INT64_C(1) << 44,
                            .doc = "memory for what was read from the disk"},
    [OPTION_WRITE_BUFFER] = {.name = "write_buffer",
                             .type = KV_OPTION_SIZE,
                             .fallback = "64MiB",
                             .min = 1 << 16,
                             .max = INT64_C(1) << 36,
                             .doc = "memory in which writes are gathered before they are sorted"},
};

static int rocksdb_store_open(const struct kv_store_host *host,
                              const struct kv_option_value *values, struct kv_store **ret_store,
                              struct kv_error *reterr)
{
    return kv_durable_open(host, values, &engine_ops, ret_store, reterr);
}

static int rocksdb_store_open_to_read(const struct kv_store_host *host,
                                      const struct kv_option_value *values,
                                      struct kv_store **ret_store, struct kv_error *reterr)
{
    return kv_durable_open_to_read(host, values, &engine_ops, ret_store, reterr);
}

static void rocksdb_store_check(const struct kv_option_value *values,
                                const struct kv_faults *faults)
{
    kv_durable_check(values, &engine_ops, faults);
}

static const struct kv_store_ops ops =
    KV_DURABLE_OPS(rocksdb_store_open, rocksdb_store_open_to_read, rocksdb_store_check);

static const struct kv_module module = {
    KV_MODULE_IDENTITY,
    .kind = KV_MODULE_STORE,
    .name = "rocksdb",
    .version = "1.0",
    .capabilities = KV_DURABLE_CAPABILITIES,
    .options = options,
    .n_options = N_OPTIONS,
    .ops = &ops,
};

KV_MODULE_EXPORT(&module)
