/*
 * An open connection, whatever protocol it speaks: its channel, and the watch over its progress.
 * The protocol that serves it may hand it over to another. Beneath are all connections of a loop.
 *
 * Threads: all of it belongs to the connection's loop.
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

/* What a connection is used for. */
enum kv_transport {
    KV_TRANSPORT_NONE, /* nothing yet, or to be refused */
    KV_TRANSPORT_HTTP,
    KV_TRANSPORT_WEBSOCKET,
    KV_TRANSPORT_EVENTS,
    KV_TRANSPORT_BACKUP,
    KV_N_TRANSPORTS
};

/* As `http`. Constant. */
const char *kv_transport_name(enum kv_transport transport);

/* What operators are told of a connection. */
struct kv_connection_account {
    enum kv_transport transport;
    struct kv_slice name; /* of whom it is; lent for the call; empty: nobody's */
    uint64_t n_subscriptions;
    size_t unsent; /* bytes */
};

/* What serves a connection. Constant. */
struct kv_protocol {
    enum kv_transport transport;
    /* Fills in the rest of the account, which is all zero. NULL: there is nothing to tell. */
    void (*account)(const void *user, struct kv_connection_account *ret);
    kv_channel_fn on_read;
    kv_channel_fn on_written;
    /* Whether something that the peer asked for is under way or unsent. NULL: the channel shows. */
    bool (*is_busy)(const void *user);
    /* The connection is being closed. NULL: nothing is to be done. */
    void (*on_closed)(void *user);
    /* The bytes that are kept for the peer, besides its input. */
    size_t (*holds)(const void *user);
    /* Whether some of them are kept for work that is under way. NULL: never. */
    bool (*is_working)(const void *user);
    /* The memory of all connections has run out, and this one is to give back its part and end.
     * NULL: with a text for all (kv_net_service), or without one. */
    void (*give_way)(void *user);
    bool keeps_time;      /* it looks after its time-outs itself */
    bool is_always_ready; /* `on_read` may say at any time that the connection is broken, and not
                             only while input is wanted */
    bool is_entering;     /* what comes ahead of a service: it may take as long as a request */
};

/* How long a connection may take, and how long it may make no progress. */
struct kv_patience {
    int64_t idle_ms;             /* without a request */
    int64_t request_ms;          /* with one that has not arrived as a whole */
    int64_t request_progress_ms; /* with one that does not go on arriving */
    int64_t stalled_reader_ms;   /* with an answer that is not read */
    size_t least_rate;           /* bytes a second of either, once the time above is over; 0: any */
};

/* The connections of one loop. */
struct kv_connections {
    struct kv_loop *loop;
    struct kv_list all; /* in the order in which they were opened */
    uint64_t n_opened;
    struct kv_traffic traffic[KV_N_TRANSPORTS];
    struct kv_lingerers lingerers;
    struct kv_chunks chunks; /* for their outbound queues */
    struct kv_patience patience;
    struct kv_slice lateness; /* the response to a request that does not arrive in time */
    struct kv_slice overload; /* and to one for which there is no memory */
    struct kv_tally *tally;   /* NULL: nothing is counted */
    struct kv_peers *peers;   /* of all loops */
    bool is_draining;         /* idle ones are closed */
    bool is_aborted;          /* all are */
};

/* What the peer of a connection is to go on with. */
enum kv_watched {
    KV_WATCHED_NOTHING, /* it waits for us, or may be silent for a while */
    KV_WATCHED_REQUEST, /* sending it */
    KV_WATCHED_ANSWERS, /* reading them */
};

struct kv_connection {
    struct kv_list link;
    uint64_t id; /* of all loops; those of one rise */
    int64_t opened_ms;
    struct kv_connections *among;
    struct kv_peer *peer; /* NULL: it is not counted */
    struct kv_channel channel;
    const struct kv_protocol *protocol;
    _Atomic uint32_t *counted; /* where it counts, of all loops */
    struct kv_tls *tls;        /* spoken where it came in, lent; NULL: none */
    bool is_unix;              /* by a Unix socket */
    bool is_proxys;            /* its peer is a proxy that may say who the client is */
    struct kv_address client;  /* whom such a peer speaks for, as far as it has said so */
    bool is_refused;           /* it came beyond a limit, and is to be told so */
    int linger_fd;             /* another descriptor of the socket, for when it is closed with input
                                  unread (linger.h); otherwise -1 */
    int64_t progress_ms;       /* when it last made progress */
    uint64_t seen;             /* a measure of progress, as of then */
    struct kv_pace pace;       /* of what is watched */
    enum kv_watched watched;
    bool gives_way; /* it was told to */
    struct {
        uint64_t taken;   /* by its peer, when that was last looked at */
        int64_t since_ms; /* when the peer was first seen to have taken so much; 0: not watched */
    } stillness;          /* while the memory of all is used up */
};

/* Takes the socket over. The connection ends with the socket.
 * counted: counts it already, and no longer when it has ended. */
struct kv_connection *kv_connection_open(struct kv_connections *among, struct st_h2o_socket_t *sock,
                                         _Atomic uint32_t *counted);

/* Is served by that protocol from now on, beginning with the input that is there.
 * user: for the protocol's functions. */
void kv_connection_serve(struct kv_connection *connection, const struct kv_protocol *protocol,
                         void *user);

/* For a library that names connections by their sockets. */
struct st_h2o_socket_t *kv_connection_socket(const struct kv_connection *connection);
struct kv_connection *kv_connection_of_socket(const struct st_h2o_socket_t *sock);

/* A whole request has arrived: its idle time begins anew. */
void kv_connection_touch(struct kv_connection *connection);

/* It will be closed after the answer, with input unread or yet to come. */
void kv_connection_linger(struct kv_connection *connection);

/* Its peer does not take what it is sent: what the kernel still has goes with the connection, which
 * is to be closed. */
void kv_connection_reset(struct kv_connection *connection);

/* The address at the other end: of the client, where a proxy that is trusted has said it, or of the
 * peer. Returns: none for a Unix socket. */
struct kv_address kv_connection_address(const struct kv_connection *connection);

/* Counts the connection for the client that it turned out to be, of a proxy that is trusted.
 * Returns: false where that address has as many connections as it may. */
bool kv_connection_claim(struct kv_connection *connection, const struct kv_address *client);

/* Whether its peer is a proxy that has not said yet whom it speaks for: each request may be from
 * another client. */
static inline bool kv_connection_is_of_many(const struct kv_connection *connection)
{
    return connection->is_proxys && !kv_address_is_given(&connection->client);
}

/* The name in the client's certificate (kv_channel_certificate_name); empty if there is none, or if
 * the peer is a proxy. Valid as long as the connection. */
static inline struct kv_slice kv_connection_certificate(const struct kv_connection *connection)
{
    const char *name = connection->channel.tls == NULL || connection->is_proxys
                           ? NULL
                           : kv_channel_certificate_name(&connection->channel);
    if (name == NULL)
        return (struct kv_slice){0};
    return kv_slice_of(name);
}

/* Closes and frees it. */
void kv_connection_close(struct kv_connection *connection);

void kv_connections_init(struct kv_connections *connections, struct kv_loop *loop,
                         const struct kv_patience *patience, _Atomic uint32_t *n_lingering);

/* Sends a text to the peer of a socket that is no connection, and closes it lingering. */
void kv_connections_refuse(struct kv_connections *connections, struct st_h2o_socket_t *sock,
                           struct kv_slice text);

/* All of them are closed. */
void kv_connections_fini(struct kv_connections *connections);

/* The same for a descriptor, which it takes over; it needs no other one. */
void kv_connections_refuse_fd(struct kv_connections *connections, int fd, struct kv_slice text);

/* Ends those that have made no progress for too long, or are to end. */
void kv_connections_sweep(struct kv_connections *connections);

/* Records how much the peers have taken of connections with unsent data, and which connections wait
 * for memory, or for work that holds some. begins: forgets earlier records. */
void kv_connections_watch_peers(struct kv_connections *connections, bool begins);

/* The largest of the connections that are stalled: for at least `still_ms`, as far as
 * kv_connections_watch_peers() has recorded, their peers took nothing of the unsent data, or they
 * waited for memory themselves, or for such work. Returns: NULL if there is none; otherwise the
 * connection, and *ret_bytes: how much it holds. */
struct kv_connection *kv_connections_largest(struct kv_connections *connections, int64_t still_ms,
                                             size_t *ret_bytes);

/* Ends the connection, as the memory of all has run out. */
void kv_connection_give_way(struct kv_connection *connection);

/* What it is used for. ret_account: lent for the call, as the connection. */
void kv_connection_account(const struct kv_connection *connection,
                           struct kv_connection_account *ret_account);

#endif
