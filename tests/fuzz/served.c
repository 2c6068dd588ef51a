/* One thread is client and server in turn, so an input always runs the same way. */
#include "served.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "admin/uploads.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "http/http.h"
#include "keyspace/slow_log.h"
#include "loop/evloop.h"
#include "ws/ws.h"

#include <kvserver/module.h>

enum {
    QUIET_TURNS = 3,
    MOST_TURNS = 100000,
    SECOND_MS = 1000,
    LONGEST_TTL_MS = 10 * SECOND_MS,
    LONG_MS = 2 * LONGEST_TTL_MS
};

static struct served {
    struct kv_clock clock;
    int64_t now_ms;
    struct kv_loop *loop;
    struct kv_access *access;
    struct kv_keyspace *keyspace;
    struct kv_workers *workers;
    struct kv_net *net;
    struct kv_http *http;
    struct kv_http_upgrade upgrade;
    struct kv_ws *ws;
    struct kv_events *events;
    struct kv_backups *backups;
    struct kv_uploads *uploads;
    struct kv_slow_log *slow_log;
    struct kv_metrics *metrics; /* none are collected */
    int fd;                     /* the client's end */
    bool is_ended;
    struct kv_buffer answers;
} servers[SERVED_WAYS];

static struct served *server; /* of the connection that is open */

const struct kv_module *kv_module_entry(void); /* the store, linked in */

static int64_t now_ns(const struct kv_clock *clock)
{
    return KV_CONTAINER(clock, const struct served, clock)->now_ms * KV_NS_PER_MS;
}

/* Nothing persists from one input to the next. */
static void shorten(struct kv_ttl *policy, struct kv_ttl_write *write)
{
    (void)policy;
    if (write->ttl_ms == 0 || write->ttl_ms > LONGEST_TTL_MS)
        write->ttl_ms = LONGEST_TTL_MS;
}

static void make_keyspace(void)
{
    static const struct kv_ttl_ops shortening = {.size = sizeof(shortening), .on_write = shorten};
    static const struct kv_ttl_link chain[] = {{.ops = &shortening}};
    static const struct kv_option_value options[8]; /* the store's; its defaults are all zero */
    const struct kv_module *store = kv_module_entry();
    const struct kv_keyspace_parts parts = {
        .clock = &server->clock,
        .loops = &server->loop,
        .n_loops = 1,
        .store_ops = store->ops,
        .store_capabilities = store->capabilities,
        .store_name = "store",
        .store_options = options,
        .ttl_chain = chain,
        .n_ttl_chain = 1,
    };
    server->keyspace = kv_keyspace_create(&parts);
    struct kv_error error;
    if (kv_keyspace_open(server->keyspace, &error) != 0)
        abort();
}

static void destroy_servers(void)
{
    for (int way = 0; way < SERVED_WAYS; way++) {
        struct served *one = &servers[way];
        kv_workers_destroy(one->workers);
        kv_ws_destroy(one->ws);
        kv_http_destroy(one->http);
        kv_events_destroy(one->events);
        kv_backups_destroy(one->backups);
        kv_uploads_destroy(one->uploads);
        kv_slow_log_destroy(one->slow_log);
        kv_metrics_destroy(one->metrics);
        kv_net_destroy(one->net);
        kv_keyspace_destroy(one->keyspace);
        kv_access_destroy(one->access);
        kv_loop_destroy(one->loop);
        kv_buffer_fini(&one->answers);
    }
}

static void open_websocket(struct kv_http_upgrade *upgrade, uint32_t loop,
                           struct kv_connection *connection, struct kv_client *before,
                           uint8_t window_bits)
{
    kv_ws_open(KV_CONTAINER(upgrade, struct served, upgrade)->ws, loop, connection, before,
               window_bits);
}

/* Access is unrestricted. */
static struct kv_rules *open_rules(void)
{
    struct kv_rules *rules = kv_rules_create(0, 0);
    rules->are_configured = false;
    return rules;
}

#define PATIENCE                                                                                   \
    {                                                                                              \
        .idle_ms = 10 * SECOND_MS, .request_ms = 60 * SECOND_MS,                                   \
        .request_progress_ms = 5 * SECOND_MS, .stalled_reader_ms = 5 * SECOND_MS                   \
    }

static void make_server(bool has_fast_path)
{
    static const struct kv_net_config net = {.max_connections = 8, .patience = PATIENCE};
    static const struct kv_slice hosts[] = {{"h", 1}, {"t", 1}, {"x", 1}};
    const struct kv_http_config http = {
        .limits = {.max_key_bytes = 4096,
                   .max_value_bytes = 4096,
                   .max_depth = 64,
                   .max_pending = 16,
                   .max_unsent_bytes = 8192,
                   .max_batch = 16,
                   .hello = {.version = "0"}},
        .has_deflate = true,
        .has_fast_path = has_fast_path,
        .hosts = hosts,
        .n_hosts = 3,
    };
    static const struct kv_ws_config ws = {
        .hello = {.version = "0"},
        .max_leases = 4,
        .max_key_bytes = 4096,
        .max_value_bytes = 4096,
        .max_message_bytes = 16384,
        .max_depth = 64,
        .max_subscriptions = 8,
        .max_unsent_bytes = 8192,
        .max_pending = 16,
        .auth_ms = 5 * SECOND_MS,
        .ping_ms = 5 * SECOND_MS,
        .patience = PATIENCE,
    };
    static const struct kv_events_config events = {.max_subscriptions = 8,
                                                   .max_unsent_bytes = 8192,
                                                   .heartbeat_ms = 5 * SECOND_MS,
                                                   .patience = PATIENCE};
    static struct kv_upload_place nowhere = {.why = "there is no place for it"};
    server->clock.now_ns = now_ns;
    server->now_ms = 1000000;
    server->loop = kv_loop_create(0, &server->clock);
    make_keyspace();
    server->workers = kv_workers_create(1);
    server->net = kv_net_create(&net, &server->loop, 1);
    server->upgrade.open = open_websocket;
    server->access = kv_access_create(open_rules(), 1);
    server->events = kv_events_create(&events, server->access, server->keyspace, &server->loop, 1);
    server->backups =
        kv_backups_create(&events.patience, server->access, server->keyspace, &server->loop, 1);
    server->uploads = kv_uploads_create(&nowhere);
    server->slow_log = kv_slow_log_create(LONG_MS);
    server->metrics = kv_metrics_create();
    server->http = kv_http_create(&http, &(struct kv_http_parts){.net = server->net,
                                                                 .access = server->access,
                                                                 .keyspace = server->keyspace,
                                                                 .workers = server->workers,
                                                                 .upgrade = &server->upgrade,
                                                                 .events = server->events,
                                                                 .backups = server->backups,
                                                                 .uploads = server->uploads,
                                                                 .slow_log = server->slow_log,
                                                                 .metrics = server->metrics,
                                                                 .loops = &server->loop,
                                                                 .n_loops = 1});
    server->ws = kv_ws_create(&ws, server->net, server->access, server->keyspace, server->workers,
                              NULL, &server->loop, 1);
}

/* Returns: whether data arrived. */
static bool collect(void)
{
    char *room = kv_buffer_reserve(&server->answers, 65536);
    ssize_t got = recv(server->fd, room, 65536, MSG_DONTWAIT);
    if (got > 0)
        server->answers.len += (size_t)got;
    else
        server->is_ended = got == 0 || errno != EAGAIN;
    return got > 0;
}

/* Turns until no more data arrives. */
static void settle(void)
{
    for (int quiet = 0; quiet < QUIET_TURNS; quiet++) {
        kv_loop_turn(server->loop);
        if (collect())
            quiet = -1;
    }
}

void served_pass_time(int64_t ms)
{
    server->now_ms += ms;
    settle();
}

static void prepare_process(void)
{
    static bool is_prepared;
    if (is_prepared)
        return;
    is_prepared = true;
    signal(SIGPIPE, SIG_IGN);
    kv_hash_init();
    atexit(destroy_servers);
}

void served_open(enum served_way way)
{
    int ends[2];
    prepare_process();
    server = &servers[way];
    if (server->loop == NULL)
        make_server(way == SERVED_BY_FAST_PATH);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) != 0)
        abort();
    server->fd = ends[0];
    server->answers.len = 0;
    server->is_ended = false;
    kv_net_admit(server->net, 0,
                 h2o_evloop_socket_create(kv_loop_evloop(server->loop), ends[1], 0));
    settle();
}

void served_send(struct kv_slice bytes, size_t piece)
{
    for (int turns = 0; bytes.len > 0 && turns < MOST_TURNS; turns++) {
        size_t len = piece != 0 && piece < bytes.len ? piece : bytes.len;
        ssize_t sent = send(server->fd, bytes.bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent > 0)
            bytes = (struct kv_slice){bytes.bytes + sent, bytes.len - (size_t)sent};
        else if (errno != EAGAIN)
            return;
        kv_loop_turn(server->loop);
        collect();
    }
}

bool served_is_ended(void)
{
    return server->is_ended;
}

struct kv_slice served_close(void)
{
    settle();
    shutdown(server->fd, SHUT_WR);
    settle();
    served_pass_time(LONG_MS); /* all timeouts pass, and every key expires */
    served_pass_time(LONG_MS);
    close(server->fd);
    for (int turns = 0; kv_net_n_connections(server->net) != 0; turns++) {
        assert(turns < MOST_TURNS);
        served_pass_time(SECOND_MS);
    }
    assert(kv_keyspace_under_way(server->keyspace) == 0);
    return kv_buffer_slice(&server->answers);
}
