/*
 * A channel: the transport of one connection's bytes. Received bytes arrive in an input buffer,
 * from whose front the user consumes them; bytes to send leave at once as far as the kernel takes
 * them, and the rest when there is room.
 *
 * Kinds of channels differ in their table of operations: a plain channel passes bytes to the
 * kernel, an encrypted one encrypts them first (tls_channel.h). Only core/net accesses descriptors.
 *
 * Threads: a channel belongs to its loop.
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
    KV_CHANNEL_READY,  /* on_read: there is more input; on_written: everything is written */
    KV_CHANNEL_ENDED,  /* on_read: the peer sends no more, but may still read */
    KV_CHANNEL_BROKEN, /* nothing more can be received or sent */
};

/* Called on the loop; may close the connection. */
typedef void (*kv_channel_fn)(void *user, enum kv_channel_event event);

struct kv_channel_ops {
    /* Reads about as many bytes as `most`, or what is there, into the input, and counts it.
     * Returns: whether there is an event for the user. */
    bool (*fill)(struct kv_channel *channel, size_t most, enum kv_channel_event *ret_event);
    /* Counts what it writes. */
    bool (*write)(struct kv_channel *channel, struct iovec *iovecs, size_t n);
    bool (*is_writing)(const struct kv_channel *channel);
    /* Tells the peer that the connection is ended on purpose (close_notify). */
    void (*farewell)(struct kv_channel *channel);
    void (*shut_writing)(struct kv_channel *channel);
    void (*fini)(struct kv_channel *channel);
};

extern const struct kv_channel_ops kv_channel_plain;

/* Bytes as seen by the channel's user: with TLS, the decrypted ones. */
struct kv_traffic {
    struct kv_counter received;
    struct kv_counter sent; /* or accepted for sending */
};

struct kv_channel {
    const struct kv_channel_ops *ops;
    struct st_h2o_socket_t *sock;
    struct kv_tls_session *tls; /* NULL: not encrypted */
    struct kv_loop *loop;
    struct kv_traffic *traffic; /* counts here, lent */
    void *user;
    kv_channel_fn on_read;
    kv_channel_fn on_written;
    bool wants_read; /* the user wants input; while the budget is used up, nothing is read anyway */
    size_t n_kept;   /* bytes that the user has taken from the input and keeps */
    struct {
        size_t len, memory; /* bytes, and the memory used for them */
    } partial; /* a record that has arrived in part: input, which the user does not see yet */
    struct kv_charge charge; /* for the input, `n_kept` and `partial` */
    struct kv_waiter waiter; /* for memory, to continue reading */
};

/* tally: of the loop. traffic: where bytes count, lent. */
void kv_channel_init(struct kv_channel *channel, struct st_h2o_socket_t *sock, struct kv_loop *loop,
                     struct kv_tally *tally, struct kv_traffic *traffic);
/* It is closed. */
void kv_channel_fini(struct kv_channel *channel);

/* Passes the channel to a user, with its present input. At first nothing is read. */
void kv_channel_attach(struct kv_channel *channel, void *user, kv_channel_fn on_read,
                       kv_channel_fn on_written);

/* Begins or stops reading. While the budget is used up nothing is read, unless the connection holds
 * very little. */
void kv_channel_read(struct kv_channel *channel, bool wants);
/* Whether it waits for memory to continue reading. */
bool kv_channel_is_held_up(const struct kv_channel *channel);
bool kv_channel_is_reading(const struct kv_channel *channel);

/* The input that has not been consumed. Its bytes may be modified. Valid until it is consumed, or
 * more is read. *ret_len: its length. */
char *kv_channel_input(const struct kv_channel *channel, size_t *ret_len);
void kv_channel_consume(struct kv_channel *channel, size_t len);
/* Drops this many bytes from the front, and everything after the next `len`. */
void kv_channel_cut(struct kv_channel *channel, size_t n_dropped, size_t len);
/* Sets how many bytes the user keeps that it has taken from the input. */
void kv_channel_keep(struct kv_channel *channel, size_t len);

/* The bytes that have arrived of a record whose rest has not, and so are not in the input yet. */
static inline size_t kv_channel_partial(const struct kv_channel *channel)
{
    return channel->partial.len;
}

/* Writes all of it; not while a write is in progress. The iovecs are modified; if it returns false,
 * the bytes are lent until on_written.
 * Returns: whether everything is written already; then on_written is not called. */
bool kv_channel_write(struct kv_channel *channel, struct iovec *iovecs, size_t n);
bool kv_channel_is_writing(const struct kv_channel *channel);

/* Tells the peer that nothing more will be sent. Earlier writes still arrive. */
void kv_channel_shut_writing(struct kv_channel *channel);

/* Call before the channel is closed: sends the final message of its kind, if the kernel takes it at
 * once. */
void kv_channel_farewell(struct kv_channel *channel);

/* Whether the peer has reset the connection, or closed both sides. */
bool kv_channel_is_broken(const struct kv_channel *channel);

/* Has the user close it, as if the peer had closed it. */
void kv_channel_end(struct kv_channel *channel);

/* For operations: the library has completed a write of the socket. */
void kv_channel_announce(struct kv_channel *channel);

/* For operations: the input, or the partial record, has changed outside of `fill`. */
void kv_channel_count_input(struct kv_channel *channel);

/* A number that changes while the peer takes data. *ret_counts_bytes: whether it is the number of
 * bytes that the peer has taken. */
uint64_t kv_channel_progress(const struct kv_channel *channel, bool *ret_counts_bytes);

#endif
