/*
 * The engine `lmdb`: a copy-on-write B+ tree in one file that is mapped into memory. Each table is
 * a database of the file; a commit is one transaction.
 *
 * Reading the map may wait for the disk, which cannot be determined beforehand: a read that may not
 * wait is never answered here.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../durable/durable.h"
#include "../durable/folder.h"
#include "keys.h"
#include "order.h"
#include "room.h"
#include "walk.h"
#include "write.h"

enum {
    MOST_READERS = 128,
    NEEDS_WRITING = -1 /* not an error of LMDB: the file is unusual, but may be repaired */
};

#define MOST_GROWN ((size_t)1 << 40)

enum {
    OPTION_MAP_SIZE = KV_DURABLE_N_OPTIONS,
    N_OPTIONS
};

static const char *const table_names[KV_ENGINE_N_TABLES] = {
    [KV_ENGINE_RECORDS] = "records",
    [KV_ENGINE_DEADLINES] = "deadlines",
    [KV_ENGINE_META] = "meta",
};

#define ORDER_TABLE "order"

static enum kv_engine_status classify(int fault)
{
    return fault == ENOSPC || fault == EDQUOT || fault == MDB_MAP_FULL ? KV_ENGINE_FULL
                                                                       : KV_ENGINE_FAILED;
}

static enum kv_engine_status report(struct kv_engine *engine, const char *what, int fault)
{
    engine->host->log(engine->host, KV_LOG_WARN, "%s: %s: %s", engine->folder, what,
                      mdb_strerror(fault));
    return classify(fault);
}

/* ---- reading ---- */

static int read_row(struct kv_engine *engine, MDB_txn *txn, enum kv_engine_table table,
                    struct kv_slice key, kv_engine_take_fn take, void *context)
{
    struct tree_key at;
    MDB_val row;
    make_key(engine, table, key, &at);
    int fault = mdb_get(txn, engine->tables[table], &at.val, &row);
    if (fault != 0)
        return fault;
    struct kv_slice value = {.bytes = row.mv_data, .len = row.mv_size};
    struct kv_slice whole;
    if (at.is_long && !split_long(row, &whole, &value))
        return MDB_CORRUPTED;
    if (at.is_long && !kv_slice_equals(whole, key))
        return MDB_NOTFOUND; /* another key with the same hash */
    take(context, value);
    return 0;
}

static enum kv_engine_status engine_get(struct kv_engine *engine, enum kv_engine_table table,
                                        struct kv_slice key, enum kv_engine_reach reach,
                                        kv_engine_take_fn take, void *context)
{
    MDB_txn *txn;
    if (reach == KV_ENGINE_IN_MEMORY)
        return KV_ENGINE_WAITING;
    pthread_rwlock_rdlock(&engine->access);
    int fault =
        engine->env == NULL ? MDB_PANIC : mdb_txn_begin(engine->env, NULL, MDB_RDONLY, &txn);
    if (fault == 0) {
        fault = read_row(engine, txn, table, key, take, context);
        mdb_txn_abort(txn);
    }
    pthread_rwlock_unlock(&engine->access);
    if (fault == 0)
        return KV_ENGINE_OK;
    return fault == MDB_NOTFOUND
               ? KV_ENGINE_ABSENT
               : (report(engine, "a row cannot be read", fault), KV_ENGINE_FAILED);
}

static enum kv_engine_status engine_walk(struct kv_engine *engine, enum kv_engine_table table,
                                         struct kv_slice from, kv_engine_visit_fn visit,
                                         void *context)
{
    pthread_rwlock_rdlock(&engine->access);
    int fault = walk_rows(engine, table, from, visit, context);
    pthread_rwlock_unlock(&engine->access);
    return fault == 0 ? KV_ENGINE_OK
                      : (report(engine, "rows cannot be read", fault), KV_ENGINE_FAILED);
}

/* ---- opening and closing ---- */

static int open_tables_with(struct kv_engine *engine, unsigned txn_flags, unsigned table_flags)
{
    MDB_txn *txn;
    int fault = mdb_txn_begin(engine->env, NULL, txn_flags, &txn);
    if (fault != 0)
        return fault;
    for (int i = 0; i < KV_ENGINE_N_TABLES && fault == 0; i++)
        fault = mdb_dbi_open(txn, table_names[i], table_flags, &engine->tables[i]);
    if (fault == 0)
        fault = mdb_dbi_open(txn, ORDER_TABLE, table_flags, &engine->order);
    if (fault != 0) {
        mdb_txn_abort(txn);
        return fault;
    }
    return mdb_txn_commit(txn);
}

/* Without a write if they exist: a read-only disk must be readable. */
static int open_tables(struct kv_engine *engine)
{
    int fault = open_tables_with(engine, MDB_RDONLY, 0);
    if (fault != MDB_NOTFOUND)
        return fault;
    return engine->is_only_read ? NEEDS_WRITING : open_tables_with(engine, 0, MDB_CREATE);
}

struct count {
    size_t first;
    size_t n; /* of the pages from `first` on */
};

static void count_pages(void *context, size_t txn_id, const size_t *numbers, size_t n)
{
    struct count *count = context;
    (void)txn_id;
    for (size_t i = 0; i < n; i++)
        count->n += numbers[i] >= count->first ? 1 : 0;
}

/* Reading a page beyond the file's end would kill the process. Pages that LMDB did not need to
 * write may be there, but these are free: the file is extended for them. If other pages are
 * missing, the file is left unchanged. */
static int check_length(struct kv_engine *engine)
{
    MDB_envinfo info;
    MDB_stat stat;
    mdb_filehandle_t file;
    struct stat status;
    mdb_env_info(engine->env, &info);
    mdb_env_stat(engine->env, &stat);
    if (mdb_env_get_fd(engine->env, &file) != 0 || fstat(file, &status) != 0)
        return errno;
    size_t n_needed = info.me_last_pgno + 1;
    size_t n_there = (size_t)status.st_size / stat.ms_psize;
    if (n_there >= n_needed)
        return 0;
    if (engine->is_only_read)
        return NEEDS_WRITING;
    if (ftruncate(file, (off_t)(n_needed * stat.ms_psize)) != 0)
        return errno;
    struct count free_pages = {.first = n_there};
    int fault = walk_free_pages(engine, count_pages, &free_pages);
    if (fault == 0 && free_pages.n == n_needed - n_there)
        return 0;
    return ftruncate(file, status.st_size) == 0 ? MDB_CORRUPTED : errno;
}

static void close_database(struct kv_engine *engine)
{
    if (engine->env != NULL)
        mdb_env_close(engine->env);
    engine->env = NULL;
}

/* The table of readers is a mapped file: if the disk has no room for one of its pages when a thread
 * first reads, the process would be killed. */
static void set_aside_reader_table(const struct kv_engine *engine)
{
    struct stat status;
    char *path = NULL;
    int file =
        asprintf(&path, "%s/lock.mdb", engine->folder) < 0 ? -1 : open(path, O_RDWR | O_CLOEXEC);
    if (file >= 0 && fstat(file, &status) == 0)
        posix_fallocate(file, 0, status.st_size);
    if (file >= 0)
        close(file);
    free(path);
}

/* Reading needs no lock: no other process has the store open. */
static unsigned flags_of(const struct kv_engine *engine)
{
    return MDB_NOTLS | MDB_NORDAHEAD | (engine->is_only_read ? MDB_RDONLY | MDB_NOLOCK : 0);
}

static int open_database(struct kv_engine *engine)
{
    int fault = mdb_env_create(&engine->env);
    if (fault != 0)
        return fault;
    mdb_env_set_maxdbs(engine->env, KV_ENGINE_N_TABLES + 1);
    mdb_env_set_maxreaders(engine->env, MOST_READERS);
    if ((fault = mdb_env_set_mapsize(engine->env, engine->map_size + engine->grown)) != 0 ||
        (fault = mdb_env_open(engine->env, engine->folder, flags_of(engine), 0640)) != 0 ||
        (fault = check_length(engine)) != 0 || (fault = open_tables(engine)) != 0) {
        close_database(engine);
        return fault;
    }
    MDB_stat stat;
    mdb_env_stat(engine->env, &stat);
    engine->page_size = stat.ms_psize;
    if (!engine->is_only_read)
        set_aside_reader_table(engine);
    return 0;
}

static int reopen(struct kv_engine *engine)
{
    pthread_rwlock_wrlock(&engine->access);
    close_database(engine);
    int fault = open_database(engine);
    pthread_rwlock_unlock(&engine->access);
    return fault;
}

/* ---- committing ---- */

/* After some failures, LMDB allows no reads either until the file is reopened. */
static enum kv_engine_status engine_commit(struct kv_engine *engine)
{
    bool is_refused = engine->fault != 0; /* before anything was written */
    int fault = write_commit(engine);
    engine->is_map_full = fault == MDB_MAP_FULL;
    if (fault == 0)
        return KV_ENGINE_OK;
    if (!is_refused)
        reopen(engine);
    return report(engine, "a write failed", fault);
}

/* Every commit is synced. */
static enum kv_engine_status engine_persist(struct kv_engine *engine)
{
    return engine->env == NULL ? KV_ENGINE_FAILED : KV_ENGINE_OK;
}

/* Accepted rows must fit, whatever map_size is: each time, the size is doubled. */
static bool grow(struct kv_engine *engine)
{
    size_t step = engine->grown == 0 ? room_reserve(engine) * engine->page_size : engine->grown;
    if (engine->grown + step > MOST_GROWN)
        return false;
    engine->grown += step;
    engine->host->log(engine->host, KV_LOG_WARN,
                      "%s: larger than storage.lmdb.map_size, which is to be raised: what has been "
                      "taken does not fit",
                      engine->folder);
    return reopen(engine) == 0;
}

static enum kv_engine_status engine_recover(struct kv_engine *engine, kv_engine_refill_fn refill,
                                            void *context)
{
    enum kv_engine_status status;
    int fault = engine->env == NULL ? reopen(engine) : 0;
    if (fault != 0)
        return report(engine, "cannot be opened again", fault);
    if (engine->is_map_full && !grow(engine))
        return KV_ENGINE_FULL;
    while ((status = refill(context)) == KV_ENGINE_FULL && engine->is_map_full && grow(engine))
        continue;
    return status;
}

static void take_seed(void *context, struct kv_slice value)
{
    struct kv_engine *engine = context;
    if (value.len == SEED_BYTES)
        memcpy(&engine->seed, value.bytes, SEED_BYTES);
}

static int write_seed(struct kv_engine *engine)
{
    if (getrandom(&engine->seed, SEED_BYTES, 0) != SEED_BYTES)
        return EIO;
    struct kv_slice seed = {.bytes = (const char *)&engine->seed, .len = SEED_BYTES};
    engine_put(engine, KV_ENGINE_META, SEED, seed);
    engine_put(engine, KV_ENGINE_META, ORDER, KV_SLICE("1"));
    return engine_commit(engine) == KV_ENGINE_OK ? 0 : EIO;
}

/* Chosen when the file is created, so that clients cannot construct keys whose hashes collide. */
static int read_seed(struct kv_engine *engine)
{
    enum kv_engine_status status =
        engine_get(engine, KV_ENGINE_META, SEED, KV_ENGINE_ANYWHERE, take_seed, engine);
    if (status != KV_ENGINE_ABSENT || engine->is_only_read)
        return status == KV_ENGINE_OK ? 0 : MDB_CORRUPTED;
    return write_seed(engine);
}

static void ignore(void *context, struct kv_slice value)
{
    (void)context;
    (void)value;
}

static int build_order(struct kv_engine *engine)
{
    int fault = order_build(engine);
    if (fault != 0)
        return fault;
    engine_put(engine, KV_ENGINE_META, ORDER, KV_SLICE("1"));
    if (engine_commit(engine) == KV_ENGINE_OK)
        return 0;
    return engine->is_map_full ? MDB_MAP_FULL : EIO;
}

/* Adds the order of long keys to a file that was created without it, even to a full one. */
static int complete_order(struct kv_engine *engine)
{
    int fault;
    enum kv_engine_status status =
        engine_get(engine, KV_ENGINE_META, ORDER, KV_ENGINE_ANYWHERE, ignore, NULL);
    if (status != KV_ENGINE_ABSENT)
        return status == KV_ENGINE_OK ? 0 : MDB_CORRUPTED;
    if (engine->is_only_read)
        return NEEDS_WRITING;
    while ((fault = build_order(engine)) == MDB_MAP_FULL && grow(engine))
        continue;
    return fault;
}

static void engine_close(struct kv_engine *engine)
{
    if (engine == NULL)
        return;
    if (engine->batch != NULL)
        mdb_txn_abort(engine->batch);
    close_database(engine);
    room_fini(engine);
    pthread_rwlock_destroy(&engine->access);
    free(engine->folder);
    free(engine);
}

static struct kv_engine *create(const struct kv_host *host, const char *folder,
                                const struct kv_option_value *options)
{
    struct kv_engine *engine = calloc(1, sizeof(*engine));
    if (engine == NULL || (engine->folder = strdup(folder)) == NULL) {
        free(engine);
        return NULL;
    }
    engine->host = host;
    engine->map_size = (size_t)options[OPTION_MAP_SIZE].integer;
    kv_durable_init_access(&engine->access);
    return engine;
}

/* Returns: 0; 1 if it must be opened for writing; -1. */
static int finish_opening(struct kv_engine *engine, int fault, struct kv_engine **ret,
                          struct kv_error *reterr)
{
    if (fault == 0) {
        *ret = engine;
        return 0;
    }
    if (fault != NEEDS_WRITING)
        kv_error_set(reterr, "%s: cannot be opened: %s", engine->folder, mdb_strerror(fault));
    engine_close(engine);
    return fault == NEEDS_WRITING ? 1 : -1;
}

static int engine_open(const struct kv_host *host, const char *folder,
                       const struct kv_option_value *options, struct kv_engine **ret,
                       struct kv_error *reterr)
{
    struct kv_engine *engine = create(host, folder, options);
    if (engine == NULL)
        return kv_error_set(reterr, "%s: no memory", folder);
    int fault = open_database(engine);
    if (fault == 0 && folder_sync(engine->folder) != 0) /* the new file's name */
        fault = errno;
    if (fault == 0)
        fault = read_seed(engine);
    if (fault == 0)
        fault = complete_order(engine);
    return finish_opening(engine, fault, ret, reterr);
}

static int engine_open_to_read(const struct kv_host *host, const char *folder,
                               const struct kv_option_value *options, struct kv_engine **ret,
                               struct kv_error *reterr)
{
    struct kv_engine *engine = create(host, folder, options);
    if (engine == NULL)
        return kv_error_set(reterr, "%s: no memory", folder);
    engine->is_only_read = true;
    int fault = open_database(engine);
    if (fault == 0)
        fault = read_seed(engine);
    if (fault == 0)
        fault = complete_order(engine);
    return finish_opening(engine, fault, ret, reterr);
}

/* ---- metrics ---- */

static void count(struct kv_engine *engine, struct kv_engine_counts *ret)
{
    MDB_envinfo info;
    MDB_stat records;
    MDB_txn *txn;
    mdb_env_info(engine->env, &info);
    ret->bytes = ((uint64_t)info.me_last_pgno + 1) * engine->page_size;
    if (mdb_txn_begin(engine->env, NULL, MDB_RDONLY, &txn) != 0)
        return;
    if (mdb_stat(txn, engine->tables[KV_ENGINE_RECORDS], &records) == 0)
        ret->keys = records.ms_entries;
    mdb_txn_abort(txn);
}

static void engine_count(struct kv_engine *engine, struct kv_engine_counts *ret)
{
    if (pthread_rwlock_tryrdlock(&engine->access) != 0)
        return;
    if (engine->env != NULL)
        count(engine, ret);
    pthread_rwlock_unlock(&engine->access);
}

static const struct kv_engine_ops engine_ops = {
    .name = "lmdb",
    .max_commit = MOST_KEYS,
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
    .count_room = engine_count_room,
    .has_room = engine_has_room,
    .room_option = "map_size",
    .commit_limit = engine_commit_limit,
    .count = engine_count,
};

/* ---- the module ---- */

static const struct kv_option options[N_OPTIONS] = {
    KV_DURABLE_OPTIONS("data-lmdb"),
    [OPTION_MAP_SIZE] = {.name = "map_size",
                         .type = KV_OPTION_SIZE,
                         .fallback = "1TiB",
                         .min = 1 << 20,
                         .max = INT64_C(1) << 46,
                         .doc = "the most that the file can grow to; address space, not memory"},
};

static int lmdb_store_open(const struct kv_store_host *host, const struct kv_option_value *values,
                           struct kv_store **ret_store, struct kv_error *reterr)
{
    return kv_durable_open(host, values, &engine_ops, ret_store, reterr);
}

static int lmdb_store_open_to_read(const struct kv_store_host *host,
                                   const struct kv_option_value *values,
                                   struct kv_store **ret_store, struct kv_error *reterr)
{
    return kv_durable_open_to_read(host, values, &engine_ops, ret_store, reterr);
}

/* Of the process. Returns: 0 if the system does not report it. */
static size_t mapped_bytes(void)
{
    size_t pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file == NULL || fscanf(file, "%zu", &pages) != 1)
        pages = 0;
    if (file != NULL)
        fclose(file);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

/* Reserves the address space for a moment. While the store is open, that much is already mapped,
 * and there need not be room for it twice. */
static void check_map_size(size_t map_size, const struct kv_faults *faults)
{
    void *room =
        mmap(NULL, map_size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    int fault = errno;
    if (room != MAP_FAILED)
        munmap(room, map_size);
    else if (mapped_bytes() < map_size)
        faults->add(faults, "map_size",
                    "the process has no address space for %zu MiB (%s): lower it, or raise the "
                    "limit (ulimit -v)",
                    map_size >> 20, strerror(fault));
}

static void lmdb_store_check(const struct kv_option_value *values, const struct kv_faults *faults)
{
    kv_durable_check(values, &engine_ops, faults);
    if (values[OPTION_MAP_SIZE].integer != 0)
        check_map_size((size_t)values[OPTION_MAP_SIZE].integer, faults);
}

static const struct kv_store_ops ops =
    KV_DURABLE_OPS(lmdb_store_open, lmdb_store_open_to_read, lmdb_store_check);

static const struct kv_module module = {
    KV_MODULE_IDENTITY,
    .kind = KV_MODULE_STORE,
    .name = "lmdb",
    .version = "1.0",
    .capabilities = KV_DURABLE_CAPABILITIES,
    .options = options,
    .n_options = N_OPTIONS,
    .ops = &ops,
};

KV_MODULE_EXPORT(&module)
