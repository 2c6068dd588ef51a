/*
 * Walks in the order of the keys. Long keys with the same first part are adjacent in the tree of
 * records, but sorted by their hashes. So a walk visits them in the order of order.h, and then
 * skips them in the tree.
 */
#include "walk.h"

#include "keys.h"
#include "order.h"

/* A walk through the records, or through another table (then every row is plain). */
struct walk {
    struct kv_engine *engine;
    enum kv_engine_table table;
    MDB_txn *txn;
    MDB_cursor *cursor;
    MDB_val key, row; /* its position */
    struct kv_slice from;
    kv_engine_visit_fn visit;
    void *context;
};

static int step(struct walk *walk, MDB_cursor_op op)
{
    return mdb_cursor_get(walk->cursor, &walk->key, &walk->row, op);
}

static bool is_long(const struct walk *walk)
{
    return walk->table == KV_ENGINE_RECORDS && walk->key.mv_size == MOST_KEY;
}

/* Skips the rows with the same first part as this one. */
static int leave_group(struct walk *walk)
{
    char last[MOST_KEY];
    memcpy(last, walk->key.mv_data, 1 + PREFIX_BYTES);
    memset(last + 1 + PREFIX_BYTES, 0xff, HASH_BYTES);
    walk->key = (MDB_val){.mv_data = last, .mv_size = sizeof(last)};
    int fault = step(walk, MDB_SET_RANGE);
    bool is_last = fault == 0 && walk->key.mv_size == sizeof(last) &&
                   memcmp(walk->key.mv_data, last, sizeof(last)) == 0;
    return is_last ? step(walk, MDB_NEXT) : fault;
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

/* Returns: MDB_NOTFOUND at the end of the table, 0 if the visitor stopped. */
static int walk_on(struct walk *walk)
{
    int fault = step(walk, MDB_SET_RANGE);
    while (fault == 0) {
        if (is_long(walk)) {
            fault = order_walk(walk->engine, walk->txn, (const char *)walk->key.mv_data + 1,
                               walk->from, walk->visit, walk->context);
            if (fault != MDB_NOTFOUND)
                return fault; /* 0: the visitor stopped */
            fault = leave_group(walk);
        } else {
            if (!visit_plain(walk))
                return 0;
            fault = step(walk, MDB_NEXT);
        }
    }
    return fault;
}

/* Starts the walk at the key, or at the first key that shares its first part. */
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
    walk->txn = txn;
    int fault = mdb_cursor_open(txn, engine->tables[walk->table], &walk->cursor);
    if (fault != 0)
        return fault;
    start_at(walk, start);
    fault = walk_on(walk);
    mdb_cursor_close(walk->cursor);
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
