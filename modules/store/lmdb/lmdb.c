/*
 * The engine `lmdb`: a copy-on-write B+ tree in one file that is mapped into memory. Each table is
 * a database of the file; a commit is one transaction.
 *
 * A look into the map may wait for the disk, and nothing says so beforehand: a read that may not
 * wait is never answered here.
 *
 * LMDB takes keys of 1 to 511 bytes. A key stands behind one byte (so that the empty one is none);
 * of a longer one its first part and a hash of the whole, and the whole ahead of the value. Long
 * keys with the same first part stand together, in the order of their hashes; a walk sorts them.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <lmdb.h>
#include <xxhash.h>

#include "../durable/durable.h"
#include "../durable/folder.h"

enum {
    MOST_KEY = 511, /* MDB_MAXKEYSIZE, as Debian's library has it */
    HASH_BYTES = 16,
    PREFIX_BYTES = MOST_KEY - HASH_BYTES - 1, /* of a long key; also the longest short one */
    LENGTH_BYTES = 8,                         /* of a long key, ahead of it in its row */
    SEED_BYTES = 8,
    MOST_READERS = 128,
    FREE_PAGES = 0,    /* the handle of LMDB's own database of free pages */
    NEEDS_WRITING = -1 /* no error of LMDB: the file is not as it should be, but may be mended */
};

#define KEY_MARK 'k'
#define SEED     KV_SLICE("lmdb-seed")

enum {
    OPTION_MAP_SIZE = KV_DURABLE_N_OPTIONS,
    N_OPTIONS
};

static const char *const table_names[KV_ENGINE_N_TABLES] = {
    [KV_ENGINE_RECORDS] = "records",
    [KV_ENGINE_DEADLINES] = "deadlines",
    [KV_ENGINE_META] = "meta",
};

struct kv_engine {
    const struct kv_host *host;
    char *folder;
    size_t map_size;
    bool is_only_read;
    uint64_t seed; /* of the hashes of long keys: kept in the file */

    pthread_rwlock_t access; /* of the two below: written by recover() only */
    MDB_env *env;            /* NULL where it could not be opened again */
    MDB_dbi tables[KV_ENGINE_N_TABLES];

    /* the writer's */
    MDB_txn *batch; /* NULL: nothing has been put or erased yet */
    int fault;      /* the first of the batch */
};

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

/* ---- keys of the tree ---- */

struct tree_key {
    MDB_val val;
    bool is_long;
    char bytes[MOST_KEY];
};

static void make_record_key(const struct kv_engine *engine, struct kv_slice key,
                            struct tree_key *ret)
{
    size_t len = key.len <= PREFIX_BYTES ? key.len : PREFIX_BYTES;
    ret->bytes[0] = KEY_MARK;
    if (len != 0)
        memcpy(ret->bytes + 1, key.bytes, len);
    ret->is_long = key.len > PREFIX_BYTES;
    if (ret->is_long) {
        XXH128_canonical_t hash;
        XXH128_canonicalFromHash(&hash, XXH3_128bits_withSeed(key.bytes, key.len, engine->seed));
        memcpy(ret->bytes + 1 + len, hash.digest, HASH_BYTES);
    }
    ret->val =
        (MDB_val){.mv_data = ret->bytes, .mv_size = 1 + len + (ret->is_long ? HASH_BYTES : 0)};
}

static void make_key(const struct kv_engine *engine, enum kv_engine_table table,
                     struct kv_slice key, struct tree_key *ret)
{
    if (table == KV_ENGINE_RECORDS) {
        make_record_key(engine, key, ret);
        return;
    }
    ret->is_long = false;
    ret->val = (MDB_val){.mv_data = (char *)(uintptr_t)key.bytes, .mv_size = key.len};
}

/* What a row holds of a long key: its whole, and the value behind it. Returns: false where the row
 * is damaged. */
static bool split_long(MDB_val row, struct kv_slice *ret_key, struct kv_slice *ret_value)
{
    uint64_t len;
    if (row.mv_size < LENGTH_BYTES)
        return false;
    memcpy(&len, row.mv_data, LENGTH_BYTES);
    if (len > row.mv_size - LENGTH_BYTES)
        return false;
    const char *bytes = (const char *)row.mv_data + LENGTH_BYTES;
    *ret_key = (struct kv_slice){.bytes = bytes, .len = len};
    *ret_value = (struct kv_slice){.bytes = bytes + len, .len = row.mv_size - LENGTH_BYTES - len};
    return true;
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

/* ---- walking ---- */

struct pair {
    struct kv_slice key;
    struct kv_slice value;
};

/* A walk through the records, or through another table (then every row is plain). */
struct walk {
    struct kv_engine *engine;
    enum kv_engine_table table;
    MDB_cursor *cursor;
    MDB_val key, row; /* where it stands */
    struct kv_slice from;
    kv_engine_visit_fn visit;
    void *context;
    struct pair *group; /* long keys with the same first part */
    size_t n_group, capacity;
};

static int step(struct walk *walk, MDB_cursor_op op)
{
    return mdb_cursor_get(walk->cursor, &walk->key, &walk->row, op);
}

static bool is_long(const struct walk *walk)
{
    return walk->table == KV_ENGINE_RECORDS && walk->key.mv_size == MOST_KEY;
}

static int by_key(const void *a, const void *b)
{
    const struct pair *one = a;
    const struct pair *other = b;
    return kv_slice_compare(one->key, other->key);
}

static int add_to_group(struct walk *walk)
{
    if (walk->n_group == walk->capacity) {
        size_t capacity = walk->capacity == 0 ? 64 : 2 * walk->capacity;
        struct pair *group = reallocarray(walk->group, capacity, sizeof(*group));
        if (group == NULL)
            return ENOMEM;
        walk->group = group;
        walk->capacity = capacity;
    }
    struct pair *pair = &walk->group[walk->n_group];
    if (!split_long(walk->row, &pair->key, &pair->value))
        return MDB_CORRUPTED;
    walk->n_group++;
    return 0;
}

/* Takes the rows with the first part of this one together, and goes behind them. */
static int gather(struct walk *walk)
{
    char first_part[1 + PREFIX_BYTES];
    memcpy(first_part, walk->key.mv_data, sizeof(first_part));
    walk->n_group = 0;
    int fault;
    do {
        fault = add_to_group(walk);
    } while (fault == 0 && (fault = step(walk, MDB_NEXT)) == 0 && is_long(walk) &&
             memcmp(walk->key.mv_data, first_part, sizeof(first_part)) == 0);
    qsort(walk->group, walk->n_group, sizeof(*walk->group), by_key);
    return fault;
}

/* Returns: whether to go on. */
static bool visit_group(struct walk *walk)
{
    for (size_t i = 0; i < walk->n_group; i++)
        if (kv_slice_compare(walk->group[i].key, walk->from) >= 0 &&
            !walk->visit(walk->context, walk->group[i].key, walk->group[i].value))
            return false;
    return true;
}

static bool visit_plain(struct walk *walk)
{
    size_t mark = walk->table == KV_ENGINE_RECORDS ? 1 : 0;
    struct kv_slice key = {.bytes = (const char *)walk->key.mv_data + mark,
                           .len = walk->key.mv_size - mark};
    struct kv_slice value = {.bytes = walk->row.mv_data, .len = walk->row.mv_size};
    if (kv_slice_compare(key, walk->from) < 0)
        return true; /* the first part of the key from which the walk begins */
    return walk->visit(walk->context, key, value);
}

/* Returns: MDB_NOTFOUND at the end of the table, 0 where the visitor has had enough. */
static int walk_on(struct walk *walk)
{
    int fault = step(walk, MDB_SET_RANGE);
    while (fault == 0) {
        if (is_long(walk)) {
            fault = gather(walk);
            if ((fault == 0 || fault == MDB_NOTFOUND) && !visit_group(walk))
                return 0;
        } else {
            if (!visit_plain(walk))
                return 0;
            fault = step(walk, MDB_NEXT);
        }
    }
    return fault;
}

/* Where the walk begins: at the key, or at the first of those that share its first part. */
static void start_at(struct walk *walk, char start[1 + PREFIX_BYTES])
{
    if (walk->table != KV_ENGINE_RECORDS) {
        walk->key =
            (MDB_val){.mv_data = (char *)(uintptr_t)walk->from.bytes, .mv_size = walk->from.len};
        return;
    }
    size_t len = walk->from.len < PREFIX_BYTES ? walk->from.len : PREFIX_BYTES;
    start[0] = KEY_MARK;
    if (len != 0)
        memcpy(start + 1, walk->from.bytes, len);
    walk->key = (MDB_val){.mv_data = start, .mv_size = 1 + len};
}

static int walk_table(struct kv_engine *engine, MDB_txn *txn, struct walk *walk)
{
    char start[1 + PREFIX_BYTES];
    int fault = mdb_cursor_open(txn, engine->tables[walk->table], &walk->cursor);
    if (fault != 0)
        return fault;
    start_at(walk, start);
    fault = walk_on(walk);
    mdb_cursor_close(walk->cursor);
    free(walk->group);
    return fault == MDB_NOTFOUND ? 0 : fault;
}

static enum kv_engine_status engine_walk(struct kv_engine *engine, enum kv_engine_table table,
                                         struct kv_slice from, kv_engine_visit_fn visit,
                                         void *context)
{
    struct walk walk = {
        .engine = engine, .table = table, .from = from, .visit = visit, .context = context};
    MDB_txn *txn;
    int fault =
        engine->env == NULL ? MDB_PANIC : mdb_txn_begin(engine->env, NULL, MDB_RDONLY, &txn);
    if (fault == 0) {
        fault = walk_table(engine, txn, &walk);
        mdb_txn_abort(txn);
    }
    return fault == 0 ? KV_ENGINE_OK
                      : (report(engine, "rows cannot be read", fault), KV_ENGINE_FAILED);
}

/* ---- writing ---- */

/* The transaction of the batch. Returns: NULL where there is a fault. */
static MDB_txn *batch_of(struct kv_engine *engine)
{
    if (engine->batch == NULL && engine->fault == 0)
        engine->fault =
            engine->env == NULL ? MDB_PANIC : mdb_txn_begin(engine->env, NULL, 0, &engine->batch);
    return engine->fault == 0 ? engine->batch : NULL;
}

/* Whether the place of a long key is another's: its hash is the same. */
static bool is_taken(struct kv_engine *engine, struct tree_key *at, struct kv_slice key)
{
    MDB_val row;
    struct kv_slice whole;
    struct kv_slice value;
    return mdb_get(engine->batch, engine->tables[KV_ENGINE_RECORDS], &at->val, &row) == 0 &&
           (!split_long(row, &whole, &value) || !kv_slice_equals(whole, key));
}

static char *append(char *at, struct kv_slice bytes)
{
    if (bytes.len != 0)
        memcpy(at, bytes.bytes, bytes.len);
    return at + bytes.len;
}

static void engine_put(struct kv_engine *engine, enum kv_engine_table table, struct kv_slice key,
                       struct kv_slice value)
{
    struct tree_key at;
    MDB_val row = {0};
    MDB_txn *txn = batch_of(engine);
    if (txn == NULL)
        return;
    make_key(engine, table, key, &at);
    if (at.is_long && is_taken(engine, &at, key)) {
        engine->fault = MDB_CORRUPTED;
        return;
    }
    row.mv_size = value.len + (at.is_long ? LENGTH_BYTES + key.len : 0);
    engine->fault = mdb_put(txn, engine->tables[table], &at.val, &row, MDB_RESERVE);
    if (engine->fault != 0)
        return;
    char *end = row.mv_data;
    uint64_t len = key.len;
    if (at.is_long)
        end = append(append(end, (struct kv_slice){(const char *)&len, LENGTH_BYTES}), key);
    append(end, value);
}

static void engine_erase(struct kv_engine *engine, enum kv_engine_table table, struct kv_slice key)
{
    struct tree_key at;
    MDB_txn *txn = batch_of(engine);
    if (txn == NULL)
        return;
    make_key(engine, table, key, &at);
    int fault = mdb_del(txn, engine->tables[table], &at.val, NULL);
    if (fault != 0 && fault != MDB_NOTFOUND)
        engine->fault = fault;
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
    if (fault != 0) {
        mdb_txn_abort(txn);
        return fault;
    }
    return mdb_txn_commit(txn);
}

/* Without a write, where they are there: a disk that takes none is to be read nevertheless. */
static int open_tables(struct kv_engine *engine)
{
    int fault = open_tables_with(engine, MDB_RDONLY, 0);
    return fault == MDB_NOTFOUND && !engine->is_only_read ? open_tables_with(engine, 0, MDB_CREATE)
                                                          : fault;
}

/* How many free pages of the file there are from `first` on: LMDB keeps them in a database of its
 * own, the first, as lists of numbers with their length ahead. */
static int count_free_pages(struct kv_engine *engine, size_t first, size_t *ret_n)
{
    MDB_txn *txn;
    MDB_cursor *cursor;
    MDB_val key;
    MDB_val list;
    *ret_n = 0;
    int fault = mdb_txn_begin(engine->env, NULL, MDB_RDONLY, &txn);
    if (fault != 0)
        return fault;
    if ((fault = mdb_cursor_open(txn, FREE_PAGES, &cursor)) == 0) {
        while ((fault = mdb_cursor_get(cursor, &key, &list, MDB_NEXT)) == 0) {
            const size_t *numbers = list.mv_data;
            for (size_t i = 1; i <= numbers[0]; i++)
                *ret_n += numbers[i] >= first ? 1 : 0;
        }
        mdb_cursor_close(cursor);
    }
    mdb_txn_abort(txn);
    return fault == MDB_NOTFOUND ? 0 : fault;
}

/* A page that is read behind the file's end would end the process. Pages that LMDB had no need to
 * write may lie there, but these are free: they get their place. If others are missing, the file is
 * left as it was. */
static int check_length(struct kv_engine *engine)
{
    MDB_envinfo info;
    MDB_stat stat;
    mdb_filehandle_t file;
    struct stat status;
    size_t n_free;
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
    int fault = count_free_pages(engine, n_there, &n_free);
    if (fault == 0 && n_free == n_needed - n_there)
        return 0;
    return ftruncate(file, status.st_size) == 0 ? MDB_CORRUPTED : errno;
}

static void close_database(struct kv_engine *engine)
{
    if (engine->env != NULL)
        mdb_env_close(engine->env);
    engine->env = NULL;
}

/* Nothing is locked for reading alone: no other process has the store open. */
static unsigned flags_of(const struct kv_engine *engine)
{
    return MDB_NOTLS | MDB_NORDAHEAD | (engine->is_only_read ? MDB_RDONLY | MDB_NOLOCK : 0);
}

static int open_database(struct kv_engine *engine)
{
    int fault = mdb_env_create(&engine->env);
    if (fault != 0)
        return fault;
    mdb_env_set_maxdbs(engine->env, KV_ENGINE_N_TABLES);
    mdb_env_set_maxreaders(engine->env, MOST_READERS);
    if ((fault = mdb_env_set_mapsize(engine->env, engine->map_size)) != 0 ||
        (fault = mdb_env_open(engine->env, engine->folder, flags_of(engine), 0640)) != 0 ||
        (fault = check_length(engine)) != 0 || (fault = open_tables(engine)) != 0)
        close_database(engine);
    return fault;
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

static int commit_batch(struct kv_engine *engine)
{
    MDB_txn *txn = engine->batch;
    int fault = engine->fault;
    engine->batch = NULL;
    engine->fault = 0;
    if (txn == NULL)
        return fault;
    if (fault != 0) {
        mdb_txn_abort(txn);
        return fault;
    }
    return mdb_txn_commit(txn);
}

/* After some failures LMDB lets nobody read either, until the file is opened again. */
static enum kv_engine_status engine_commit(struct kv_engine *engine)
{
    bool is_refused = engine->fault != 0; /* before anything was written */
    int fault = commit_batch(engine);
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

static enum kv_engine_status engine_recover(struct kv_engine *engine, kv_engine_refill_fn refill,
                                            void *context)
{
    int fault = engine->env == NULL ? reopen(engine) : 0;
    return fault == 0 ? refill(context) : report(engine, "cannot be opened again", fault);
}

static void take_seed(void *context, struct kv_slice value)
{
    struct kv_engine *engine = context;
    if (value.len == SEED_BYTES)
        memcpy(&engine->seed, value.bytes, SEED_BYTES);
}

/* Made with the file, so that nobody can choose keys whose hashes collide. */
static int read_seed(struct kv_engine *engine)
{
    enum kv_engine_status status =
        engine_get(engine, KV_ENGINE_META, SEED, KV_ENGINE_ANYWHERE, take_seed, engine);
    if (status != KV_ENGINE_ABSENT || engine->is_only_read)
        return status == KV_ENGINE_OK ? 0 : MDB_CORRUPTED;
    if (getrandom(&engine->seed, SEED_BYTES, 0) != SEED_BYTES)
        return EIO;
    struct kv_slice seed = {.bytes = (const char *)&engine->seed, .len = SEED_BYTES};
    engine_put(engine, KV_ENGINE_META, SEED, seed);
    return engine_commit(engine) == KV_ENGINE_OK ? 0 : EIO;
}

static void engine_close(struct kv_engine *engine)
{
    if (engine == NULL)
        return;
    if (engine->batch != NULL)
        mdb_txn_abort(engine->batch);
    close_database(engine);
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

/* Returns: 0; 1 where it is to be opened for writing; -1. */
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
    return finish_opening(engine, fault, ret, reterr);
}

static const struct kv_engine_ops engine_ops = {
    .name = "lmdb",
    .max_commit = 1000, /* larger ones make the list of free pages cost more than the rows */
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

static const struct kv_store_ops ops = KV_DURABLE_OPS(lmdb_store_open, lmdb_store_open_to_read);

static const struct kv_module module = {
    KV_MODULE_IDENTITY,
    .kind = KV_MODULE_STORE,
    .name = "lmdb",
    .version = "1.0",
    .capabilities = KV_STORE_DURABLE | KV_STORE_ORDERED,
    .options = options,
    .n_options = N_OPTIONS,
    .ops = &ops,
};

KV_MODULE_EXPORT(&module)
