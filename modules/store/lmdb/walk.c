/*
 * Walks in the order of the keys. Long keys with the same first part stand together in the tree, in
 * the order of their hashes; a walk sorts them.
 */
#include "walk.h"

#include <errno.h>
#include <stdlib.h>

#include "keys.h"

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

int walk_rows(struct kv_engine *engine, enum kv_engine_table table, struct kv_slice from,
              kv_engine_visit_fn visit, void *context)
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
    return fault;
}
