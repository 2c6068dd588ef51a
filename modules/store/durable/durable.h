/*
 * A durable store without its engine: the common part of `rocksdb` and `lmdb`. One thread, the
 * writer, judges and commits commands in batches, which form while the previous commit is in
 * progress (group commit). A commit is a record of a journal; another thread applies it to the
 * engine later. Event loops answer reads from memory, a few threads the others.
 *
 *   loop --submit--> [states] found: answered at once
 *                      |  not in memory --> readers <-- engine <-- applier <----+
 *                      +--writes--> writer (batch, journal, publish, tell) -----+--> host->done()
 *
 * The README of this folder describes the guarantees and the format on the disk.
 *
 * A module is made of it by an engine (engine.h) and a few lines:
 *
 *   static int open_it(host, options, ret, reterr)
 *   {
 *       return kv_durable_open(host, options, &engine_ops, ret, reterr);
 *   }
 *   static const struct kv_store_ops ops = KV_DURABLE_OPS(open_it, open_it_to_read, check_it);
 */
#ifndef KV_DURABLE_DURABLE_H
#define KV_DURABLE_DURABLE_H

#include "engine.h"

/* The first options of every durable store; those of the engine start at KV_DURABLE_N_OPTIONS. */
enum {
    KV_DURABLE_OPTION_PATH,
    KV_DURABLE_OPTION_DURABILITY,
    KV_DURABLE_OPTION_INTERVAL,
    KV_DURABLE_OPTION_CACHE,
    KV_DURABLE_OPTION_READERS,
    KV_DURABLE_OPTION_JOURNAL,
    KV_DURABLE_N_OPTIONS
};

extern const char *const kv_durable_durabilities[];

#define KV_DURABLE_OPTIONS(default_path)                                                           \
    [KV_DURABLE_OPTION_PATH] = {.name = "path",                                                    \
                                .type = KV_OPTION_PATH,                                            \
                                .flags = KV_OPTION_FOLDER,                                         \
                                .fallback = default_path,                                          \
                                .doc = "the folder; made where it is missing"},                    \
    [KV_DURABLE_OPTION_DURABILITY] = {.name = "durability",                                        \
                                      .type = KV_OPTION_CHOICE,                                    \
                                      .choices = kv_durable_durabilities,                          \
                                      .fallback = "always",                                        \
                                      .doc = "when a write is safe from a power cut"},             \
    [KV_DURABLE_OPTION_INTERVAL] = {.name = "interval",                                            \
                                    .type = KV_OPTION_DURATION,                                    \
                                    .fallback = "1s",                                              \
                                    .min = 1,                                                      \
                                    .max = 3600000,                                                \
                                    .doc = "between syncs, with `durability: interval`"},          \
    [KV_DURABLE_OPTION_CACHE] = {.name = "cache",                                                  \
                                 .type = KV_OPTION_SIZE,                                           \
                                 .fallback = "256MiB",                                             \
                                 .max = INT64_C(1) << 44,                                          \
                                 .doc = "memory for keys and values that were used lately"},       \
    [KV_DURABLE_OPTION_READERS] = {.name = "readers",                                              \
                                   .type = KV_OPTION_INT,                                          \
                                   .fallback = "2",                                                \
                                   .min = 1,                                                       \
                                   .max = 64,                                                      \
                                   .doc = "threads that read from the disk"},                      \
    [KV_DURABLE_OPTION_JOURNAL] = {                                                                \
        .name = "journal",                                                                         \
        .type = KV_OPTION_SIZE,                                                                    \
        .fallback = "32MiB",                                                                       \
        .min = 64 << 10,                                                                           \
        .max = INT64_C(1) << 40,                                                                   \
        .doc = "what the database may lack until it is brought up to the journal"}

/* As kv_store_ops.open, on that engine. */
int kv_durable_open(const struct kv_store_host *host, const struct kv_option_value *options,
                    const struct kv_engine_ops *ops, struct kv_store **ret_store,
                    struct kv_error *reterr);

/* As kv_store_ops.open_to_read. A store that was closed in order is only read; otherwise it is
 * opened as usual, brought up to its journal, and closed in order. */
int kv_durable_open_to_read(const struct kv_store_host *host, const struct kv_option_value *options,
                            const struct kv_engine_ops *ops, struct kv_store **ret_store,
                            struct kv_error *reterr);

/* As kv_store_ops.check: whether the folder belongs to that store, or can be used for it. */
void kv_durable_check(const struct kv_option_value *options, const struct kv_engine_ops *ops,
                      const struct kv_faults *faults);

/* The other functions of kv_store_ops. */
void kv_durable_info(struct kv_store *store, struct kv_store_info *ret_info);
void kv_durable_submit(struct kv_store *store, uint32_t loop, struct kv_cmd *const *cmds, size_t n);
void kv_durable_scan(struct kv_store *store, uint32_t loop, struct kv_scan *scan);
int64_t kv_durable_expire(struct kv_store *store, uint32_t part, int64_t now_ms, uint32_t max);
void kv_durable_ref(struct kv_store *store, void *ref);
void kv_durable_unref(struct kv_store *store, void *ref);
void kv_durable_close(struct kv_store *store);
uint64_t kv_durable_revision(struct kv_store *store);
void kv_durable_read_log(struct kv_store *store, uint32_t loop, struct kv_log_page *page);
struct kv_item kv_durable_stage(struct kv_store *store, struct kv_slice key, struct kv_slice value);
void kv_durable_metrics(struct kv_store *store, struct kv_metrics_out *out);

/* The capabilities that every durable store has. */
#define KV_DURABLE_CAPABILITIES                                                                    \
    (KV_STORE_DURABLE | KV_STORE_ORDERED | KV_STORE_SEEKS | KV_STORE_UPDATES | KV_STORE_IN_ORDER | \
     KV_STORE_LOG)

#define KV_DURABLE_OPS(open_function, open_to_read_function, check_function)                       \
    {                                                                                              \
        .size = sizeof(struct kv_store_ops), .open = (open_function), .info = kv_durable_info,     \
        .submit = kv_durable_submit, .scan = kv_durable_scan, .expire = kv_durable_expire,         \
        .ref = kv_durable_ref, .unref = kv_durable_unref, .close = kv_durable_close,               \
        .open_to_read = (open_to_read_function), .revision = kv_durable_revision,                  \
        .read_log = kv_durable_read_log, .check = (check_function), .stage = kv_durable_stage,     \
        .metrics = kv_durable_metrics,                                                             \
    }

#endif
