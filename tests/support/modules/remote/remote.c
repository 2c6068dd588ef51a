/*
 * A store for tests that behaves as if its data were on another server that others use as well. The
 * key of a SET or DELETE chooses the behaviour:
 *
 *   elsewhere/K     another server writes K, and runs its hooks and sinks
 *   later/K         the same, but reported only before the next command that is no GET
 *   missed/K        another server writes K, and this one misses the change: a resync
 *   unknown/done/K  K is written, and the answer is lost
 *   unknown/not/K   the command is lost; so are commands of all other kinds
 *   away/K          the data is unreachable, for commands of all kinds
 *   health/         SET: the store cannot serve, for the reason in its value; DELETE: it can
 *
 * Any other key is an ordinary one. The state itself is kept by another store, compiled in as
 * inner_module_entry(); its handle and this store's are both a `struct kv_store *`. It commits
 * within its calls, so one lock around them determines the recipient of each change, and orders all
 * changes.
 */
#include <kvserver/store.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* The key that is written without a notification, to advance the revision. */
#define SCRATCH KV_SLICE("remote-scratch")

enum telling {
    HERE,
    ELSEWHERE,
    LATER,
    NOBODY
};

struct kv_store {
    struct kv_store_host host; /* the inner store's */
    const struct kv_store_host *server;
    const struct kv_store_ops *inner_ops;
    struct kv_store *inner;
    pthread_mutex_t lock; /* for everything that may cause changes */
    enum telling telling;
    struct kv_change untold; /* revision 0: none */
    bool is_ill;
    char why[64];
};

const struct kv_module *inner_module_entry(void);

/* ---- the inner store's host ---- */

static struct kv_store *store_of(const struct kv_store_host *host)
{
    return (struct kv_store *)(uintptr_t)host; /* its first member */
}

static const struct kv_host *server_of(const struct kv_host *base)
{
    return &store_of((const struct kv_store_host *)base)->server->base;
}

static int64_t host_now_ms(const struct kv_host *base)
{
    return server_of(base)->now_ms(server_of(base));
}

static int64_t host_wall_us(const struct kv_host *base)
{
    return server_of(base)->wall_us(server_of(base));
}

static uint64_t host_hash(const struct kv_store_host *host, struct kv_slice key)
{
    return store_of(host)->server->hash(store_of(host)->server, key);
}

static void host_wake_at(const struct kv_store_host *host, uint32_t part, int64_t deadline_ms)
{
    store_of(host)->server->wake_at(store_of(host)->server, part, deadline_ms);
}

static void keep_untold(struct kv_store *store, const struct kv_change *change)
{
    store->untold = *change;
    if (change->before.ref != NULL)
        store->inner_ops->ref(store->inner, change->before.ref);
    if (change->after.ref != NULL)
        store->inner_ops->ref(store->inner, change->after.ref);
}

static void host_changed(const struct kv_store_host *host, uint32_t part,
                         const struct kv_change *change)
{
    struct kv_store *store = store_of(host);
    if (store->telling == LATER)
        keep_untold(store, change);
    else if (store->telling == HERE)
        store->server->changed(store->server, part, change);
    else if (store->telling == ELSEWHERE)
        store->server->changed_elsewhere(store->server, part, change);
}

/* ---- commands, under the lock ---- */

static void drop_untold(struct kv_store *store)
{
    if (store->untold.before.ref != NULL)
        store->inner_ops->unref(store->inner, store->untold.before.ref);
    if (store->untold.after.ref != NULL)
        store->inner_ops->unref(store->inner, store->untold.after.ref);
    store->untold = (struct kv_change){0};
}

static void tell_untold(struct kv_store *store)
{
    if (store->untold.revision == 0)
        return;
    store->server->changed_elsewhere(store->server, 0, &store->untold);
    drop_untold(store);
}

static void run(struct kv_store *store, uint32_t loop, struct kv_cmd *cmd, enum telling telling)
{
    store->telling = telling;
    store->inner_ops->submit(store->inner, loop, &cmd, 1);
    store->telling = HERE;
}

/* Executes a SET or DELETE on another key. */
static void run_for(struct kv_store *store, uint32_t loop, struct kv_cmd *cmd, struct kv_slice key,
                    enum telling telling)
{
    struct kv_cmd other = *cmd;
    other.key = key;
    other.hash = store->server->hash(store->server, key);
    other.staged = NULL;
    run(store, loop, &other, telling);
    cmd->status = other.status;
    cmd->revision = other.revision;
}

static void raise_revision(struct kv_store *store, uint32_t loop)
{
    struct kv_cmd set = {.op = KV_OP_SET, .deadline_ms = KV_NEVER};
    run_for(store, loop, &set, SCRATCH, NOBODY);
    struct kv_cmd delete = {.op = KV_OP_DELETE};
    run_for(store, loop, &delete, SCRATCH, NOBODY);
}

static void miss(struct kv_store *store, uint32_t loop, struct kv_cmd *cmd, struct kv_slice key)
{
    run_for(store, loop, cmd, key, NOBODY);
    raise_revision(store, loop);
    store->server->resync(store->server, 0);
}

static void lose(struct kv_cmd *cmd, enum kv_status status)
{
    cmd->status = status;
    cmd->revision = 0;
}

static void set_health(struct kv_store *store, struct kv_cmd *cmd)
{
    snprintf(store->why, sizeof(store->why), "%.*s", (int)cmd->value.len, cmd->value.bytes);
    store->is_ill = cmd->op != KV_OP_DELETE;
    store->server->health(store->server, !store->is_ill, store->why);
}

/* Whether the key has this prefix. *ret_rest: the rest. */
static bool names(const struct kv_cmd *cmd, const char *order, struct kv_slice *ret_rest)
{
    size_t len = strlen(order);
    if (cmd->key.len < len || memcmp(cmd->key.bytes, order, len) != 0)
        return false;
    *ret_rest = (struct kv_slice){cmd->key.bytes + len, cmd->key.len - len};
    return true;
}

static void write_one(struct kv_store *store, uint32_t loop, struct kv_cmd *cmd)
{
    struct kv_slice key;
    if (names(cmd, "elsewhere/", &key)) {
        run_for(store, loop, cmd, key, ELSEWHERE);
    } else if (names(cmd, "later/", &key)) {
        run_for(store, loop, cmd, key, LATER);
    } else if (names(cmd, "missed/", &key)) {
        miss(store, loop, cmd, key);
    } else if (names(cmd, "unknown/done/", &key)) {
        run_for(store, loop, cmd, key, HERE);
        lose(cmd, KV_UNKNOWN);
    } else {
        if (names(cmd, "health/", &key))
            set_health(store, cmd);
        run(store, loop, cmd, HERE);
    }
}

static void submit_one(struct kv_store *store, uint32_t loop, struct kv_cmd *cmd)
{
    struct kv_slice key;
    if (cmd->op != KV_OP_GET)
        tell_untold(store);
    if (cmd->op == KV_OP_CATCH_UP)
        cmd->status = KV_OK;
    else if (names(cmd, "away/", &key))
        lose(cmd, KV_UNAVAILABLE);
    else if (names(cmd, "unknown/not/", &key) && cmd->op != KV_OP_GET)
        lose(cmd, KV_UNKNOWN);
    else if (cmd->op == KV_OP_SET || cmd->op == KV_OP_DELETE)
        write_one(store, loop, cmd);
    else
        run(store, loop, cmd, HERE);
}

static void remote_submit(struct kv_store *store, uint32_t loop, struct kv_cmd *const *cmds,
                          size_t n)
{
    pthread_mutex_lock(&store->lock);
    for (size_t i = 0; i < n; i++)
        submit_one(store, loop, cmds[i]);
    pthread_mutex_unlock(&store->lock);
}

static int64_t remote_expire(struct kv_store *store, uint32_t part, int64_t now_ms, uint32_t max)
{
    pthread_mutex_lock(&store->lock);
    tell_untold(store);
    int64_t next_ms = store->inner_ops->expire(store->inner, part, now_ms, max);
    pthread_mutex_unlock(&store->lock);
    return next_ms;
}

/* ---- functions without the lock ---- */

static void remote_scan(struct kv_store *store, uint32_t loop, struct kv_scan *scan)
{
    store->inner_ops->scan(store->inner, loop, scan);
}

static void remote_info(struct kv_store *store, struct kv_store_info *ret_info)
{
    store->inner_ops->info(store->inner, ret_info);
}

static uint64_t remote_revision(struct kv_store *store)
{
    return store->inner_ops->revision(store->inner);
}

static void remote_ref(struct kv_store *store, void *ref)
{
    store->inner_ops->ref(store->inner, ref);
}

static void remote_unref(struct kv_store *store, void *ref)
{
    store->inner_ops->unref(store->inner, ref);
}

static void remote_metrics(struct kv_store *store, struct kv_metrics_out *out)
{
    static const struct kv_metric apart = {"kvserver_store_clock_difference_seconds",
                                           KV_METRIC_GAUGE, "seconds",
                                           "How far the clocks of the parts are apart"};
    store->inner_ops->metrics(store->inner, out);
    out->number(out, &apart, 1500000000);
}

static void remote_parts(struct kv_store *store, struct kv_parts_out *out)
{
    char why[sizeof(store->why)];
    struct kv_part_state state = {
        .size = sizeof(state),
        .node = KV_SLICE("far away"),
        .lag_ms = -1,
        .n_resyncs = 7,
        .holder = KV_HOLDER_ELSEWHERE,
        .holder_id = KV_SLICE("one of them"),
        .cursor = 5,
        .behind_ms = 6,
    };
    pthread_mutex_lock(&store->lock);
    state.is_connected = !store->is_ill;
    memcpy(why, store->why, sizeof(why));
    pthread_mutex_unlock(&store->lock);
    state.fault = state.is_connected ? (struct kv_slice){0} : kv_slice_of(why);
    if (!state.is_connected)
        state.size = offsetof(struct kv_part_state, holder); /* as a module of 1.6 */
    out->part(out, &state);
}

/* ---- lifecycle ---- */

static void remote_close(struct kv_store *store)
{
    if (store->inner != NULL)
        drop_untold(store);
    if (store->inner != NULL)
        store->inner_ops->close(store->inner);
    pthread_mutex_destroy(&store->lock);
    free(store);
}

static void init_host(struct kv_store *store)
{
    store->host = *store->server;
    store->host.base.now_ms = host_now_ms;
    store->host.base.wall_us = host_wall_us;
    store->host.hash = host_hash;
    store->host.wake_at = host_wake_at;
    store->host.changed = host_changed;
}

static int remote_open(const struct kv_store_host *host, const struct kv_option_value *options,
                       struct kv_store **ret_store, struct kv_error *reterr)
{
    struct kv_store *store = calloc(1, sizeof(*store));
    if (store == NULL)
        return kv_error_set(reterr, "store remote: no memory");
    store->server = host;
    store->inner_ops = inner_module_entry()->ops;
    pthread_mutex_init(&store->lock, NULL);
    init_host(store);
    if (store->inner_ops->open(&store->host, options, &store->inner, reterr) != 0) {
        store->inner = NULL;
        remote_close(store);
        return -1;
    }
    *ret_store = store;
    return 0;
}

static const struct kv_option remote_options[] = {
    {.name = "max_bytes",
     .type = KV_OPTION_SIZE,
     .fallback = "0",
     .doc = "the most that keys and values may add up to; 0: no limit"},
};

static const struct kv_store_ops remote_ops = {
    .size = sizeof(remote_ops),
    .open = remote_open,
    .info = remote_info,
    .submit = remote_submit,
    .scan = remote_scan,
    .expire = remote_expire,
    .ref = remote_ref,
    .unref = remote_unref,
    .close = remote_close,
    .revision = remote_revision,
    .metrics = remote_metrics,
    .parts = remote_parts,
};

static const struct kv_module remote_module = {
    KV_MODULE_IDENTITY,
    .kind = KV_MODULE_STORE,
    .name = "remote",
    .version = "1.0",
    .capabilities = KV_STORE_ORDERED | KV_STORE_SEEKS | KV_STORE_IN_ORDER | KV_STORE_CATCHES_UP,
    .options = remote_options,
    .n_options = sizeof(remote_options) / sizeof(remote_options[0]),
    .ops = &remote_ops,
};

KV_MODULE_EXPORT(&remote_module)
