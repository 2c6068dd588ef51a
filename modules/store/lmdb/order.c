#include "order.h"

#include <errno.h>
#include <stdlib.h>

#define XXH_STATIC_LINKING_ONLY /* for states on the stack */
#include <xxhash.h>

#include "keys.h"

enum {
    CHUNK_BYTES = PREFIX_BYTES,
    ENDS = 0, /* the byte after a whole chunk */
    GOES_ON = 1,
    ONE_KEY = 'k',
    LAYER = 'l',
    FIRST_CAPACITY = 4,
    KEYS_AT_ONCE = 1000 /* that order_build() commits */
};

_Static_assert(HASH_BYTES + CHUNK_BYTES + 1 == MOST_KEY, "a whole chunk fits into an entry");

/* The value of an entry. */
struct entry {
    char kind;
    char hash[HASH_BYTES];
};

static int read_entry(MDB_val row, struct entry *ret)
{
    if (row.mv_size != sizeof(*ret))
        return MDB_CORRUPTED;
    memcpy(ret, row.mv_data, sizeof(*ret));
    return 0;
}

/* ---- a key on its way down ---- */

struct path {
    struct kv_slice key;
    size_t n_above;     /* bytes above the layer where it is */
    XXH3_state_t state; /* of these */
    bool is_last;       /* the key ends in this layer */
    MDB_val at;         /* its entry */
    char bytes[MOST_KEY];
};

static void path_enter(struct path *path)
{
    XXH128_canonical_t layer;
    size_t left = path->key.len - path->n_above;
    size_t len = left < CHUNK_BYTES ? left : CHUNK_BYTES;
    XXH128_canonicalFromHash(&layer, XXH3_128bits_digest(&path->state));
    memcpy(path->bytes, layer.digest, HASH_BYTES);
    memcpy(path->bytes + HASH_BYTES, path->key.bytes + path->n_above, len);
    path->is_last = len == left;
    if (len == CHUNK_BYTES)
        path->bytes[HASH_BYTES + len++] = path->is_last ? ENDS : GOES_ON;
    path->at = (MDB_val){.mv_data = path->bytes, .mv_size = HASH_BYTES + len};
}

/* Goes down to the next layer. */
static void path_go_on(struct path *path)
{
    XXH3_128bits_update(&path->state, path->key.bytes + path->n_above, CHUNK_BYTES);
    path->n_above += CHUNK_BYTES;
    path_enter(path);
}

static void path_begin(struct path *path, const struct kv_engine *engine, struct kv_slice key)
{
    path->key = key;
    path->n_above = 0;
    XXH3_INITSTATE(&path->state);
    XXH3_128bits_reset_withSeed(&path->state, engine->seed);
    path_go_on(path);
}

/* ---- changing ---- */

static void hash_key(const struct kv_engine *engine, struct kv_slice key, char ret[HASH_BYTES])
{
    struct tree_key at;
    make_key(engine, KV_ENGINE_RECORDS, key, &at);
    memcpy(ret, at.bytes + 1 + PREFIX_BYTES, HASH_BYTES);
}

static int put(struct kv_engine *engine, MDB_txn *txn, struct path *path, char kind,
               const char hash[HASH_BYTES])
{
    struct entry entry = {.kind = kind};
    memcpy(entry.hash, hash, HASH_BYTES);
    MDB_val row = {.mv_data = &entry, .mv_size = sizeof(entry)};
    return mdb_put(txn, engine->order, &path->at, &row, 0);
}

/* The row of a long key. */
static int find_row(struct kv_engine *engine, MDB_txn *txn, const char first_part[PREFIX_BYTES],
                    const char hash[HASH_BYTES], struct kv_slice *ret_key,
                    struct kv_slice *ret_value)
{
    char bytes[MOST_KEY] = {KEY_MARK};
    MDB_val row;
    memcpy(bytes + 1, first_part, PREFIX_BYTES);
    memcpy(bytes + 1 + PREFIX_BYTES, hash, HASH_BYTES);
    MDB_val at = {.mv_data = bytes, .mv_size = sizeof(bytes)};
    int fault = mdb_get(txn, engine->tables[KV_ENGINE_RECORDS], &at, &row);
    if (fault != 0)
        return fault == MDB_NOTFOUND ? MDB_CORRUPTED : fault;
    return split_long(row, ret_key, ret_value) ? 0 : MDB_CORRUPTED;
}

/* A second key continues after the same chunk: the first one moves down to a new layer. */
static int push_down(struct kv_engine *engine, MDB_txn *txn, struct path *path,
                     const char other[HASH_BYTES])
{
    struct path below = *path;
    struct kv_slice value;
    int fault = find_row(engine, txn, path->key.bytes, other, &below.key, &value);
    if (fault != 0)
        return fault;
    path_go_on(&below);
    fault = put(engine, txn, path, LAYER, below.bytes);
    return fault == 0 ? put(engine, txn, &below, ONE_KEY, other) : fault;
}

int order_add(struct kv_engine *engine, MDB_txn *txn, struct kv_slice key)
{
    char hash[HASH_BYTES];
    struct path path;
    struct entry entry;
    MDB_val row;
    hash_key(engine, key, hash);
    for (path_begin(&path, engine, key); !path.is_last; path_go_on(&path)) {
        int fault = mdb_get(txn, engine->order, &path.at, &row);
        if (fault == MDB_NOTFOUND)
            break;
        if (fault != 0 || (fault = read_entry(row, &entry)) != 0)
            return fault;
        if (entry.kind == ONE_KEY && memcmp(entry.hash, hash, HASH_BYTES) == 0)
            return 0;
        if (entry.kind == ONE_KEY && (fault = push_down(engine, txn, &path, entry.hash)) != 0)
            return fault;
    }
    return put(engine, txn, &path, ONE_KEY, hash);
}

/* Whether this is the only entry of the layer. */
static int is_alone(MDB_cursor *cursor, const struct path *path, bool *ret)
{
    MDB_val row;
    MDB_val at = {.mv_data = (char *)path->bytes, .mv_size = HASH_BYTES};
    int fault = mdb_cursor_get(cursor, &at, &row, MDB_SET_RANGE);
    *ret = false;
    if (fault != 0 || at.mv_size != path->at.mv_size ||
        memcmp(at.mv_data, path->bytes, at.mv_size) != 0)
        return fault;
    fault = mdb_cursor_get(cursor, &at, &row, MDB_NEXT);
    *ret = fault == MDB_NOTFOUND ||
           (fault == 0 &&
            (at.mv_size < HASH_BYTES || memcmp(at.mv_data, path->bytes, HASH_BYTES) != 0));
    return fault == MDB_NOTFOUND ? 0 : fault;
}

/* Two layers of a key, each as the number of bytes above it: `end` has the key's entry, and below
 * `top` there is no other key. */
struct extent {
    size_t top, end;
};

static int find_extent(struct kv_engine *engine, MDB_txn *txn, MDB_cursor *cursor,
                       struct path *path, struct extent *ret)
{
    struct entry entry;
    MDB_val row;
    for (ret->top = path->n_above;; path_go_on(path)) {
        bool is_only;
        int fault = mdb_get(txn, engine->order, &path->at, &row);
        if (fault != 0 || (fault = read_entry(row, &entry)) != 0 ||
            (fault = is_alone(cursor, path, &is_only)) != 0)
            return fault;
        if (!is_only)
            ret->top = path->n_above;
        if (entry.kind == ONE_KEY)
            break;
        if (path->is_last)
            return MDB_CORRUPTED;
    }
    ret->end = path->n_above;
    return 0;
}

int order_remove(struct kv_engine *engine, MDB_txn *txn, struct kv_slice key)
{
    struct path path;
    struct extent extent;
    MDB_cursor *cursor;
    int fault = mdb_cursor_open(txn, engine->order, &cursor);
    if (fault != 0)
        return fault;
    path_begin(&path, engine, key);
    fault = find_extent(engine, txn, cursor, &path, &extent);
    mdb_cursor_close(cursor);
    if (fault != 0)
        return fault == MDB_NOTFOUND ? MDB_CORRUPTED : fault;
    path_begin(&path, engine, key);
    while (path.n_above < extent.top)
        path_go_on(&path);
    while ((fault = mdb_del(txn, engine->order, &path.at, NULL)) == 0 && path.n_above < extent.end)
        path_go_on(&path);
    return fault;
}

/* ---- walking ---- */

/* A walk has a cursor in each layer on the way down to its place. */
struct level {
    MDB_cursor *cursor;
    char layer[HASH_BYTES];
};

struct walk {
    struct kv_engine *engine;
    MDB_txn *txn;
    const char *first_part;
    struct kv_slice from;
    kv_engine_visit_fn visit;
    void *context;
    struct level *levels;
    size_t n_levels, capacity;
    MDB_val key, row; /* where the lowest cursor stands */
};

static struct level *lowest(const struct walk *walk)
{
    return &walk->levels[walk->n_levels - 1];
}

static bool has_room(struct walk *walk)
{
    if (walk->n_levels < walk->capacity)
        return true;
    size_t capacity = walk->capacity == 0 ? FIRST_CAPACITY : 2 * walk->capacity;
    struct level *levels = reallocarray(walk->levels, capacity, sizeof(*levels));
    if (levels == NULL)
        return false;
    walk->levels = levels;
    walk->capacity = capacity;
    return true;
}

/* Goes down to the first entry of a layer from `at` on, which begins with the layer's number. */
static int go_down(struct walk *walk, MDB_val at)
{
    if (!has_room(walk))
        return ENOMEM;
    struct level *level = &walk->levels[walk->n_levels];
    int fault = mdb_cursor_open(walk->txn, walk->engine->order, &level->cursor);
    if (fault != 0)
        return fault;
    memcpy(level->layer, at.mv_data, HASH_BYTES);
    walk->n_levels++;
    walk->key = at;
    return mdb_cursor_get(level->cursor, &walk->key, &walk->row, MDB_SET_RANGE);
}

static int go_on(struct walk *walk)
{
    return mdb_cursor_get(lowest(walk)->cursor, &walk->key, &walk->row, MDB_NEXT);
}

static int go_up(struct walk *walk)
{
    mdb_cursor_close(lowest(walk)->cursor);
    walk->n_levels--;
    return walk->n_levels == 0 ? MDB_NOTFOUND : go_on(walk);
}

/* Whether the lowest cursor is still in its layer. */
static bool is_within(const struct walk *walk, int fault)
{
    return fault == 0 && walk->key.mv_size > HASH_BYTES &&
           memcmp(walk->key.mv_data, lowest(walk)->layer, HASH_BYTES) == 0;
}

/* Descends to the key at which the walk starts, or to its place. */
static int go_to(struct walk *walk, struct path *path)
{
    struct entry entry;
    for (;; path_go_on(path)) {
        int fault = go_down(walk, path->at);
        if (fault != 0 || path->is_last || walk->key.mv_size != path->at.mv_size ||
            memcmp(walk->key.mv_data, path->bytes, path->at.mv_size) != 0)
            return fault;
        if ((fault = read_entry(walk->row, &entry)) != 0 || entry.kind != LAYER)
            return fault;
    }
}

static int begin(struct walk *walk)
{
    struct path path;
    struct kv_slice from = walk->from;
    struct kv_slice all = {.bytes = walk->first_part, .len = PREFIX_BYTES};
    bool is_among = from.len > PREFIX_BYTES && memcmp(from.bytes, all.bytes, all.len) == 0;
    path_begin(&path, walk->engine, is_among ? from : all);
    if (is_among)
        return go_to(walk, &path);
    path.at.mv_size = HASH_BYTES;
    return go_down(walk, path.at);
}

/* Returns: 0 and *ret_is_enough, or a fault. */
static int visit_key(struct walk *walk, const char hash[HASH_BYTES], bool *ret_is_enough)
{
    struct kv_slice key;
    struct kv_slice value;
    int fault = find_row(walk->engine, walk->txn, walk->first_part, hash, &key, &value);
    if (fault == 0 && kv_slice_compare(key, walk->from) >= 0)
        *ret_is_enough = !walk->visit(walk->context, key, value);
    return fault;
}

static int visit_entries(struct walk *walk)
{
    bool is_enough = false;
    struct entry entry;
    int fault = begin(walk);
    while (walk->n_levels != 0 && (fault == 0 || fault == MDB_NOTFOUND)) {
        if (!is_within(walk, fault)) {
            fault = go_up(walk);
            continue;
        }
        if ((fault = read_entry(walk->row, &entry)) != 0)
            break;
        if (entry.kind == LAYER) {
            fault = go_down(walk, (MDB_val){.mv_data = entry.hash, .mv_size = HASH_BYTES});
            continue;
        }
        if ((fault = visit_key(walk, entry.hash, &is_enough)) != 0 || is_enough)
            break;
        fault = go_on(walk);
    }
    return fault;
}

int order_walk(struct kv_engine *engine, MDB_txn *txn, const char first_part[PREFIX_BYTES],
               struct kv_slice from, kv_engine_visit_fn visit, void *context)
{
    struct walk walk = {.engine = engine,
                        .txn = txn,
                        .first_part = first_part,
                        .from = from,
                        .visit = visit,
                        .context = context};
    int fault = visit_entries(&walk);
    while (walk.n_levels != 0)
        mdb_cursor_close(walk.levels[--walk.n_levels].cursor);
    free(walk.levels);
    return fault;
}

/* ---- building ---- */

/* The key of the last row examined. */
struct progress {
    MDB_val at;
    char bytes[MOST_KEY];
};

/* A copy, because LMDB's result is invalid after a write. */
static int add_row(struct kv_engine *engine, MDB_txn *txn, MDB_val row)
{
    struct kv_slice key;
    struct kv_slice value;
    if (!split_long(row, &key, &value))
        return MDB_CORRUPTED;
    char *bytes = malloc(key.len);
    if (bytes == NULL)
        return ENOMEM;
    memcpy(bytes, key.bytes, key.len);
    int fault = order_add(engine, txn, (struct kv_slice){.bytes = bytes, .len = key.len});
    free(bytes);
    return fault;
}

/* Returns: MDB_NOTFOUND at the end of the table. */
static int add_some(struct kv_engine *engine, MDB_txn *txn, MDB_cursor *cursor,
                    struct progress *progress)
{
    MDB_val row;
    MDB_val key = progress->at;
    int fault = mdb_cursor_get(cursor, &key, &row, MDB_SET_RANGE);
    for (size_t n = 0; fault == 0 && n < KEYS_AT_ONCE;
         fault = mdb_cursor_get(cursor, &key, &row, MDB_NEXT)) {
        if (key.mv_size < MOST_KEY)
            continue;
        memcpy(progress->bytes, key.mv_data, key.mv_size);
        progress->at = (MDB_val){.mv_data = progress->bytes, .mv_size = key.mv_size};
        if ((fault = add_row(engine, txn, row)) != 0)
            return fault;
        n++;
    }
    return fault;
}

/* Returns: MDB_NOTFOUND once all are added. */
static int commit_some(struct kv_engine *engine, struct progress *progress)
{
    MDB_txn *txn;
    MDB_cursor *cursor;
    int fault = mdb_txn_begin(engine->env, NULL, 0, &txn);
    if (fault != 0)
        return fault;
    if ((fault = mdb_cursor_open(txn, engine->tables[KV_ENGINE_RECORDS], &cursor)) == 0) {
        fault = add_some(engine, txn, cursor, progress);
        mdb_cursor_close(cursor);
    }
    if (fault != 0 && fault != MDB_NOTFOUND) {
        mdb_txn_abort(txn);
        return fault;
    }
    int commit_fault = mdb_txn_commit(txn);
    return commit_fault != 0 ? commit_fault : fault;
}

/* An interrupted building may have left entries of keys that have been deleted since. */
static int clear(struct kv_engine *engine)
{
    MDB_txn *txn;
    int fault = mdb_txn_begin(engine->env, NULL, 0, &txn);
    if (fault != 0)
        return fault;
    if ((fault = mdb_drop(txn, engine->order, 0)) == 0)
        return mdb_txn_commit(txn);
    mdb_txn_abort(txn);
    return fault;
}

int order_build(struct kv_engine *engine)
{
    struct progress progress = {.bytes = {KEY_MARK}};
    progress.at = (MDB_val){.mv_data = progress.bytes, .mv_size = 1};
    int fault = clear(engine);
    while (fault == 0)
        fault = commit_some(engine, &progress);
    return fault == MDB_NOTFOUND ? 0 : fault;
}
