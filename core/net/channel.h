/*
 * A channel: how the bytes of one connection come and go. What is read arrives in an input buffer,
 * from whose front its user takes what it understands; what is written leaves at once as far as the
 * kernel takes it, and the rest when there is room.
 *
 * The table of operations is where channels differ: a plain one hands bytes to the kernel, an
 * encrypted one to OpenSSL first (tls_channel.h). Above core/net no code touches a descriptor.
 *
 * Threads: all of a channel belongs to its loop.
 */
#ifndef KV_NET_CHANNEL_H
#define KV_NET_CHANNEL_H

#include <sys/uio.h>

#include <kvserver/types.h>

#include "base/metrics.h"
#include "base/budget.h"

struct kv_channel;
struct kv_loop;
struct st_h2o_socket_t;

enum kv_channel_event {
    KV_CHANNEL_READY,  /* on_read: there is more input; on_written: all is written */
    KV_CHANNEL_ENDED,  /* on_read: the peer sends no more, but may still read */
    KV_CHANNEL_BROKEN, /* nothing comes or goes any more */
};

/* Runs on the loop; may close the connection. */
typedef void (*kv_channel_fn)(void *user, enum kv_channel_event event);

struct kv_channel_ops {
    /* Reads about as many bytes as `most`, or what is there, into the input, and counts it.
     * Returns: whether there is an event for the user. */
    bool (*fill)(struct kv_channel *channel, size_t most, enum kv_channel_event *ret_event);
    /* Counts what it writes. */
    bool (*write)(struct kv_channel *channel, struct iovec *iovecs, size_t n);
    bool (*is_writing)(const struct kv_channel *channel);
    /* Tells the peer that the end that follows is no attack. */
    void (*farewell)(struct kv_channel *channel);
    void (*shut_writing)(struct kv_channel *channel);
    void (*fini)(struct kv_channel *channel);
};

extern const struct kv_channel_ops kv_channel_plain;

/* Bytes, as the user of channels sees them: those inside of TLS. */
struct kv_traffic {
    struct kv_counter received;
    struct kv_counter sent; /* or given to be */
};

struct kv_channel {
    const struct kv_channel_ops *ops;
    struct st_h2o_socket_t *sock;
    struct kv_tls_session *tls; /* NULL: it is plain */
    struct kv_loop *loop;
    struct kv_traffic *traffic; /* counts here, lent */
    void *user;
    kv_channel_fn on_read;
    kv_channel_fn on_written;
    bool wants_read;         /* its user does; it is not read while the budget is used up */
    size_t n_kept;           /* bytes that its user has taken from the input and keeps */
    struct kv_charge charge; /* for the input, and for these */
    struct kv_waiter waiter; /* for memory, to read on */
};

/* tally: of the loop. traffic: where bytes count, lent. */
void kv_channel_init(struct kv_channel *channel, struct st_h2o_socket_t *sock, struct kv_loop *loop,
                     struct kv_tally *tally, struct kv_traffic *traffic);
/* It is closed. */
void kv_channel_fini(struct kv_channel *channel);

/* Passes the channel on to a user, with the input that is there. It is not read at first. */
void kv_channel_attach(struct kv_channel *channel, void *user, kv_channel_fn on_read,
                       kv_channel_fn on_written);

/* Begins or stops to read. While the budget is used up it does not read, unless it keeps very
 * little. */
void kv_channel_read(struct kv_channel *channel, bool wants);
/* Whether it waits for memory to read on. */
bool kv_channel_is_held_up(const struct kv_channel *channel);
bool kv_channel_is_reading(const struct kv_channel *channel);

/* The input that has not been consumed. Its bytes may be written to. Valid until it is consumed, or
 * more is read. *ret_len: how many there are. */
char *kv_channel_input(const struct kv_channel *channel, size_t *ret_len);
void kv_channel_consume(struct kv_channel *channel, size_t len);
/* Drops so many bytes from the front, and all that is behind the next `len`. */
void kv_channel_cut(struct kv_channel *channel, size_t n_dropped, size_t len);
/* Its user keeps so many bytes that it has taken from the input. */
void kv_channel_keep(struct kv_channel *channel, size_t len);

/* Writes all of it; not while it is writing. The iovecs are used up; the bytes are lent until
 * on_written where it returns false.
 * Returns: whether all of it is written already, and on_written is not called. */
bool kv_channel_write(struct kv_channel *channel, struct iovec *iovecs, size_t n);
bool kv_channel_is_writing(const struct kv_channel *channel);

/* Tells the peer that nothing more comes. What was written before still arrives. */
void kv_channel_shut_writing(struct kv_channel *channel);

/* To be called before it is closed: what else its kind says to the peer, as far as it goes at once.
 */
void kv_channel_farewell(struct kv_channel *channel);

/* Whether the peer has reset the connection, or closed both sides. */
bool kv_channel_is_broken(const struct kv_channel *channel);

/* Has its user close it, as if the peer had. */
void kv_channel_end(struct kv_channel *channel);

/* For operations: a write of the socket has been completed by the library. */
void kv_channel_announce(struct kv_channel *channel);

/* A number that changes while the peer takes what was written. *ret_counts_bytes: whether it is
 * that of the bytes which the peer has taken. */
uint64_t kv_channel_progress(const struct kv_channel *channel, bool *ret_counts_bytes);

#endif
