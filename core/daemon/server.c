/*
 * The composition root. Threads: the main one waits for signals; one for each loop; one that opens
 * the store and loads an import, as that may take long. All are created with signals blocked, so
 * that only the main thread takes them (signals.h). shutdown.c ends the server.
 */
#include "daemon/server.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "access/access.h"
#include "base/budget.h"
#include "base/clock.h"
#include "base/log_writer.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "daemon/access_rules.h"
#include "keyspace/slow_log.h"
#include "daemon/certificates.h"
#include "daemon/granted_prefixes.h"
#include "daemon/metrics.h"
#include "daemon/notify.h"
#include "daemon/page_folder.h"
#include "daemon/process.h"
#include "daemon/reload.h"
#include "daemon/running.h"
#include "daemon/scripting.h"
#include "daemon/shutdown.h"
#include "daemon/signals.h"
#include "daemon/staging.h"
#include "daemon/thread.h"

enum {
    STORE_OPENS_SOON_MS = 500,
    LOOK_AT_CERTIFICATES_MS = 2000,
    RECHECK_NS = 100 * 1000 * 1000,
};

/* ---- threads ---- */

static void *run_loop(void *argument)
{
    struct kv_loop_thread *thread = argument;
    kv_loop_run(thread->server->loops[thread->index]);
    return NULL;
}

static void end(struct kv_server *server)
{
    atomic_store(&server->has_ended, true);
    kv_signals_wake(); /* wakes the main thread */
}

static void *open_store(void *argument)
{
    struct kv_server *server = argument;
    int failed = kv_keyspace_open(server->keyspace, &server->why);
    atomic_store(&server->has_failed, failed != 0);
    atomic_store(&server->is_opening, false);
    sem_post(&server->opened);
    if (failed != 0 || !server->serves) {
        end(server);
    } else {
        kv_scripts_begin(server->scripts);
        kv_revoking_begin(server->revoking, server->keyspace);
        atomic_store(&server->is_open, true);
        kv_signals_tell_of_progress();
    }
    return NULL;
}

static int start_threads(struct kv_server *server, struct kv_error *reterr)
{
    for (uint32_t i = 0; i < server->config->n_threads; i++) {
        struct kv_loop_thread *thread = &server->threads[i];
        if (kv_thread_start(&thread->thread, run_loop, thread, reterr) != 0)
            return -1;
        thread->is_running = true;
    }
    atomic_store(&server->is_opening, true);
    if (kv_thread_start(&server->opener, open_store, server, reterr) != 0)
        return -1;
    server->has_opener = true;
    return 0;
}

/* ---- creating ---- */

static int create_loops(struct kv_server *server, struct kv_error *reterr)
{
    uint32_t n = server->config->n_threads;
    server->loops = kv_calloc(n, sizeof(struct kv_loop *));
    server->threads = kv_calloc(n, sizeof(*server->threads));
    for (uint32_t i = 0; i < n; i++) {
        server->loops[i] = kv_loop_create(i, &kv_clock_boot);
        if (server->loops[i] == NULL)
            return kv_error_set(reterr, "cannot make an event loop: %s", strerror(errno));
        server->threads[i] = (struct kv_loop_thread){.server = server, .index = i};
    }
    return 0;
}

/* The loader for the keyspace. A server that imports into a durable store serves nobody. */
static struct kv_loader *loader_of(const struct kv_server *server)
{
    if (server->import != NULL)
        return kv_import_loader(server->import);
    return server->revoking == NULL ? NULL : kv_revoking_loader(server->revoking);
}

static struct kv_keyspace *create_keyspace(struct kv_server *server)
{
    const struct kv_loaded_module *store = server->config->store.module;
    snprintf(server->store_name, sizeof(server->store_name), "store/%s", store->identity->name);
    if (server->sinks != NULL)
        server->observers[server->n_observers++] = kv_sinks_observer(server->sinks);
    if (server->config->n_scripts != 0)
        server->observers[server->n_observers++] = kv_scripts_observer(server->scripts);
    if (server->revoking != NULL)
        server->observers[server->n_observers++] = kv_revoking_observer(server->revoking);
    server->interceptors = kv_calloc(server->config->n_scripts, sizeof(*server->interceptors));
    for (size_t i = 0; i < server->config->n_scripts; i++)
        server->interceptors[i] = kv_scripts_interceptor(server->scripts, i);
    const struct kv_keyspace_parts parts = {
        .clock = &kv_clock_boot,
        .loops = server->loops,
        .n_loops = server->config->n_threads,
        .store_ops = kv_module_store_ops(store),
        .store_capabilities = store->identity->capabilities,
        .store_tells_seconds = store->identity->abi_minor < 8,
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
        .slow_log = server->slow_log,
        .loader = loader_of(server),
        .access = server->access,
        .budget = server->budget,
    };
    return kv_keyspace_create(&parts);
}

/* Says how to choose another address. */
static int refuse_address(const struct kv_config *config, size_t i, const struct kv_error *why,
                          struct kv_error *reterr)
{
    if (config->path == NULL)
        return kv_error_set(reterr,
                            "%.900s; a configuration (-c FILE) chooses another port: "
                            "listen: [{port: 3001}]",
                            why->text);
    return kv_error_set(reterr, "%.700s; listen[%zu] in %.200s chooses the address", why->text, i,
                        config->path);
}

static int listen_at(struct kv_server *server, size_t i, struct kv_error *reterr)
{
    const struct kv_listen_address *at = &server->config->listen[i];
    struct kv_error why;
    int result = at->unix_path != NULL
                     ? kv_net_listen_unix(server->net, at->unix_path, at->unix_mode, &why)
                     : kv_net_listen(server->net, at->host, at->port, server->tls[i],
                                     &server->ports[i], &why);
    return result == 0 ? 0 : refuse_address(server->config, i, &why, reterr);
}

static int listen_everywhere(struct kv_server *server, struct kv_error *reterr)
{
    server->ports = kv_calloc(server->config->n_listen, sizeof(*server->ports));
    for (size_t i = 0; i < server->config->n_listen; i++)
        if (listen_at(server, i, reterr) != 0)
            return -1;
    return 0;
}

/* A host name in `listen` may resolve to another address by now. */
static int refuse_exposure(const struct kv_server *server, struct kv_error *reterr)
{
    if (!kv_net_is_exposed(server->net) || kv_access_rules_are_configured(server->config))
        return 0;
    return kv_error_set(reterr, "other machines can reach an address of `listen`, and there is no "
                                "`access` that says what they may do");
}

static void log_warning(void *user, const char *text)
{
    (void)user;
    kv_log(KV_LOG_WARN, "server", "%s", text);
}

static int begin_service(struct kv_server *server, struct kv_error *reterr)
{
    const struct kv_config *config = server->config;
    kv_log(KV_LOG_INFO, "server", "version %s, %s, %u thread%s, %zu MiB for connections",
           KV_VERSION, server->store_name, config->n_threads, config->n_threads == 1 ? "" : "s",
           config->memory >> 20);
    if (config->store.block.at == NULL && kv_server_is_volatile(server))
        kv_log(KV_LOG_WARN, "server",
               "without %s data is in memory only, and gone when the server ends",
               config->path == NULL ? "a configuration (-c FILE)"
                                    : "`storage: {module: …}` in the configuration");
    kv_granted_prefixes_warn(config, log_warning, NULL);
    if (listen_everywhere(server, reterr) != 0 ||
        kv_inherited_close(&server->inherited, reterr) != 0)
        return -1;
    return refuse_exposure(server, reterr);
}

/* Whether opening the store fails at once. It may still fail later. */
static bool store_fails_at_once(struct kv_server *server)
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
    kv_log(KV_LOG_INFO, "server", "listening on %s://%s%s%s:%u",
           at->tls.is_given ? "https" : "http", is_ipv6 ? "[" : "", at->host, is_ipv6 ? "]" : "",
           port);
}

/* Logs the listening addresses, unless opening the store fails at once: then the error is enough.
 */
static void tell_addresses(struct kv_server *server)
{
    if (store_fails_at_once(server))
        return;
    for (size_t i = 0; i < server->config->n_listen; i++)
        tell_address(&server->config->listen[i], server->ports[i]);
}

/* Opens the parts that the configuration names. */
static int open_parts(struct kv_server *server)
{
    const struct kv_config *config = server->config;
    if (kv_certificates_open(server) != 0 || (server->chain = kv_chain_open(config)) == NULL ||
        (server->outlets = kv_outlets_open(config)) == NULL ||
        (server->scripts = kv_scripting_load(config, config->n_threads)) == NULL ||
        kv_page_folder_open(config, &server->pages) != 0)
        return KV_MISCONFIGURED;
    return 0;
}

static void open_websocket(struct kv_http_upgrade *upgrade, uint32_t loop,
                           struct kv_connection *connection, struct kv_client *before,
                           uint8_t window_bits)
{
    kv_ws_open(KV_CONTAINER(upgrade, struct kv_server, upgrade)->ws, loop, connection, before,
               window_bits);
}

static void tell_of_keys(struct kv_jwt_watch *watch)
{
    (void)watch;
    kv_signals_tell_of_keys();
}

static void create_access(struct kv_server *server)
{
    uint32_t n = server->config->n_threads;
    struct kv_slice revoked = kv_access_revoked(server->config);
    server->key_watch.changed = tell_of_keys;
    server->key_sources = kv_jwt_sources_create(&server->key_watch);
    server->has_access_rules = kv_access_rules_are_configured(server->config);
    server->access =
        kv_access_create(kv_access_rules_create(server->config, revoked, server->key_sources), n);
    if (revoked.len != 0)
        server->revoking = kv_revoking_create(revoked, kv_signals_tell_of_revocations);
    kv_access_use_revocations(server->access, kv_revoking_revocations(server->revoking));
    for (uint32_t i = 0; i < n; i++) {
        kv_access_count(server->access, i, kv_budget_tally(server->budget, i));
        kv_access_tell_turns(server->access, i, kv_loop_began_ns(server->loops[i]));
    }
}

static void describe_readiness(const struct kv_readiness *readiness, struct kv_buffer *out)
{
    const struct kv_server *server =
        KV_CONTAINER((uintptr_t)readiness, struct kv_server, readiness);
    struct kv_jwt_key_count keys = kv_jwt_sources_count(server->key_sources);
    kv_buffer_printf(out, ",\"sinks\":{\"number\":%zu,\"waiting\":%llu}", server->config->n_sinks,
                     server->sinks == NULL ? 0ull
                                           : (unsigned long long)kv_sinks_waiting(server->sinks));
    kv_buffer_printf(out, ",\"keys\":{\"sources\":%zu,\"missing\":%zu}", keys.n, keys.n_missing);
}

static void create_protocols(struct kv_server *server)
{
    server->readiness.describe = describe_readiness;
    const struct kv_config *config = server->config;
    server->upgrade.open = open_websocket;
    server->events = kv_events_create(&config->events, server->access, server->keyspace,
                                      server->loops, config->n_threads);
    server->backups = kv_backups_create(&config->events.patience, server->access, server->keyspace,
                                        server->loops, config->n_threads);
    server->staging = kv_staging_create(config);
    server->uploads = kv_uploads_create(kv_staging_place(server->staging));
    server->http =
        kv_http_create(&config->http, &(struct kv_http_parts){.net = server->net,
                                                              .access = server->access,
                                                              .keyspace = server->keyspace,
                                                              .workers = server->workers,
                                                              .upgrade = &server->upgrade,
                                                              .events = server->events,
                                                              .backups = server->backups,
                                                              .uploads = server->uploads,
                                                              .slow_log = server->slow_log,
                                                              .request_log = &server->request_log,
                                                              .readiness = &server->readiness,
                                                              .metrics = server->metrics,
                                                              .pages = server->pages,
                                                              .loops = server->loops,
                                                              .n_loops = config->n_threads});
    server->ws =
        kv_ws_create(&config->ws, server->net, server->access, server->keyspace, server->workers,
                     &server->request_log, server->loops, config->n_threads);
}

static int start(struct kv_server *server, struct kv_error *reterr)
{
    const struct kv_config *config = server->config;
    int result = open_parts(server);
    if (result != 0)
        return result;
    if (create_loops(server, reterr) != 0)
        return -1;
    server->pulse = kv_round_create(server->loops, config->n_threads, NULL);
    server->rollouts =
        kv_rollouts_create(server->loops, config->n_threads, kv_signals_tell_of_progress);
    server->sinks = kv_outlets_sinks(server->outlets);
    server->workers = kv_workers_create(config->n_threads);
    server->budget = kv_budget_create(config->memory, config->n_threads);
    create_access(server);
    server->slow_log = kv_slow_log_create(config->slow_ms);
    atomic_store(&server->request_log.every, config->log_every);
    server->keyspace = create_keyspace(server);
    kv_scripts_start(server->scripts, server->keyspace);
    if (server->sinks != NULL && kv_sinks_start(server->sinks, server->keyspace, reterr) != 0)
        return -1;
    struct kv_net_config net = config->net;
    net.inherited = &server->inherited;
    net.budget = server->budget;
    net.workers = server->workers;
    kv_process_fit_net(config, &net);
    server->net = kv_net_create(&net, server->loops, config->n_threads);
    server->metrics = kv_metrics_create();
    create_protocols(server);
    kv_server_add_metrics(server);
    if (server->serves && begin_service(server, reterr) != 0)
        return -1;
    if (start_threads(server, reterr) != 0)
        return -1;
    if (server->serves)
        tell_addresses(server);
    return 0;
}

/* ---- signals ---- */

/* Posted to one loop. */
struct revision {
    struct kv_post post;
    const struct kv_server *server;
    uint32_t index;
};

static void revise_loop(struct kv_post *post)
{
    struct revision *revision = KV_CONTAINER(post, struct revision, post);
    const struct kv_server *server = revision->server;
    kv_access_take_up(kv_access_on(server->access, revision->index));
    kv_http_revise(server->http, revision->index);
    kv_ws_revise(server->ws, revision->index);
    kv_events_revise(server->events, revision->index);
    kv_backups_revise(server->backups, revision->index);
    free(revision);
}

/* Has every loop take up the rules in force. */
static void revise_loops(const struct kv_server *server)
{
    for (uint32_t i = 0; i < server->config->n_threads; i++) {
        struct revision *revision = kv_alloc(sizeof(*revision));
        *revision = (struct revision){.post = {.run = revise_loop}, .server = server, .index = i};
        kv_loop_post(server->loops[i], &revision->post);
    }
}

/* rules: NULL for the same ones, whose verdicts have changed. */
static void revise(const struct kv_server *server, struct kv_rules *rules)
{
    kv_access_revise(server->access, rules);
    revise_loops(server);
}

/* Each recheck examines all connections, so further revocations wait a moment. */
static void recheck(const struct kv_server *server)
{
    kv_revoking_take(server->revoking);
    kv_access_recheck(server->access);
    revise_loops(server);
    nanosleep(&(struct timespec){.tv_nsec = RECHECK_NS}, NULL);
}

/* The new settings of one loop. They are copies, as the configuration is freed before the loop
 * takes them. */
struct settings {
    struct kv_post post;
    const struct kv_server *server;
    uint32_t index;
    struct kv_http_lists *lists;
    struct kv_http_limits http;
    struct kv_ws_config ws;
    struct kv_events_config events;
    struct kv_patience patience;
};

static void take_settings(struct kv_post *post)
{
    struct settings *settings = KV_CONTAINER(post, struct settings, post);
    const struct kv_server *server = settings->server;
    uint32_t i = settings->index;
    const struct kv_script_sizes sizes = {.key = settings->http.max_key_bytes,
                                          .value = settings->http.max_value_bytes};
    kv_http_take_lists(server->http, i, settings->lists);
    kv_http_take_limits(server->http, i, &settings->http);
    kv_ws_take_config(server->ws, i, &settings->ws);
    kv_events_take_config(server->events, i, &settings->events);
    kv_backups_take_patience(server->backups, i, &settings->patience);
    kv_scripts_take_sizes(server->scripts, i, &sizes);
    kv_net_take_patience(server->net, i, &settings->patience);
    free(settings);
}

static void apply_to_loops(const struct kv_server *server, const struct kv_config *found)
{
    kv_net_limit(server->net, kv_process_fit_connections(found), found->net.max_per_address);
    for (uint32_t i = 0; i < server->config->n_threads; i++) {
        struct settings *settings = kv_alloc(sizeof(*settings));
        *settings = (struct settings){.post = {.run = take_settings},
                                      .server = server,
                                      .index = i,
                                      .lists = kv_http_lists_copy(&found->http),
                                      .http = found->http.limits,
                                      .ws = found->ws,
                                      .events = found->events,
                                      .patience = found->net.patience};
        kv_loop_post(server->loops[i], &settings->post);
    }
}

/* A file that is being written may be empty, which is valid; and a proxy may forward requests to
 * loopback. So rules may be replaced without a restart, but not removed. */
static void revise_access(struct kv_server *server, const struct kv_config *found,
                          struct kv_log_lines *lines)
{
    bool has_rules = kv_access_rules_are_configured(found);
    if (!has_rules && server->has_access_rules) {
        kv_log(KV_LOG_ERROR, "server", "%s: `access` is gone: its rules are kept; restart to apply",
               found->path);
        return;
    }
    server->has_access_rules = has_rules;
    if (has_rules)
        kv_log_lines_add(lines, KV_LOG_INFO, "server", "%s: `access` applied", found->path);
    kv_granted_prefixes_warn(found, log_warning, NULL);
    revise(server,
           kv_access_rules_create(found, kv_access_revoked(server->config), server->key_sources));
}

/* Applies the settings that take effect without a restart (reload.h). */
static void apply(void *context, const struct kv_config *found, struct kv_log_lines *lines)
{
    struct kv_server *server = context;
    kv_log_configure(found->log_level, found->log_format);
    kv_slow_log_set(server->slow_log, found->slow_ms);
    atomic_store(&server->request_log.every, found->log_every);
    server->drain_ms = found->drain_ms;
    apply_to_loops(server, found);
    revise_access(server, found, lines);
}

/* Handles SIGHUP. It is reported once every loop has taken the changes: note_progress(). */
static void reload(struct kv_server *server)
{
    struct kv_log_lines lines = {0};
    kv_log(KV_LOG_INFO, "server", "reloading");
    kv_notify_reloading();
    server->is_told_ready = false;
    kv_certificates_reload(server);
    if (server->sinks != NULL)
        kv_sinks_reopen(server->sinks);
    kv_scripts_reload(server->scripts, &lines);
    kv_reload(server->config, &server->applied, apply, server, &lines);
    kv_rollouts_begin(server->rollouts, lines);
}

static void log_readiness(struct kv_server *server)
{
    kv_log(KV_LOG_INFO, "server", "ready after %lld ms",
           (long long)(kv_clock_now_ms(&kv_clock_boot) - server->started_ms));
    server->has_logged_readiness = true;
}

/* Reports what is true by now. The service manager may take READY=1 for the end of any reload, so
 * it is told only when there is none under way. */
static void note_progress(struct kv_server *server)
{
    bool are_over = kv_rollouts_finish(server->rollouts);
    bool is_open = atomic_load(&server->is_open);
    if (is_open && !server->has_logged_readiness)
        log_readiness(server);
    if (!are_over || server->is_told_ready)
        return;
    kv_notify(is_open ? "READY=1\nSTATUS=serving" : "STATUS=opening the store");
    server->is_told_ready = is_open;
}

/* ---- work of the main thread while it waits for signals ---- */

/* The interval that satisfies the watchdog even if a round is late. Returns: -1 if there is no
 * watchdog. */
static int64_t pulse_ms(void)
{
    int64_t watchdog_ms = kv_notify_watchdog_ms();
    return watchdog_ms == 0 ? -1 : watchdog_ms / 4 + 1;
}

static int64_t wait_ms(const struct kv_server *server)
{
    int64_t look_ms = kv_certificates_are_watched(server) ? LOOK_AT_CERTIFICATES_MS : -1;
    int64_t beat_ms = pulse_ms();
    if (look_ms < 0 || beat_ms < 0)
        return look_ms < 0 ? beat_ms : look_ms;
    return look_ms < beat_ms ? look_ms : beat_ms;
}

/* Begins the next round if the last one is over. Returns: whether it is, that is, whether every
 * loop has come by since it began; if not, a loop may hang. */
static bool check_pulse(struct kv_server *server)
{
    if (!kv_round_is_over(server->pulse))
        return false;
    kv_round_begin(server->pulse);
    return true;
}

/* While the store is opening, the watchdog is fed as well. */
static void look_around(struct kv_server *server)
{
    if (kv_certificates_are_watched(server))
        kv_certificates_look(server);
    if (pulse_ms() >= 0 && check_pulse(server))
        kv_notify("WATCHDOG=1");
}

/* Waits for a signal, and does the periodic work in time, even if signals are frequent. */
static int await_signal(struct kv_server *server, int64_t *look_at_ms)
{
    int64_t every_ms = wait_ms(server);
    int signal_number = 0;
    while (signal_number == 0) {
        int64_t now_ms = kv_clock_now_ms(&kv_clock_boot);
        if (every_ms >= 0 && *look_at_ms <= now_ms) {
            look_around(server);
            *look_at_ms = now_ms + every_ms;
        }
        signal_number = kv_signals_await(every_ms < 0 ? -1 : *look_at_ms - now_ms);
    }
    return signal_number;
}

static void serve_until_signal(struct kv_server *server)
{
    int signal_number;
    int64_t look_at_ms = 0;
    while (!kv_signal_is_end(signal_number = await_signal(server, &look_at_ms)) &&
           signal_number != KV_SIGNAL_WAKE)
        if (signal_number == SIGHUP)
            reload(server);
        else if (signal_number == KV_SIGNAL_KEYS)
            revise(server, NULL);
        else if (signal_number == KV_SIGNAL_REVOCATIONS)
            recheck(server);
        else if (signal_number == KV_SIGNAL_PROGRESS)
            note_progress(server);
    kv_notify("STOPPING=1\nSTATUS=finishing what is under way");
    if (!atomic_load(&server->has_ended))
        kv_log(KV_LOG_INFO, "server", "received %s, shutting down", kv_signal_name(signal_number));
}

int kv_server_run(const struct kv_config *config, struct kv_import *import, struct kv_error *reterr)
{
    kv_clock_init();
    struct kv_server server = {
        .config = config,
        .drain_ms = config->drain_ms,
        .import = import,
        .started_ms = kv_clock_now_ms(&kv_clock_boot),
        .started_wall_us = kv_wall_us(),
    };
    server.serves = import == NULL || kv_server_is_volatile(&server);
    sem_init(&server.opened, 0, 0);
    kv_signals_block();
    kv_log_start();
    kv_process_prepare();
    kv_notify_open();
    kv_notify("STATUS=opening the store");
    kv_hash_init();
    int result = kv_inherited_find(&server.inherited, reterr);
    if (result == 0)
        result = start(&server, reterr);
    if (result == 0) {
        serve_until_signal(&server);
        if (import != NULL)
            kv_import_stop(import);
        kv_server_drain(&server);
    }
    kv_server_stop_threads(&server);
    if (atomic_load(&server.has_failed)) {
        *reterr = server.why;
        result = -1;
    }
    kv_server_take_apart(&server);
    if (result == 0 && server.serves)
        kv_log(KV_LOG_INFO, "server", "stopped");
    kv_log_stop();
    return result;
}
