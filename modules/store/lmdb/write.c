#include "write.h"

#include "keys.h"
#include "order.h"

/* The transaction of the batch. Returns: NULL on failure. */
static MDB_txn *batch_of(struct kv_engine *engine)
{
    if (engine->batch == NULL && engine->fault == 0)
        engine->fault =
            engine->env == NULL ? MDB_PANIC : mdb_txn_begin(engine->env, NULL, 0, &engine->batch);
    return engine->fault == 0 ? engine->batch : NULL;
}

/* Checks whether a long key exists. Returns: an error, also if another key with the same hash has
 * its place. */
static int look_up(struct kv_engine *engine, struct tree_key *at, struct kv_slice key,
                   bool *ret_is_there)
{
    MDB_val row;
    struct kv_slice whole;
    struct kv_slice value;
    int fault = mdb_get(engine->batch, engine->tables[KV_ENGINE_RECORDS], &at->val, &row);
    *ret_is_there = fault == 0;
    if (fault != 0)
        return fault == MDB_NOTFOUND ? 0 : fault;
    return split_long(row, &whole, &value) && kv_slice_equals(whole, key) ? 0 : MDB_CORRUPTED;
}

static char *append(char *at, struct kv_slice bytes)
{
    if (bytes.len != 0)
        memcpy(at, bytes.bytes, bytes.len);
    return at + bytes.len;
}

void engine_put(struct kv_engine *engine, enum kv_engine_table table, struct kv_slice key,
                struct kv_slice value)
{
    struct tree_key at;
    MDB_val row = {0};
    MDB_txn *txn = batch_of(engine);
    if (txn == NULL)
        return;
    make_key(engine, table, key, &at);
    bool is_there = true;
    if (at.is_long && (engine->fault = look_up(engine, &at, key, &is_there)) != 0)
        return;
    row.mv_size = value.len + (at.is_long ? LENGTH_BYTES + key.len : 0);
    engine->fault = mdb_put(txn, engine->tables[table], &at.val, &row, MDB_RESERVE);
    if (engine->fault != 0)
        return;
    char *end = row.mv_data;
    uint64_t len = key.len;
    if (at.is_long)
        end = append(append(end, (struct kv_slice){(const char *)&len, LENGTH_BYTES}), key);
    append(end, value);
    if (!is_there)
        engine->fault = order_add(engine, txn, key);
}

void engine_erase(struct kv_engine *engine, enum kv_engine_table table, struct kv_slice key)
{
    struct tree_key at;
    MDB_txn *txn = batch_of(engine);
    if (txn == NULL)
        return;
    make_key(engine, table, key, &at);
    int fault = mdb_del(txn, engine->tables[table], &at.val, NULL);
    if (fault == 0 && at.is_long)
        fault = order_remove(engine, txn, key);
    if (fault != 0 && fault != MDB_NOTFOUND)
        engine->fault = fault;
}

int write_commit(struct kv_engine *engine)
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

int write_nothing(struct kv_engine *engine)
{
    struct kv_slice seed = {.bytes = (const char *)&engine->seed, .len = SEED_BYTES};
    engine_put(engine, KV_ENGINE_META, SEED, seed);
    return write_commit(engine);
}
