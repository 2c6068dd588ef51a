/*
 * The encrypted channel: TLS (tls_codec.h) between the channel's user and the socket.
 *
 * Threads: a channel belongs to its loop.
 */
#ifndef KV_NET_TLS_CHANNEL_H
#define KV_NET_TLS_CHANNEL_H

#include "net/channel.h"
#include "net/tls.h"

struct kv_tls_bench;

/* Buffers that the encrypted channels of a loop use, one after the other. */
struct kv_tls_bench *kv_tls_bench_create(void);
/* Accepts NULL. */
void kv_tls_bench_destroy(struct kv_tls_bench *bench);

/* From now on the channel is encrypted, beginning with its present input. The user is notified when
 * the handshake is done: KV_CHANNEL_READY, even without input; or BROKEN. The channel must be
 * reading, must not be written to, and may get another user only after that.
 * bench: lent as long as the channel lives. */
void kv_channel_secure(struct kv_channel *channel, struct kv_tls *tls, struct kv_tls_bench *bench);

/* The bytes that the session of an encrypted channel counts, without its input. */
size_t kv_channel_session_memory(const struct kv_channel *channel);

/* For a channel whose handshake failed: whether the peer speaks unencrypted HTTP, or has sent a
 * PROXY header, which nobody expected. */
bool kv_channel_met_plain_http(const struct kv_channel *channel);

/* Writes to such a peer, unencrypted, as much as the kernel takes at once. */
void kv_channel_answer_plain(struct kv_channel *channel, struct kv_slice text);

/* The identity of the peer. */
struct kv_peer_certificate {
    struct kv_slice name; /* its subject's common name; without one, the first DNS name, e-mail
                             address or URI of its alternative names */
    int64_t ends_s;       /* since 1970: it has expired from then on */
};

/* The peer's certificate. Returns: NULL if there is none, or no name in it; valid as long as the
 * channel lives. */
const struct kv_peer_certificate *kv_channel_certificate(const struct kv_channel *channel);

#endif
