/* Admits connections; on each loop a timer sweeps over them. */
#include "net/net.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "loop/evloop.h"
#include "net/listener.h"
#include "net/relief.h"
#include "net/tls_channel.h"
#include "net/unix_socket.h"
#include "wire/proxy_header.h"

enum {
    SWEEP_MS = 1000,
    DRAIN_SWEEP_MS = 20,
};

/* The reasons for refusing a connection. */
enum refusal {
    OVER_LIMIT,
    OVER_ADDRESS_LIMIT,
    NO_DESCRIPTOR,
    N_REFUSALS
};

struct net_loop {
    struct kv_net *net;
    uint32_t index;
    struct kv_listeners listeners;
    struct kv_connections connections;
    struct kv_relief relief;    /* if there is a budget */
    struct kv_tls_bench *bench; /* if TLS is used */
    struct kv_timer sweep;
    struct kv_counter n_accepted;
    struct kv_counter n_refused[N_REFUSALS];
};

struct kv_net {
    struct kv_net_config config;
    struct kv_net_service *service;
    _Atomic uint32_t max_connections;
    _Atomic uint32_t n_connections;
    _Atomic uint32_t n_held;    /* descriptors besides their own */
    _Atomic uint32_t n_refused; /* refused connections that complete a TLS handshake first */
    _Atomic uint32_t n_lingering;
    _Atomic uint32_t n_without_spare; /* loops without a spare descriptor */
    struct kv_peers peers;
    atomic_bool is_draining;
    struct kv_list unix_sockets;
    struct kv_relief_link *links; /* of each loop */
    uint32_t n_loops;
    struct net_loop loops[];
};

/* ---- entering ---- */

static struct net_loop *loop_of(const struct kv_connection *connection)
{
    return KV_CONTAINER(connection->among, struct net_loop, connections);
}

static void open_service(struct kv_connection *connection)
{
    struct net_loop *here = loop_of(connection);
    here->net->service->open(here->net->service, here->index, connection);
}

static void on_farewell(void *user, enum kv_channel_event event)
{
    (void)event;
    kv_connection_close(user);
}

/* Ends the connection with this text. Nothing more is read from it. */
void kv_net_end_with(struct kv_connection *connection, struct kv_slice text)
{
    static const struct kv_protocol ending = {
        .on_read = on_farewell, .on_written = on_farewell, .is_entering = true};
    struct iovec iovec = {(char *)(uintptr_t)text.bytes, text.len};
    kv_connection_serve(connection, &ending, connection);
    kv_connection_linger(connection);
    if (kv_channel_write(&connection->channel, &iovec, 1))
        kv_connection_close(connection);
}

static void tell_refusal(struct kv_connection *connection)
{
    kv_net_end_with(connection, loop_of(connection)->net->service->refusal);
}

static void end_entry(struct kv_connection *connection)
{
    if (kv_channel_met_plain_http(&connection->channel)) {
        kv_connection_linger(connection);
        kv_channel_answer_plain(&connection->channel, loop_of(connection)->net->service->clarity);
    }
    kv_connection_close(connection);
}

static void on_secured(void *user, enum kv_channel_event event)
{
    struct kv_connection *connection = user;
    if (event != KV_CHANNEL_READY)
        end_entry(connection);
    else if (connection->is_refused)
        tell_refusal(connection);
    else
        open_service(connection);
}

static size_t memory_of_handshake(const void *user)
{
    const struct kv_connection *connection = user;
    return kv_channel_session_memory(&connection->channel);
}

/* Before the handshake is complete, the peer cannot be told the reason. */
static void end_handshake(void *user)
{
    kv_connection_close(user);
}

/* tls: NULL: not encrypted. */
static void enter(struct kv_connection *connection, struct kv_tls *tls)
{
    static const struct kv_protocol securing = {.on_read = on_secured,
                                                .holds = memory_of_handshake,
                                                .give_way = end_handshake,
                                                .is_entering = true};
    if (tls == NULL) {
        open_service(connection);
        return;
    }
    kv_connection_serve(connection, &securing, connection);
    kv_channel_read(&connection->channel, true);
    kv_channel_secure(&connection->channel, tls, loop_of(connection)->bench);
}

/* Refuses a connection beyond a limit. */
static void refuse(struct net_loop *here, struct st_h2o_socket_t *sock, struct kv_tls *tls)
{
    struct kv_net *net = here->net;
    if (tls == NULL) {
        kv_connections_refuse(&here->connections, sock, net->service->refusal);
    } else if (atomic_fetch_add(&net->n_refused, 1) < net->config.max_refused) {
        struct kv_connection *connection =
            kv_connection_open(&here->connections, sock, &net->n_refused);
        connection->is_refused = true;
        enter(connection, tls);
    } else {
        atomic_fetch_sub(&net->n_refused, 1);
        h2o_socket_close(sock);
    }
}

/* ---- clients named by proxies ---- */

bool kv_net_trusts(const struct kv_net *net, const struct kv_address *address)
{
    for (size_t i = 0; i < net->config.n_proxies; i++)
        if (kv_address_range_has(&net->config.proxies[i], address))
            return true;
    return false;
}

static bool is_trusted(const struct kv_net *net, const struct kv_connection *connection)
{
    if (connection->is_unix || net->config.n_proxies == 0)
        return connection->is_unix && net->config.trusts_unix;
    struct kv_address peer = kv_connection_address(connection);
    return kv_net_trusts(net, &peer);
}

/* Connections of trusted proxies are not counted by the proxy's address. Returns: false at the
 * limit. */
static bool count_peer(struct kv_connection *connection)
{
    struct kv_net *net = loop_of(connection)->net;
    if (!kv_peers_are_counted(&net->peers) || connection->is_refused ||
        kv_connection_is_of_many(connection))
        return true;
    struct kv_address address = kv_connection_address(connection);
    return kv_peers_enter(&net->peers, &address, &connection->peer);
}

/* Counts it as refused from now on. Returns: false if there are too many refused ones. */
static bool count_as_refused(struct kv_connection *connection)
{
    struct kv_net *net = loop_of(connection)->net;
    if (atomic_fetch_add(&net->n_refused, 1) >= net->config.max_refused) {
        atomic_fetch_sub(&net->n_refused, 1);
        return false;
    }
    atomic_fetch_sub(connection->counted, 1);
    connection->counted = &net->n_refused;
    connection->is_refused = true;
    return true;
}

/* Continues when its address is known. */
static void enter_by_address(struct kv_connection *connection)
{
    struct kv_tls *tls = connection->tls;
    bool has_place = count_peer(connection);
    if (!has_place)
        kv_counter_add(&loop_of(connection)->n_refused[OVER_ADDRESS_LIMIT], 1);
    if (has_place || (tls != NULL && count_as_refused(connection)))
        enter(connection, tls);
    else if (tls == NULL)
        tell_refusal(connection);
    else
        kv_connection_close(connection);
}

static void on_announced(void *user, enum kv_channel_event event)
{
    struct kv_connection *connection = user;
    struct kv_proxy_header header;
    size_t len;
    const char *input = kv_channel_input(&connection->channel, &len);
    if (event != KV_CHANNEL_READY) {
        kv_connection_close(connection);
        return;
    }
    enum kv_proxy_header_status status =
        kv_proxy_header_read((struct kv_slice){input, len}, &header);
    if (status == KV_PROXY_HEADER_MALFORMED) {
        kv_net_end_with(connection, loop_of(connection)->net->service->confusion); /* in clear */
    } else if (status != KV_PROXY_HEADER_PARTIAL) {
        if (header.len != 0)
            kv_channel_consume(&connection->channel, header.len);
        connection->client = header.client;
        enter_by_address(connection);
    }
}

static void await_announcement(struct kv_connection *connection)
{
    static const struct kv_protocol announcing = {.on_read = on_announced, .is_entering = true};
    kv_connection_serve(connection, &announcing, connection);
    kv_channel_read(&connection->channel, true);
}

/* ---- accepting ---- */

static struct kv_connection *open_connection(struct net_loop *here, h2o_socket_t *sock,
                                             const struct kv_entrance *entrance)
{
    struct kv_connection *connection =
        kv_connection_open(&here->connections, sock, &here->net->n_connections);
    connection->tls = entrance->tls;
    connection->is_unix = entrance->is_unix;
    connection->is_proxys = is_trusted(here->net, connection);
    return connection;
}

static void admit(struct net_loop *here, struct st_h2o_socket_t *sock,
                  const struct kv_entrance *entrance)
{
    struct kv_net *net = here->net;
    uint32_t n = atomic_fetch_add(&net->n_connections, 1);
    if (n >= atomic_load_explicit(&net->max_connections, memory_order_relaxed) ||
        n + atomic_load(&net->n_held) >= net->config.max_descriptors) {
        atomic_fetch_sub(&net->n_connections, 1);
        kv_counter_add(&here->n_refused[OVER_LIMIT], 1);
        refuse(here, sock, entrance->tls);
        return;
    }
    struct kv_connection *connection = open_connection(here, sock, entrance);
    kv_counter_add(&here->n_accepted, 1);
    if (connection->is_proxys)
        await_announcement(connection);
    else
        enter_by_address(connection);
}

static void on_accept(struct kv_listeners *listeners, struct st_h2o_socket_t *sock,
                      const struct kv_entrance *entrance)
{
    admit(KV_CONTAINER(listeners, struct net_loop, listeners), sock, entrance);
}

/* If a TLS handshake would be needed first, the peer gets no answer: there are no descriptors to
 * wait with. */
static void on_excess(struct kv_listeners *listeners, int fd, const struct kv_entrance *entrance)
{
    struct net_loop *here = KV_CONTAINER(listeners, struct net_loop, listeners);
    kv_counter_add(&here->n_refused[NO_DESCRIPTOR], 1);
    if (entrance->tls == NULL)
        kv_connections_refuse_fd(&here->connections, fd, here->net->service->refusal);
    else
        close(fd);
}

void kv_net_admit(struct kv_net *net, uint32_t loop, struct st_h2o_socket_t *sock)
{
    static const struct kv_entrance in_clear = {.tls = NULL};
    admit(&net->loops[loop], sock, &in_clear);
}

static void on_sweep(struct kv_timer *timer)
{
    struct net_loop *here = KV_CONTAINER(timer, struct net_loop, sweep);
    struct kv_loop *loop = here->connections.loop;
    int64_t interval = kv_net_is_draining(here->net) ? DRAIN_SWEEP_MS : SWEEP_MS;
    kv_connections_sweep(&here->connections);
    if (here->net->config.budget != NULL)
        kv_relief_run(&here->relief);
    kv_timer_start(loop, &here->sweep, kv_loop_now_ms(loop) + interval);
}

static void init_relief(struct net_loop *here)
{
    struct kv_net *net = here->net;
    here->relief = (struct kv_relief){.connections = &here->connections,
                                      .workers = net->config.workers,
                                      .links = net->links,
                                      .n_loops = net->n_loops,
                                      .loop = here->index};
    kv_relief_start(&here->relief);
}

static void init_loop(struct kv_net *net, uint32_t index, struct kv_loop *loop)
{
    struct net_loop *here = &net->loops[index];
    here->net = net;
    here->index = index;
    kv_listeners_init(&here->listeners, loop, &net->n_without_spare);
    here->listeners.inherited = net->config.inherited;
    here->listeners.on_accept = on_accept;
    here->listeners.on_excess = on_excess;
    kv_connections_init(&here->connections, loop, &net->config.patience, &net->n_lingering);
    if (net->config.max_lingering != 0)
        here->connections.lingerers.most = net->config.max_lingering;
    here->connections.peers = &net->peers;
    here->connections.tally = kv_budget_tally(net->config.budget, index);
    here->connections.chunks.tally = here->connections.tally;
    if (net->config.budget != NULL)
        init_relief(here);
    here->sweep.fire = on_sweep;
    kv_timer_start(loop, &here->sweep, kv_loop_now_ms(loop) + SWEEP_MS);
}

struct kv_net *kv_net_create(const struct kv_net_config *config, struct kv_loop *const *loops,
                             uint32_t n_loops)
{
    struct kv_net *net = kv_calloc(1, sizeof(*net) + n_loops * sizeof(struct net_loop));
    net->config = *config;
    if (config->max_refused == 0)
        net->config.max_refused = KV_MOST_REFUSED;
    if (config->max_descriptors == 0)
        net->config.max_descriptors = UINT32_MAX;
    net->n_loops = n_loops;
    net->links = kv_calloc(n_loops, sizeof(*net->links));
    atomic_init(&net->max_connections, config->max_connections);
    kv_peers_init(&net->peers, config->max_per_address);
    kv_list_init(&net->unix_sockets);
    for (uint32_t i = 0; i < n_loops; i++)
        init_loop(net, i, loops[i]);
    return net;
}

void kv_net_set_service(struct kv_net *net, struct kv_net_service *service)
{
    net->service = service;
    for (uint32_t i = 0; i < net->n_loops; i++) {
        net->loops[i].connections.lateness = service->lateness;
        net->loops[i].connections.overload = service->overload;
    }
}

/* Owns: the caller, by free(). */
static struct kv_listeners **listeners_of(struct kv_net *net)
{
    struct kv_listeners **all = kv_calloc(net->n_loops, sizeof(*all));
    for (uint32_t i = 0; i < net->n_loops; i++)
        all[i] = &net->loops[i].listeners;
    return all;
}

int kv_net_listen(struct kv_net *net, const char *host, uint16_t port, struct kv_tls *tls,
                  uint16_t *ret_port, struct kv_error *reterr)
{
    for (uint32_t i = 0; i < net->n_loops && tls != NULL; i++)
        if (net->loops[i].bench == NULL)
            net->loops[i].bench = kv_tls_bench_create();
    struct kv_listeners **all = listeners_of(net);
    int result = kv_listen(all, net->n_loops, host, port, tls, ret_port, reterr);
    free(all);
    return result;
}

int kv_net_listen_unix(struct kv_net *net, const char *path, uint32_t mode, struct kv_error *reterr)
{
    struct kv_unix_socket *unix_socket;
    int fd = kv_inherited_take_unix(net->config.inherited, path);
    if (fd < 0) {
        fd = kv_unix_socket_listen(path, mode, &unix_socket, reterr);
        if (fd < 0)
            return -1;
        kv_list_append(&net->unix_sockets, &unix_socket->link);
    }
    struct kv_listeners **all = listeners_of(net);
    int failed = kv_listen_unix(all, net->n_loops, fd);
    free(all);
    if (failed != 0)
        return kv_error_set(reterr, "cannot listen on %s: %s", path, strerror(errno));
    return 0;
}

void kv_net_visit(const struct kv_net *net, uint32_t loop,
                  bool (*visit)(void *context, const struct kv_connection *connection),
                  void *context)
{
    const struct kv_list *all = &net->loops[loop].connections.all;
    for (const struct kv_list *link = all->next; link != all; link = link->next)
        if (!visit(context, KV_CONTAINER((uintptr_t)link, struct kv_connection, link)))
            return;
}

struct kv_tally *kv_net_tally(struct kv_net *net, uint32_t loop)
{
    return net->loops[loop].connections.tally;
}

bool kv_net_is_exposed(const struct kv_net *net)
{
    return net->loops[0].listeners.is_exposed;
}

bool kv_net_hold_descriptor(struct kv_net *net)
{
    uint32_t n_held = atomic_fetch_add(&net->n_held, 1); /* first: see admit() */
    bool has_room = n_held + atomic_load(&net->n_connections) < net->config.max_descriptors;
    if (!has_room)
        kv_net_release_descriptor(net);
    return has_room;
}

void kv_net_release_descriptor(struct kv_net *net)
{
    atomic_fetch_sub(&net->n_held, 1);
}

void kv_net_limit(struct kv_net *net, uint32_t max_connections, uint32_t max_per_address)
{
    atomic_store(&net->max_connections, max_connections);
    kv_peers_limit(&net->peers, max_per_address);
}

/* Counts the connections that were opened while addresses were not counted. */
static void count_uncounted(struct net_loop *here)
{
    KV_LIST_EACH(&here->connections.all, link, after)
    {
        struct kv_connection *connection = KV_CONTAINER(link, struct kv_connection, link);
        if (connection->peer != NULL || connection->is_refused ||
            kv_connection_is_of_many(connection))
            continue;
        struct kv_address address = kv_connection_address(connection);
        connection->peer = kv_peers_join(&here->net->peers, &address);
    }
}

void kv_net_take_patience(struct kv_net *net, uint32_t loop, const struct kv_patience *patience)
{
    struct net_loop *here = &net->loops[loop];
    here->connections.patience = *patience;
    if (kv_peers_are_counted(&net->peers))
        count_uncounted(here);
}

void kv_net_drain(struct kv_net *net, uint32_t loop)
{
    struct net_loop *here = &net->loops[loop];
    atomic_store(&net->is_draining, true);
    here->connections.is_draining = true;
    kv_listeners_fini(&here->listeners);
    on_sweep(&here->sweep);
}

bool kv_net_is_draining(const struct kv_net *net)
{
    return atomic_load_explicit(&net->is_draining, memory_order_relaxed);
}

void kv_net_abort(struct kv_net *net, uint32_t loop)
{
    struct kv_connections *connections = &net->loops[loop].connections;
    connections->is_aborted = true;
    kv_lingerers_abort(&connections->lingerers);
    kv_connections_sweep(connections);
}

uint32_t kv_net_n_connections(const struct kv_net *net)
{
    return atomic_load(&net->n_connections);
}

uint32_t kv_net_n_lingering(const struct kv_net *net)
{
    return atomic_load(&net->n_lingering);
}

bool kv_net_is_quiet(const struct kv_net *net)
{
    return atomic_load(&net->n_connections) == 0 && atomic_load(&net->n_refused) == 0 &&
           atomic_load(&net->n_lingering) == 0;
}

/* ---- metrics ---- */

static uint64_t count_accepted(const struct kv_net *net)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < net->n_loops; i++)
        n += kv_counter_read(&net->loops[i].n_accepted);
    return n;
}

static void collect_refused(const struct kv_net *net, struct kv_metrics_text *text)
{
    static const char *const reasons[N_REFUSALS] = {[OVER_LIMIT] = "connections",
                                                    [OVER_ADDRESS_LIMIT] =
                                                        "connections_per_address",
                                                    [NO_DESCRIPTOR] = "descriptors"};
    static const struct kv_metric metric = {"kvserver_connections_refused", KV_METRIC_COUNTER, NULL,
                                            "Connections beyond a limit"};
    kv_metrics_begin(text, &metric);
    for (size_t reason = 0; reason < N_REFUSALS; reason++) {
        uint64_t n = 0;
        for (uint32_t i = 0; i < net->n_loops; i++)
            n += kv_counter_read(&net->loops[i].n_refused[reason]);
        kv_metrics_sample(text, (struct kv_labels){{{"limit", reasons[reason]}}}, n);
    }
}

static void collect_memory(const struct kv_budget *budget, struct kv_metrics_text *text)
{
    static const struct kv_metric used = {"kvserver_connection_memory_bytes", KV_METRIC_GAUGE,
                                          "bytes", "Memory that connections hold"};
    static const struct kv_metric limit = {"kvserver_connection_memory_limit_bytes",
                                           KV_METRIC_GAUGE, "bytes",
                                           "Memory that connections may hold: limits.memory"};
    if (budget == NULL)
        return;
    kv_metrics_number(text, &used, kv_budget_used(budget));
    kv_metrics_number(text, &limit, kv_budget_limit(budget));
}

static uint64_t sum_traffic(const struct kv_net *net, size_t transport, size_t offset)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < net->n_loops; i++) {
        const struct kv_traffic *traffic = &net->loops[i].connections.traffic[transport];
        sum += kv_counter_read(
            (const struct kv_counter *)(const void *)((const char *)traffic + offset));
    }
    return sum;
}

static void collect_traffic(const struct kv_net *net, const struct kv_metric *metric, size_t offset,
                            struct kv_metrics_text *text)
{
    kv_metrics_begin(text, metric);
    for (size_t i = 0; i < KV_N_TRANSPORTS; i++)
        kv_metrics_sample(
            text, (struct kv_labels){{{"transport", kv_transport_name((enum kv_transport)i)}}},
            sum_traffic(net, i, offset));
}

void kv_net_collect(const struct kv_net *net, struct kv_metrics_text *text)
{
    static const struct kv_metric open = {"kvserver_connections", KV_METRIC_GAUGE, NULL,
                                          "Open connections"};
    static const struct kv_metric limit = {"kvserver_connections_limit", KV_METRIC_GAUGE, NULL,
                                           "Connections that may be open: limits.connections"};
    static const struct kv_metric received = {"kvserver_received_bytes", KV_METRIC_COUNTER, "bytes",
                                              "Bytes that came on connections, inside of TLS"};
    static const struct kv_metric sent = {"kvserver_sent_bytes", KV_METRIC_COUNTER, "bytes",
                                          "Bytes that were sent on connections, inside of TLS"};
    static const struct kv_metric accepted = {"kvserver_connections_accepted", KV_METRIC_COUNTER,
                                              NULL, "Connections that were accepted"};
    kv_metrics_number(text, &open, kv_net_n_connections(net));
    kv_metrics_number(text, &limit, atomic_load(&net->max_connections));
    kv_metrics_number(text, &accepted, count_accepted(net));
    collect_traffic(net, &received, offsetof(struct kv_traffic, received), text);
    collect_traffic(net, &sent, offsetof(struct kv_traffic, sent), text);
    collect_refused(net, text);
    collect_memory(net->config.budget, text);
}

void kv_net_destroy(struct kv_net *net)
{
    if (net == NULL)
        return;
    for (uint32_t i = 0; i < net->n_loops; i++) {
        struct net_loop *here = &net->loops[i];
        kv_listeners_fini(&here->listeners);
        kv_timer_stop(here->connections.loop, &here->sweep);
        if (net->config.budget != NULL)
            kv_relief_fini(&here->relief);
        kv_connections_fini(&here->connections);
        kv_tls_bench_destroy(here->bench);
    }
    KV_LIST_EACH(&net->unix_sockets, link, after)
    kv_unix_socket_remove(KV_CONTAINER(link, struct kv_unix_socket, link));
    kv_peers_fini(&net->peers);
    free(net->links);
    free(net);
}
