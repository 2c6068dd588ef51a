/*
 * The encrypted channel: OpenSSL between the channel's input and what is written, and the socket.
 *
 * Threads: all of it belongs to the channel's loop.
 */
#ifndef KV_NET_TLS_CHANNEL_H
#define KV_NET_TLS_CHANNEL_H

#include "net/channel.h"
#include "net/tls.h"

struct kv_tls_bench;

/* What the encrypted channels of a loop work with, one after the other. */
struct kv_tls_bench *kv_tls_bench_create(void);
/* Accepts NULL. */
void kv_tls_bench_destroy(struct kv_tls_bench *bench);

/* From now on the channel is encrypted, beginning with the input that is there. Its user hears of
 * its input once the handshake is done: KV_CHANNEL_READY, be there input or not; or BROKEN. The
 * channel must be read, not be written to, and its user may change only then.
 * bench: lent as long as the channel lives. */
void kv_channel_secure(struct kv_channel *channel, struct kv_tls *tls, struct kv_tls_bench *bench);

/* Of a channel whose handshake failed: whether the peer speaks HTTP in clear. */
bool kv_channel_met_plain_http(const struct kv_channel *channel);

/* Writes to such a peer, in clear, as far as it goes at once. */
void kv_channel_answer_plain(struct kv_channel *channel, struct kv_slice text);

/* Whom the peer's certificate names: its subject's common name; without one, the first DNS name,
 * e-mail address or URI of its alternative names. Returns: NULL where there is no certificate, or
 * it names nobody; valid as long as the channel lives. */
const char *kv_channel_certificate_name(const struct kv_channel *channel);

#endif
