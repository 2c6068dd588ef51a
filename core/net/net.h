/*
 * The network: listeners on every loop, and the connections that they accept. A service above gives
 * each connection a protocol. One struct kv_net for the process.
 */
#ifndef KV_NET_NET_H
#define KV_NET_NET_H

#include "base/metrics.h"
#include "net/connection.h"
#include "net/inherited.h"

struct kv_net;
struct kv_tls;

struct kv_net_config {
    uint32_t max_connections;
    uint32_t max_descriptors; /* of connections and kv_net_hold_descriptor(); 0: no limit */
    uint32_t max_lingering;   /* connections that have ended (linger.h); 0: as many as usual */
    uint32_t max_refused; /* beyond a limit, which shake hands to be told so; 0: as many as usual */
    uint32_t max_per_address; /* 0: no limit (peers.h) */
    struct kv_patience patience;
    const struct kv_address_range *proxies; /* trusted to name their clients, lent */
    size_t n_proxies;
    bool trusts_unix;               /* peers on Unix sockets are trusted, too */
    struct kv_inherited *inherited; /* inherited sockets are used first, lent; NULL: none */
    struct kv_budget *budget;       /* for the memory of all connections, lent; NULL: no limit */
    struct kv_workers *workers;     /* required with a budget, lent */
};

enum {
    KV_MOST_REFUSED = 256 /* at most, and unless `max_refused` is set */
};

/* The service for connections. The caller's memory. */
struct kv_net_service {
    /* Has a protocol serve the connection (kv_connection_serve), on the loop with that index. */
    void (*open)(struct kv_net_service *service, uint32_t loop, struct kv_connection *connection);
    /* The response to a connection beyond a limit. */
    struct kv_slice refusal;
    /* The response if a request does not arrive in time. */
    struct kv_slice lateness;
    /* The response if there is no memory for a request. */
    struct kv_slice overload;
    /* The response to a malformed PROXY header. */
    struct kv_slice confusion;
    /* The unencrypted response to an unencrypted request on a port with TLS. */
    struct kv_slice clarity;
};

/* Lent until kv_net_destroy(): loops. */
struct kv_net *kv_net_create(const struct kv_net_config *config, struct kv_loop *const *loops,
                             uint32_t n_loops);

/* Call before it listens. */
void kv_net_set_service(struct kv_net *net, struct kv_net_service *service);

/* Listens on each loop. host: a name or an address; port: 0 for any free one; tls: lent; NULL: not
 * encrypted. Call before the loops run. *ret_port: the port. */
int kv_net_listen(struct kv_net *net, const char *host, uint16_t port, struct kv_tls *tls,
                  uint16_t *ret_port, struct kv_error *reterr);

/* The same at a path of the file system (unix_socket.h). mode: who may connect, as for files. */
int kv_net_listen_unix(struct kv_net *net, const char *path, uint32_t mode,
                       struct kv_error *reterr);

/* The tally of that loop's connections. NULL: memory is not counted. */
struct kv_tally *kv_net_tally(struct kv_net *net, uint32_t loop);

/* Whether it listens at an address that other machines may reach. Threads: before the loops run;
 * any later, as it does not change. */
bool kv_net_is_exposed(const struct kv_net *net);

/* Whether this address is trusted to name its clients. Threads: any. */
bool kv_net_trusts(const struct kv_net *net, const struct kv_address *address);

/* Has the service serve a socket as if it had been accepted on that loop. On the loop's thread. */
void kv_net_admit(struct kv_net *net, uint32_t loop, struct st_h2o_socket_t *sock);

/* Sends a text to the peer of a connection that was passed to the service, and ends it. */
void kv_net_end_with(struct kv_connection *connection, struct kv_slice text);

/* Shows every connection of that loop, in the order of their ids, until `visit` returns false. On
 * the loop's thread. */
void kv_net_visit(const struct kv_net *net, uint32_t loop,
                  bool (*visit)(void *context, const struct kv_connection *connection),
                  void *context);

/* A descriptor besides its own that a connection has the server hold, for as long as the client
 * likes. Returns: false at the limit of descriptors. Threads: any. */
bool kv_net_hold_descriptor(struct kv_net *net);
void kv_net_release_descriptor(struct kv_net *net);

/* Changes how many connections there may be; existing ones stay. Threads: any. */
void kv_net_limit(struct kv_net *net, uint32_t max_connections, uint32_t max_per_address);

/* Call for each loop after kv_net_limit(): replaces the timeouts of its connections, and counts
 * existing connections for their addresses if these were not counted before. patience: copied.
 * Threads: the loop's own. */
void kv_net_take_patience(struct kv_net *net, uint32_t loop, const struct kv_patience *patience);

/* Ends service, on a loop's own thread: accepts no connections, and closes idle ones. */
void kv_net_drain(struct kv_net *net, uint32_t loop);
/* Whether that has begun on any loop. Threads: any. */
bool kv_net_is_draining(const struct kv_net *net);

/* Closes the remaining connections, except those whose protocol keeps time itself, on a loop's own
 * thread. */
void kv_net_abort(struct kv_net *net, uint32_t loop);

/* The number of open connections. Threads: any. */
uint32_t kv_net_n_connections(const struct kv_net *net);

/* The number of peers that still send on connections that have ended (linger.h). Threads: any. */
uint32_t kv_net_n_lingering(const struct kv_net *net);

/* Whether every connection has ended, including lingering ones (linger.h).
 * Threads: any. */
bool kv_net_is_quiet(const struct kv_net *net);

/* Writes its metrics. Threads: any. */
void kv_net_collect(const struct kv_net *net, struct kv_metrics_text *text);

/* Call after the loops have ended; removes the sockets of kv_net_listen_unix(). Accepts NULL. */
void kv_net_destroy(struct kv_net *net);

#endif
