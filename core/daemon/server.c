/*
 * The composition root. Threads: the main one waits for signals; one for each loop; one that opens
 * the store and loads what is imported, as that may take long. All are made with signals blocked,
 * so that only the main thread takes them (signals.h). Another closes the store.
 */
#include "daemon/server.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/budget.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "daemon/chain.h"
#include "daemon/ending.h"
#include "daemon/import.h"
#include "daemon/outlets.h"
#include "daemon/process.h"
#include "daemon/reload.h"
#include "daemon/scripting.h"
#include "daemon/signals.h"

enum {
    ABORT_MS = 2000, /* for what was cut off */
    GRACE_MS = 2000, /* for sinks that have to return */
    /* The same after a second signal; together well below a second. */
    HURRIED_ABORT_MS = 250,
    HURRIED_GRACE_MS = 150,
    HURRIED_CLOSE_MS = 400,
    STORE_OPENS_SOON_MS = 500,
    STACK_BYTES = 8 << 20
};

struct server;

struct loop_thread {
    struct server *server;
    uint32_t index;
    pthread_t thread;
    bool is_running;
    struct kv_post drain;
    struct kv_post abort;
};

struct server {
    const struct kv_config *config;
    struct kv_import *import; /* NULL: none */
    bool serves;              /* false: it ends when all is imported */
    struct kv_chain *chain;
    struct kv_outlets *outlets;
    struct kv_sinks *sinks; /* NULL: there are none */
    struct kv_scripts *scripts;
    struct kv_interceptor **interceptors; /* one for each script */
    struct kv_observer *observers[2];
    size_t n_observers;
    int64_t ends_by_ms; /* when the time for draining is over */
    struct kv_ending ending;
    atomic_bool is_closed; /* the store */
    struct kv_loop **loops;
    struct loop_thread *threads;
    uint16_t *ports; /* of the addresses */
    struct kv_budget *budget;
    struct kv_keyspace *keyspace;
    struct kv_workers *workers;
    struct kv_net *net;
    struct kv_http *http;
    struct kv_http_upgrade upgrade; /* to the WebSockets */
    struct kv_ws *ws;
    char store_name[64];
    pthread_t opener;
    bool has_opener;
    sem_t opened;           /* up when the store has been opened, or has failed to */
    atomic_bool is_opening; /* the store, or loading it */
    atomic_int n_ready;     /* the store is open; the addresses have been told */
    atomic_bool has_ended;  /* of itself: all is imported, or it has failed */
    atomic_bool has_failed; /* the store could not be opened, or not be loaded */
    struct kv_error why;
    int64_t started_ms;
};

/* Threads. */

static void *run_loop(void *argument)
{
    struct loop_thread *thread = argument;
    kv_loop_run(thread->server->loops[thread->index]);
    return NULL;
}

static void drain_loop(struct kv_post *post)
{
    struct loop_thread *thread = KV_CONTAINER(post, struct loop_thread, drain);
    kv_net_drain(thread->server->net, thread->index);
    kv_ws_drain(thread->server->ws, thread->index);
    kv_http_drain(thread->server->http, thread->index);
}

static void abort_loop(struct kv_post *post)
{
    struct loop_thread *thread = KV_CONTAINER(post, struct loop_thread, abort);
    kv_ws_abort(thread->server->ws, thread->index);
    kv_net_abort(thread->server->net, thread->index);
}

static void end(struct server *server)
{
    atomic_store(&server->has_ended, true);
    kv_signals_wake(); /* the main thread waits for them */
}

/* Called twice: the one that comes second says so. */
static void become_ready(struct server *server)
{
    if (atomic_fetch_add(&server->n_ready, 1) == 1)
        kv_log(KV_LOG_INFO, "server", "ready after %lld ms",
               (long long)(kv_clock_now_ms(&kv_clock_boot) - server->started_ms));
}

static void *open_store(void *argument)
{
    struct server *server = argument;
    int failed = kv_keyspace_open(server->keyspace, &server->why);
    atomic_store(&server->has_failed, failed != 0);
    atomic_store(&server->is_opening, false);
    sem_post(&server->opened);
    if (failed != 0 || !server->serves)
        end(server);
    else
        become_ready(server);
    return NULL;
}

static int start_thread(pthread_t *ret_thread, void *(*run)(void *), void *argument,
                        struct kv_error *reterr)
{
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    int failed = pthread_create(ret_thread, &attributes, run, argument);
    pthread_attr_destroy(&attributes);
    return failed == 0 ? 0 : kv_error_set(reterr, "cannot start a thread: %s", strerror(failed));
}

static int start_threads(struct server *server, struct kv_error *reterr)
{
    for (uint32_t i = 0; i < server->config->n_threads; i++) {
        struct loop_thread *thread = &server->threads[i];
        if (start_thread(&thread->thread, run_loop, thread, reterr) != 0)
            return -1;
        thread->is_running = true;
    }
    atomic_store(&server->is_opening, true);
    if (start_thread(&server->opener, open_store, server, reterr) != 0)
        return -1;
    server->has_opener = true;
    return 0;
}

/* Making. */

static int create_loops(struct server *server, struct kv_error *reterr)
{
    uint32_t n = server->config->n_threads;
    server->loops = kv_calloc(n, sizeof(struct kv_loop *));
    server->threads = kv_calloc(n, sizeof(*server->threads));
    for (uint32_t i = 0; i < n; i++) {
        server->loops[i] = kv_loop_create(i, &kv_clock_boot);
        if (server->loops[i] == NULL)
            return kv_error_set(reterr, "cannot make an event loop: %s", strerror(errno));
        server->threads[i] = (struct loop_thread){.server = server,
                                                  .index = i,
                                                  .drain = {.run = drain_loop},
                                                  .abort = {.run = abort_loop}};
    }
    return 0;
}

static struct kv_keyspace *create_keyspace(struct server *server)
{
    const struct kv_loaded_module *store = server->config->store.module;
    snprintf(server->store_name, sizeof(server->store_name), "store/%s", store->identity->name);
    if (server->sinks != NULL)
        server->observers[server->n_observers++] = kv_sinks_observer(server->sinks);
    if (server->config->n_scripts != 0)
        server->observers[server->n_observers++] = kv_scripts_observer(server->scripts);
    server->interceptors = kv_calloc(server->config->n_scripts, sizeof(*server->interceptors));
    for (size_t i = 0; i < server->config->n_scripts; i++)
        server->interceptors[i] = kv_scripts_interceptor(server->scripts, i);
    const struct kv_keyspace_parts parts = {
        .clock = &kv_clock_boot,
        .loops = server->loops,
        .n_loops = server->config->n_threads,
        .store_ops = kv_module_store_ops(store),
        .store_capabilities = store->identity->capabilities,
        .store_name = server->store_name,
        .store_options = server->config->store.options,
        .log_bytes = server->config->log_bytes,
        .log_ms = server->config->log_ms,
        .ttl_chain = kv_chain_links(server->chain),
        .n_ttl_chain = server->config->n_ttl,
        .interceptors = server->interceptors,
        .n_interceptors = server->config->n_scripts,
        .observers = server->observers,
        .n_observers = server->n_observers,
        .workers = server->workers,
        .loader = server->import == NULL ? NULL : kv_import_loader(server->import),
        .budget = server->budget,
    };
    return kv_keyspace_create(&parts);
}

static int listen_at(struct server *server, size_t i, struct kv_error *reterr)
{
    const struct kv_listen_address *at = &server->config->listen[i];
    if (at->unix_path != NULL)
        return kv_net_listen_unix(server->net, at->unix_path, at->unix_mode, reterr);
    return kv_net_listen(server->net, at->host, at->port, &server->ports[i], reterr);
}

static int listen_everywhere(struct server *server, struct kv_error *reterr)
{
    server->ports = kv_calloc(server->config->n_listen, sizeof(*server->ports));
    for (size_t i = 0; i < server->config->n_listen; i++)
        if (listen_at(server, i, reterr) != 0)
            return -1;
    return 0;
}

static bool is_volatile(const struct kv_loaded_module *store)
{
    return (store->identity->capabilities & KV_STORE_DURABLE) == 0;
}

static int begin_service(struct server *server, struct kv_error *reterr)
{
    const struct kv_config *config = server->config;
    kv_log(KV_LOG_INFO, "server", "version %s, %s, %u thread%s, %zu MiB for connections",
           KV_VERSION, server->store_name, config->n_threads, config->n_threads == 1 ? "" : "s",
           config->memory >> 20);
    if (config->store.block.at == NULL && is_volatile(config->store.module))
        kv_log(KV_LOG_WARN, "server",
               "without %s data is in memory only, and gone when the server ends",
               config->path == NULL ? "a configuration (-c FILE)"
                                    : "`storage: {module: …}` in the configuration");
    return listen_everywhere(server, reterr);
}

/* Whether the store cannot be opened. One that takes its time may yet fail. */
static bool store_fails_at_once(struct server *server)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += STORE_OPENS_SOON_MS * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    while (sem_timedwait(&server->opened, &until) != 0 && errno == EINTR)
        continue;
    return atomic_load(&server->has_failed);
}

static void tell_address(const struct kv_listen_address *at, uint16_t port)
{
    if (at->unix_path != NULL) {
        kv_log(KV_LOG_INFO, "server", "listening on %s", at->unix_path);
        return;
    }
    bool is_ipv6 = strchr(at->host, ':') != NULL;
    kv_log(KV_LOG_INFO, "server", "listening on http://%s%s%s:%u", is_ipv6 ? "[" : "", at->host,
           is_ipv6 ? "]" : "", port);
}

/* Says where it listens, but not where an error is all that there is to be said. */
static void tell_addresses(struct server *server)
{
    if (store_fails_at_once(server))
        return;
    for (size_t i = 0; i < server->config->n_listen; i++)
        tell_address(&server->config->listen[i], server->ports[i]);
    become_ready(server);
}

/* What the configuration names. */
static int open_parts(struct server *server)
{
    const struct kv_config *config = server->config;
    if ((server->chain = kv_chain_open(config)) == NULL ||
        (server->outlets = kv_outlets_open(config)) == NULL ||
        (server->scripts = kv_scripting_load(config, config->n_threads)) == NULL)
        return KV_MISCONFIGURED;
    return 0;
}

static void open_websocket(struct kv_http_upgrade *upgrade, uint32_t loop,
                           struct kv_connection *connection)
{
    kv_ws_open(KV_CONTAINER(upgrade, struct server, upgrade)->ws, loop, connection);
}

static void create_protocols(struct server *server)
{
    const struct kv_config *config = server->config;
    server->upgrade.open = open_websocket;
    server->http =
        kv_http_create(&config->http, &(struct kv_http_parts){.net = server->net,
                                                              .keyspace = server->keyspace,
                                                              .workers = server->workers,
                                                              .upgrade = &server->upgrade,
                                                              .loops = server->loops,
                                                              .n_loops = config->n_threads});
    server->ws = kv_ws_create(&config->ws, server->net, server->keyspace, server->workers,
                              server->loops, config->n_threads);
}

static int start(struct server *server, struct kv_error *reterr)
{
    const struct kv_config *config = server->config;
    int result = open_parts(server);
    if (result != 0)
        return result;
    if (create_loops(server, reterr) != 0)
        return -1;
    server->sinks = kv_outlets_sinks(server->outlets);
    server->workers = kv_workers_create(config->n_threads);
    server->budget = kv_budget_create(config->memory, config->n_threads);
    server->keyspace = create_keyspace(server);
    kv_scripts_start(server->scripts, server->keyspace);
    if (server->sinks != NULL && kv_sinks_start(server->sinks, server->keyspace, reterr) != 0)
        return -1;
    struct kv_net_config net = config->net;
    net.budget = server->budget;
    net.workers = server->workers;
    net.max_connections = kv_process_fit_connections(config);
    server->net = kv_net_create(&net, server->loops, config->n_threads);
    create_protocols(server);
    if (server->serves && begin_service(server, reterr) != 0)
        return -1;
    if (start_threads(server, reterr) != 0)
        return -1;
    if (server->serves)
        tell_addresses(server);
    return 0;
}

/* Signals. */

/* SIGHUP. */
static void reload(const struct server *server)
{
    kv_log(KV_LOG_INFO, "server", "reloading");
    if (server->sinks != NULL)
        kv_sinks_reopen(server->sinks);
    kv_scripts_reload(server->scripts);
    kv_reload_tell_changes(server->config);
}

static void serve_until_signal(const struct server *server)
{
    int signal_number;
    while (!kv_signal_is_end(signal_number = kv_signals_await(-1)) &&
           signal_number != KV_SIGNAL_WAKE)
        if (signal_number == SIGHUP)
            reload(server);
    if (!atomic_load(&server->has_ended))
        kv_log(KV_LOG_INFO, "server", "received %s, shutting down", kv_signal_name(signal_number));
}

/* Ending. */

/* Hooks may lead to commands, and these to changes that call hooks: it is quiet when nothing is
 * found twice. */
static bool is_quiet(const void *context)
{
    const struct server *server = context;
    bool is_quiet = kv_net_is_quiet(server->net) && !atomic_load(&server->is_opening);
    for (int i = 0; i < 2; i++)
        is_quiet = is_quiet && kv_keyspace_is_quiet(server->keyspace) &&
                   kv_scripts_under_way(server->scripts) == 0;
    return is_quiet;
}

/* What it is not quiet for. */
static void describe_noise(const void *context, struct kv_buffer *out)
{
    const struct server *server = context;
    kv_ending_append_count(out, kv_net_n_connections(server->net), "connection");
    kv_ending_append_count(out, kv_net_n_lingering(server->net), "half-closed connection");
    kv_ending_append_count(out, kv_keyspace_under_way(server->keyspace), "command");
    kv_ending_append_count(out, kv_scripts_under_way(server->scripts), "hook");
    if (atomic_load(&server->is_opening))
        kv_buffer_printf(out, "%sthe store to open", out->len == 0 ? "" : ", ");
    if (out->len == 0)
        kv_buffer_append(out, KV_SLICE("changes to reach subscribers"));
}

static bool wait_until_quiet(struct server *server, int64_t until_ms, int64_t hurried_ms)
{
    const struct kv_awaited quiet = {.is_over = is_quiet,
                                     .describe = describe_noise,
                                     .context = server,
                                     .until_ms = until_ms,
                                     .hurried_ms = hurried_ms};
    return kv_ending_await(&server->ending, &quiet);
}

static void log_noise(const struct server *server, enum kv_log_level level, const char *effect)
{
    struct kv_buffer what = {0};
    describe_noise(server, &what);
    kv_log(level, "server", "%s: %.*s", effect, (int)what.len, what.bytes);
    kv_buffer_fini(&what);
}

/* What is left belongs to threads that cannot be stopped, as one that reads a long body. An
 * operator in a hurry loses nothing by it where the store is volatile. */
static void give_up(const struct server *server)
{
    if (server->ending.is_hurried && is_volatile(server->config->store.module)) {
        log_noise(server, KV_LOG_WARN, "stopped at once; there are left");
        _exit(EXIT_SUCCESS);
    }
    log_noise(server, KV_LOG_ERROR, "giving up, the store is not closed; there are left");
    _exit(EXIT_FAILURE);
}

static void drain(struct server *server)
{
    server->ends_by_ms = kv_clock_now_ms(&kv_clock_boot) + server->config->drain_ms;
    for (uint32_t i = 0; i < server->config->n_threads; i++)
        kv_loop_post(server->loops[i], &server->threads[i].drain);
    if (!wait_until_quiet(server, server->ends_by_ms, 0))
        log_noise(server, KV_LOG_WARN, "cutting off what did not end in time");
    if (server->sinks != NULL)
        kv_sinks_stop_blocking(server->sinks);
    kv_scripts_end(server->scripts);
    for (uint32_t i = 0; i < server->config->n_threads; i++)
        kv_loop_post(server->loops[i], &server->threads[i].abort);
    if (!wait_until_quiet(server, kv_clock_now_ms(&kv_clock_boot) + ABORT_MS, HURRIED_ABORT_MS))
        give_up(server);
}

static void stop_threads(struct server *server)
{
    if (server->has_opener)
        pthread_join(server->opener, NULL);
    if (server->threads == NULL)
        return;
    for (uint32_t i = 0; i < server->config->n_threads; i++) {
        if (!server->threads[i].is_running)
            continue;
        kv_loop_stop(server->loops[i]);
        pthread_join(server->threads[i].thread, NULL);
    }
}

static bool have_sinks_ended(const void *context)
{
    return kv_sinks_have_ended(context);
}

static void describe_sinks(const void *context, struct kv_buffer *out)
{
    kv_sinks_describe(context, out);
}

/* Returns: false where a sink does not return. */
static bool end_sinks(struct server *server)
{
    struct kv_awaited ended = {.is_over = have_sinks_ended,
                               .describe = describe_sinks,
                               .context = server->sinks,
                               .until_ms = server->ends_by_ms};
    kv_sinks_ask_to_end(server->sinks, server->ends_by_ms);
    if (!kv_ending_await(&server->ending, &ended)) {
        kv_sinks_cut_short(server->sinks);
        ended.until_ms = kv_clock_now_ms(&kv_clock_boot) + GRACE_MS;
        ended.hurried_ms = HURRIED_GRACE_MS;
        kv_ending_await(&server->ending, &ended);
    }
    return kv_sinks_end(server->sinks);
}

static void *close_store(void *argument)
{
    struct server *server = argument;
    kv_keyspace_destroy(server->keyspace);
    atomic_store(&server->is_closed, true);
    return NULL;
}

static bool is_store_closed(const void *context)
{
    const struct server *server = context;
    return atomic_load(&server->is_closed);
}

static void describe_store(const void *context, struct kv_buffer *out)
{
    const struct server *server = context;
    kv_buffer_printf(out, "%s to close", server->store_name);
}

/* On a thread of its own, as that may take long. Where the operator does not wait for it, the next
 * start has more to do. */
static void end_store(struct server *server)
{
    struct kv_error error;
    pthread_t closer;
    const struct kv_awaited closed = {.is_over = is_store_closed,
                                      .describe = describe_store,
                                      .context = server,
                                      .until_ms = INT64_MAX,
                                      .hurried_ms = HURRIED_CLOSE_MS};
    if (start_thread(&closer, close_store, server, &error) != 0) {
        close_store(server);
        return;
    }
    if (kv_ending_await(&server->ending, &closed)) {
        pthread_join(closer, NULL);
        return;
    }
    if (is_volatile(server->config->store.module))
        _exit(EXIT_SUCCESS);
    kv_log(KV_LOG_WARN, "server", "%s is not closed; what was answered is kept, as after a crash",
           server->store_name);
    _exit(EXIT_FAILURE);
}

/* A sink that does not return may be reading what the store has, and its module is in use. What is
 * durable is closed nevertheless, as it may; then there is no way to end but this. */
static void end_without(struct server *server)
{
    if (!is_volatile(server->config->store.module))
        end_store(server);
    _exit(EXIT_SUCCESS);
}

static void end_keyspace(struct server *server)
{
    if (server->keyspace == NULL)
        return;
    kv_scripts_end(server->scripts);
    kv_keyspace_finish(server->keyspace);
    if (server->sinks != NULL && !end_sinks(server))
        end_without(server);
    kv_scripts_destroy(server->scripts);
    server->scripts = NULL;
    end_store(server);
}

static void destroy(struct server *server)
{
    kv_workers_destroy(server->workers);
    kv_ws_destroy(server->ws);
    kv_http_destroy(server->http);
    kv_net_destroy(server->net);
    end_keyspace(server);
    kv_scripts_destroy(server->scripts);
    kv_outlets_close(server->outlets);
    for (uint32_t i = 0; server->loops != NULL && i < server->config->n_threads; i++)
        kv_loop_destroy(server->loops[i]);
    kv_chain_close(server->chain);
    kv_budget_destroy(server->budget);
    free(server->loops);
    free(server->threads);
    free(server->ports);
    free(server->interceptors);
    sem_destroy(&server->opened);
}

int kv_server_run(const struct kv_config *config, struct kv_import *import, struct kv_error *reterr)
{
    kv_clock_init();
    struct server server = {
        .config = config,
        .import = import,
        .serves = import == NULL || is_volatile(config->store.module),
        .started_ms = kv_clock_now_ms(&kv_clock_boot),
    };
    sem_init(&server.opened, 0, 0);
    kv_signals_block();
    kv_process_prepare();
    kv_hash_init();
    int result = start(&server, reterr);
    if (result == 0) {
        serve_until_signal(&server);
        if (import != NULL)
            kv_import_stop(import);
        drain(&server);
    }
    stop_threads(&server);
    if (atomic_load(&server.has_failed)) {
        *reterr = server.why;
        result = -1;
    }
    destroy(&server);
    if (result == 0 && server.serves)
        kv_log(KV_LOG_INFO, "server", "stopped");
    return result;
}
