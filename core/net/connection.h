/*
 * An open connection, independent of its protocol: its channel, and the supervision of its
 * progress. The protocol that serves it may hand it over to another one. Below: all connections of
 * a loop.
 *
 * Threads: a connection belongs to its loop.
 */
#ifndef KV_NET_CONNECTION_H
#define KV_NET_CONNECTION_H

#include "base/list.h"
#include "net/channel.h"
#include "net/linger.h"
#include "net/outbound.h"
#include "net/pace.h"
#include "net/peers.h"
#include "net/tls_channel.h"
#include "wire/address.h"

/* The use of a connection. */
enum kv_transport {
    KV_TRANSPORT_NONE, /* nothing yet, or it will be refused */
    KV_TRANSPORT_HTTP,
    KV_TRANSPORT_WEBSOCKET,
    KV_TRANSPORT_EVENTS,
    KV_TRANSPORT_BACKUP,
    KV_N_TRANSPORTS
};

/* Such as `http`. Constant. */
const char *kv_transport_name(enum kv_transport transport);

/* The description of a connection for operators. */
struct kv_connection_account {
    enum kv_transport transport;
    struct kv_slice name; /* of its principal; lent for the call; empty: none */
    uint64_t n_subscriptions;
    size_t unsent; /* bytes */
};

/* The protocol that serves a connection. Constant. */
struct kv_protocol {
    enum kv_transport transport;
    /* Fills in the rest of the account, which is zeroed. NULL: there is nothing to add. */
    void (*account)(const void *user, struct kv_connection_account *ret);
    kv_channel_fn on_read;
    kv_channel_fn on_written;
    /* Whether a request of the peer is under way or unsent. NULL: determined from the channel. */
    bool (*is_busy)(const void *user);
    /* The connection is being closed. NULL: nothing has to be done. */
    void (*on_closed)(void *user);
    /* The bytes kept for the peer, besides its input. */
    size_t (*holds)(const void *user);
    /* Whether some of them are kept for work under way. NULL: never. */
    bool (*is_working)(const void *user);
    /* The memory of all connections is used up, and this one has to release its share and end.
     * NULL: it ends with the text of kv_net_service, or without one. */
    void (*give_way)(void *user);
    bool keeps_time;      /* it applies its timeouts itself */
    bool is_always_ready; /* `on_read` may report at any time that the connection is broken, not
                             only while input is wanted */
    bool is_entering;     /* the phase before a service: it may take as long as a request */
};

/* The time limits of a connection. */
struct kv_patience {
    int64_t idle_ms;             /* without a request */
    int64_t request_ms;          /* with a request, or a TLS record, that is incomplete */
    int64_t request_progress_ms; /* with one of which nothing more arrives */
    int64_t stalled_reader_ms;   /* with an answer that is not read */
    size_t least_rate;           /* bytes per second of either, after that time; 0: none */
};

/* The connections of one loop. */
struct kv_connections {
    struct kv_loop *loop;
    struct kv_list all; /* in the order of opening */
    uint64_t n_opened;
    struct kv_traffic traffic[KV_N_TRANSPORTS];
    struct kv_lingerers lingerers;
    struct kv_chunks chunks; /* for their outbound queues */
    struct kv_patience patience;
    struct kv_slice lateness; /* the response if a request does not arrive in time */
    struct kv_slice overload; /* the response if there is no memory for a request */
    struct kv_tally *tally;   /* NULL: memory is not counted */
    struct kv_peers *peers;   /* of all loops */
    bool is_draining;         /* idle connections are closed */
    bool is_aborted;          /* all connections are closed */
};

/* The progress that is expected of a connection's peer. */
enum kv_watched {
    KV_WATCHED_NOTHING, /* none: it waits for the server, or may be silent for a while */
    KV_WATCHED_REQUEST, /* sending a request */
    KV_WATCHED_ANSWERS, /* reading answers */
};

struct kv_connection {
    struct kv_list link;
    uint64_t id; /* unique over all loops; ascending on each loop */
    int64_t opened_ms;
    struct kv_connections *among;
    struct kv_peer *peer; /* NULL: not counted */
    struct kv_channel channel;
    const struct kv_protocol *protocol;
    _Atomic uint32_t *counted; /* the counter, of all loops, that includes it */
    struct kv_tls *tls;        /* of its port, lent; NULL: none */
    bool is_unix;              /* received on a Unix socket */
    bool is_proxys;            /* its peer is a proxy that may name its client */
    struct kv_address client;  /* the client that such a proxy has named, if it has */
    bool is_refused;           /* it exceeded a limit, and will be told so */
    int linger_fd; /* a duplicate of the socket's descriptor, in case it is closed with input unread
                      (linger.h); otherwise -1 */
    int64_t progress_ms; /* the time of the last progress */
    uint64_t seen;       /* a measure of progress at that time */
    struct kv_pace pace; /* of the transfer that is watched */
    enum kv_watched watched;
    bool gives_way; /* it has been asked to give way */
    struct {
        uint64_t moved;   /* to its peer, or of its request, when last checked */
        int64_t since_ms; /* when it was first seen to be that much; 0: not watched */
    } stillness;          /* while the memory of all connections is used up */
};

/* Takes the socket over. The connection ends with the socket.
 * counted: includes the connection already; decremented when it ends. */
struct kv_connection *kv_connection_open(struct kv_connections *among, struct st_h2o_socket_t *sock,
                                         _Atomic uint32_t *counted);

/* Has the protocol serve it from now on, beginning with its present input.
 * user: for the protocol's functions. */
void kv_connection_serve(struct kv_connection *connection, const struct kv_protocol *protocol,
                         void *user);

/* For libraries that identify connections by their sockets. */
struct st_h2o_socket_t *kv_connection_socket(const struct kv_connection *connection);
struct kv_connection *kv_connection_of_socket(const struct st_h2o_socket_t *sock);

/* A complete request has arrived: its idle time begins anew. */
void kv_connection_touch(struct kv_connection *connection);

/* It will be closed after the answer, although input is unread or will still arrive. */
void kv_connection_linger(struct kv_connection *connection);

/* Its peer does not read: data that the kernel still holds is dropped with the connection, which
 * has to be closed. */
void kv_connection_reset(struct kv_connection *connection);

/* The remote address: of the client, if a trusted proxy has named it, or of the peer. Returns: none
 * for a Unix socket. */
struct kv_address kv_connection_address(const struct kv_connection *connection);

/* Counts the connection for its client, as named by a trusted proxy.
 * Returns: false if that address has reached its limit. */
bool kv_connection_claim(struct kv_connection *connection, const struct kv_address *client);

/* Whether its peer is a proxy that has not named a client for the connection: each request may come
 * from another client. */
static inline bool kv_connection_is_of_many(const struct kv_connection *connection)
{
    return connection->is_proxys && !kv_address_is_given(&connection->client);
}

/* The client's certificate (kv_channel_certificate); NULL if there is none, or if the peer is a
 * proxy. Valid as long as the connection. */
static inline const struct kv_peer_certificate *
kv_connection_certificate(const struct kv_connection *connection)
{
    return connection->channel.tls == NULL || connection->is_proxys
               ? NULL
               : kv_channel_certificate(&connection->channel);
}

/* Closes and frees it. */
void kv_connection_close(struct kv_connection *connection);

void kv_connections_init(struct kv_connections *connections, struct kv_loop *loop,
                         const struct kv_patience *patience, _Atomic uint32_t *n_lingering);

/* Sends a text to the peer of a socket that has no connection, and closes it with lingering. */
void kv_connections_refuse(struct kv_connections *connections, struct st_h2o_socket_t *sock,
                           struct kv_slice text);

/* All connections must be closed. */
void kv_connections_fini(struct kv_connections *connections);

/* The same for a descriptor, which it takes over; it needs no further descriptor. */
void kv_connections_refuse_fd(struct kv_connections *connections, int fd, struct kv_slice text);

/* Ends connections that have made no progress for too long, or that have to end. */
void kv_connections_sweep(struct kv_connections *connections);

/* Records how much the peers have taken of connections with unsent data, how much they have sent of
 * incomplete requests, and which connections wait for memory, or for work that holds some. begins:
 * forgets earlier records. */
void kv_connections_watch_peers(struct kv_connections *connections, bool begins);

/* The largest of the connections that are stalled: for at least `still_ms`, as far as
 * kv_connections_watch_peers() has recorded, their peers took nothing of the unsent data, or sent
 * nothing of an incomplete request, or they waited for memory themselves, or for such work.
 * Returns: NULL if there is none; otherwise the connection, and *ret_bytes: how much it holds. */
struct kv_connection *kv_connections_largest(struct kv_connections *connections, int64_t still_ms,
                                             size_t *ret_bytes);

/* Ends the connection, as the memory of all connections is used up. */
void kv_connection_give_way(struct kv_connection *connection);

/* Describes the connection. ret_account: lent for the call, like the connection. */
void kv_connection_account(const struct kv_connection *connection,
                           struct kv_connection_account *ret_account);

#endif
