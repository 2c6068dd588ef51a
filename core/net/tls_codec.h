/*
 * The encryption of one connection, on the side of the server: text becomes records, and records
 * become text. It knows no sockets: the caller has it take the bytes that have arrived, and sends
 * the records that it appends to a buffer.
 *
 * Threads: a codec belongs to its connection's loop.
 */
#ifndef KV_NET_TLS_CODEC_H
#define KV_NET_TLS_CODEC_H

#include "net/tls.h"
#include "net/tls_input.h"

struct ssl_st;
struct st_h2o_buffer_t;
struct kv_tls_secrets;

/* The caller's memory. */
struct kv_tls_codec {
    struct kv_buffer *out;          /* lent: for the records to send */
    struct kv_tls_bytes arrived;    /* to be decrypted */
    struct ssl_st *ssl;             /* NULL: `records` has taken over */
    size_t n_read;                  /* by it, since the handshake or the last text */
    size_t announced;               /* length of the client's first message; 0: not known */
    struct kv_tls_secrets *secrets; /* during the handshake */
    struct kv_tls_records *records;
    struct kv_tls_input input; /* for `records` */
    char *peer;                /* the name in the peer's certificate; NULL: none */
    int64_t peer_ends_s;       /* when this certificate expires, since 1970 */
    bool has_said_end;         /* close_notify has been appended */
};

enum kv_tls_progress {
    KV_TLS_WAITS_FOR_PEER,
    KV_TLS_IS_DONE,
    KV_TLS_HAS_FAILED, /* there may be an alert to send */
};

/* Begins as a handshake. out: lent while it lives; not with the records of another connection when
 * a function below is called. */
void kv_tls_codec_init(struct kv_tls_codec *codec, struct kv_tls *tls, struct kv_buffer *out);
void kv_tls_codec_fini(struct kv_tls_codec *codec);

/* The memory that it uses, approximately, without that for a partial record. */
size_t kv_tls_codec_memory(const struct kv_tls_codec *codec);

/* The bytes that have arrived of a record whose rest has not; or of a handshake, if the rest of a
 * message has not arrived, or its messages are long. *ret_memory: used for them, approximately. */
size_t kv_tls_codec_partial(const struct kv_tls_codec *codec, size_t *ret_memory);

/* Bytes have arrived: lent, to be decrypted in place, until the functions below have taken them. */
static inline void kv_tls_codec_feed(struct kv_tls_codec *codec, struct kv_tls_bytes arrived)
{
    codec->arrived = arrived;
}

/* Continues the handshake with what has arrived, of which text may remain. */
enum kv_tls_progress kv_tls_codec_shake_hands(struct kv_tls_codec *codec);

/* Adds the text of all that has arrived to `input`. Returns: IS_DONE if the peer sends no more. */
enum kv_tls_progress kv_tls_codec_decrypt(struct kv_tls_codec *codec,
                                          struct st_h2o_buffer_t **input);

/* Appends a record with that text, which is not empty, and at most KV_TLS_MOST_TEXT bytes long.
 * Returns: -1 if that fails. */
int kv_tls_codec_encrypt(struct kv_tls_codec *codec, struct kv_slice text);

/* Appends close_notify, the first time. Returns: -1 if there is nothing to send. */
int kv_tls_codec_end(struct kv_tls_codec *codec);

#endif
