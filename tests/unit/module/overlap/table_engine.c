/* The engine of disk.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "disk.h"

static int engine_open(const struct kv_host *host, const char *folder,
                       const struct kv_option_value *options, struct kv_engine **ret,
                       struct kv_error *reterr)
{
    (void)host;
    (void)folder;
    (void)options;
    (void)reterr;
    *ret = disk.engine = kv_calloc(1, sizeof(struct kv_engine));
    table_apply(&disk.engine->committed, &disk.persisted);
    return 0;
}

static void engine_close(struct kv_engine *engine)
{
    table_clear(&engine->committed);
    table_clear(&engine->batch);
    free(engine);
}

static enum kv_engine_status engine_get(struct kv_engine *engine, enum kv_engine_table table,
                                        struct kv_slice key, enum kv_engine_reach reach,
                                        kv_engine_take_fn take, void *context)
{
    pthread_mutex_lock(&disk_lock);
    if (kv_slice_has_prefix(key, BARRIER))
        disk.n_barriers++;
    pthread_cond_broadcast(&disk_moved);
    const struct row *row =
        table_find(reach == KV_ENGINE_ON_DISK ? &disk.persisted : &engine->committed, table, key);
    bool is_there = row != NULL && !row->is_erased;
    if (is_there)
        take(context, kv_buffer_slice(&row->value));
    pthread_mutex_unlock(&disk_lock);
    return is_there ? KV_ENGINE_OK : KV_ENGINE_ABSENT;
}

static void engine_put(struct kv_engine *engine, enum kv_engine_table table, struct kv_slice key,
                       struct kv_slice value)
{
    kv_buffer_append(&table_set(&engine->batch, table, key)->value, value);
}

static void engine_erase(struct kv_engine *engine, enum kv_engine_table table, struct kv_slice key)
{
    table_set(&engine->batch, table, key)->is_erased = true;
}

/* An engine may persist one of its tables long before the others. */
static void persist_records(const struct table *batch)
{
    for (size_t i = 0; i < batch->n; i++) {
        const struct row *row = &batch->all[i];
        if (row->table != KV_ENGINE_RECORDS)
            continue;
        struct row *to = table_set(&disk.persisted, row->table, kv_buffer_slice(&row->key));
        kv_buffer_append(&to->value, kv_buffer_slice(&row->value));
        to->is_erased = row->is_erased;
    }
}

static enum kv_engine_status engine_commit(struct kv_engine *engine)
{
    pthread_mutex_lock(&disk_lock);
    disk.n_commits++;
    pthread_cond_broadcast(&disk_moved);
    while (disk.is_engine_busy)
        disk_wait();
    enum kv_engine_status status = disk.commit;
    if (status == KV_ENGINE_OK)
        table_apply(&engine->committed, &engine->batch);
    if (status == KV_ENGINE_OK && disk.is_engine_eager)
        persist_records(&engine->batch);
    pthread_mutex_unlock(&disk_lock);
    table_clear(&engine->batch);
    return status;
}

static enum kv_engine_status engine_persist(struct kv_engine *engine)
{
    pthread_mutex_lock(&disk_lock);
    table_apply(&disk.persisted, &engine->committed);
    pthread_mutex_unlock(&disk_lock);
    return KV_ENGINE_OK;
}

static enum kv_engine_status engine_walk(struct kv_engine *engine, enum kv_engine_table table,
                                         struct kv_slice from, kv_engine_visit_fn visit,
                                         void *context)
{
    pthread_mutex_lock(&disk_lock);
    for (size_t i = 0; i < engine->committed.n; i++) {
        const struct row *row = &engine->committed.all[i];
        if (row->table == table && !row->is_erased &&
            kv_slice_compare(kv_buffer_slice(&row->key), from) >= 0 &&
            !visit(context, kv_buffer_slice(&row->key), kv_buffer_slice(&row->value)))
            break;
    }
    pthread_mutex_unlock(&disk_lock);
    return KV_ENGINE_OK;
}

/* Loses everything that is not persisted. */
static enum kv_engine_status engine_recover(struct kv_engine *engine, kv_engine_refill_fn refill,
                                            void *context)
{
    pthread_mutex_lock(&disk_lock);
    enum kv_engine_status status = disk.commit;
    table_clear(&engine->committed);
    table_apply(&engine->committed, &disk.persisted);
    pthread_mutex_unlock(&disk_lock);
    return status == KV_ENGINE_OK ? refill(context) : status;
}

const struct kv_engine_ops table_engine_ops = {
    .name = "table",
    .max_commit = 16,
    .max_row = 1 << 20,
    .open = engine_open,
    .close = engine_close,
    .get = engine_get,
    .put = engine_put,
    .erase = engine_erase,
    .commit = engine_commit,
    .persist = engine_persist,
    .walk = engine_walk,
    .recover = engine_recover,
};
