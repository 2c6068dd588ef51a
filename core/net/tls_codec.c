/*
 * Handshakes are OpenSSL's, and so is everything of TLS 1.2. After a handshake of TLS 1.3, the
 * `SSL`, of which an idle connection would use most of its memory, is freed: the records that
 * follow need two ciphers only (tls_records.h, tls_input.h).
 *
 * OpenSSL reads the bytes that have arrived until it has taken them all, and writes to the buffer
 * for output: so it never waits for a socket, and holds nothing that the caller does not know of.
 */
#include "net/tls_codec.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdlib.h>

#include "loop/evloop.h"
#include "net/intake.h"
#include "net/tls_name.h"
#include "net/tls_secrets.h"

enum {
    MEMORY_OF_SSL = 14 << 10,       /* of an idle connection, approximately */
    MEMORY_OF_RECORDS = 3 << 10,    /* likewise, after a handshake of TLS 1.3 */
    MEMORY_OF_PARTIAL = 17 << 10,   /* OpenSSL's, for a record of any length */
    MEMORY_OF_HANDSHAKE = 40 << 10, /* likewise, once it has begun */
    MEMORY_OF_MESSAGE = 132 << 10,  /* of a handshake: the longest */
    LEAST_LONG = 16 << 10,          /* bytes of messages that are counted */
    MESSAGE_HEADER = 4,             /* bytes: the type of a message, and its length */
};

/* The levels of alerts, which receivers ignore (RFC 8446, section 6). */
enum {
    WARNING = 1,
    FATAL = 2,
};

/* ---- OpenSSL's input and output ---- */

static int bio_read(BIO *bio, char *bytes, int len)
{
    struct kv_tls_codec *codec = BIO_get_data(bio);
    struct kv_tls_bytes *arrived = &codec->arrived;
    size_t n = arrived->len < (size_t)len ? arrived->len : (size_t)len;
    BIO_clear_retry_flags(bio);
    if (n == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    memcpy(bytes, arrived->bytes, n);
    *arrived = (struct kv_tls_bytes){arrived->bytes + n, arrived->len - n};
    codec->n_read += n;
    return (int)n;
}

static int bio_write(BIO *bio, const char *bytes, int len)
{
    struct kv_tls_codec *codec = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    kv_buffer_append(codec->out, (struct kv_slice){bytes, (size_t)len});
    return len;
}

static long bio_control(BIO *bio, int what, long number, void *pointer)
{
    (void)bio, (void)number, (void)pointer;
    return what == BIO_CTRL_FLUSH;
}

static BIO_METHOD *method;

static void create_method(void)
{
    method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "codec");
    if (method == NULL)
        abort(); /* out of memory, as everywhere */
    BIO_meth_set_read(method, bio_read);
    BIO_meth_set_write(method, bio_write);
    BIO_meth_set_ctrl(method, bio_control);
}

static SSL *create_ssl(struct kv_tls_codec *codec, struct kv_tls *tls)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, create_method);
    SSL_CTX *context = kv_tls_fetch(tls);
    SSL *ssl = SSL_new(context);
    BIO *bio = BIO_new(method);
    SSL_CTX_free(context);
    if (ssl == NULL || bio == NULL)
        abort(); /* out of memory, as everywhere */
    BIO_set_data(bio, codec);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio);
    SSL_set_accept_state(ssl);
    return ssl;
}

/* ---- handshakes ---- */

void kv_tls_codec_init(struct kv_tls_codec *codec, struct kv_tls *tls, struct kv_buffer *out)
{
    *codec = (struct kv_tls_codec){.out = out};
    codec->ssl = create_ssl(codec, tls);
    codec->secrets = kv_tls_secrets_watch(codec->ssl);
}

static void free_ssl(struct kv_tls_codec *codec)
{
    SSL_free(codec->ssl);
    codec->ssl = NULL;
}

void kv_tls_codec_fini(struct kv_tls_codec *codec)
{
    kv_tls_secrets_destroy(codec->secrets, codec->ssl);
    free_ssl(codec);
    kv_tls_records_destroy(codec->records);
    kv_tls_input_fini(&codec->input);
    free(codec->peer);
}

size_t kv_tls_codec_memory(const struct kv_tls_codec *codec)
{
    if (codec->secrets != NULL && codec->n_read != 0)
        return MEMORY_OF_HANDSHAKE;
    return codec->ssl != NULL ? MEMORY_OF_SSL : MEMORY_OF_RECORDS;
}

/* OpenSSL has read the announced length of a message, and has reserved memory for all of it. Other
 * messages of clients are short. */
static bool awaits_message(const SSL *ssl)
{
    OSSL_HANDSHAKE_STATE state = SSL_get_state(ssl);
    return state == TLS_ST_SR_CLNT_HELLO || state == TLS_ST_SR_CERT;
}

/* The length of the message that is awaited; the longest, if the client's first bytes do not tell.
 */
static size_t awaited(const struct kv_tls_codec *codec)
{
    bool is_first = codec->n_read < codec->announced;
    return is_first && codec->announced < MEMORY_OF_MESSAGE ? codec->announced : MEMORY_OF_MESSAGE;
}

/* The messages stay in memory until the handshake is complete. */
static size_t partial_handshake(const struct kv_tls_codec *codec, size_t *ret_memory)
{
    bool is_partial = awaits_message(codec->ssl);
    *ret_memory = 0;
    if (!is_partial && codec->n_read < LEAST_LONG)
        return 0;
    *ret_memory = is_partial ? awaited(codec) : codec->n_read;
    return codec->n_read;
}

/* OpenSSL reads a header, then the rest of that record, and nothing beyond it. So it has a partial
 * header (pending), or waits for what follows a header ("RB": reading a body). */
static bool has_partial(SSL *ssl)
{
    return SSL_has_pending(ssl) || strcmp(SSL_rstate_string(ssl), "RB") == 0;
}

size_t kv_tls_codec_partial(const struct kv_tls_codec *codec, size_t *ret_memory)
{
    if (codec->secrets != NULL)
        return partial_handshake(codec, ret_memory);
    if (codec->ssl == NULL) {
        *ret_memory = codec->input.partial.capacity;
        return codec->input.partial.len;
    }
    bool is_partial = has_partial(codec->ssl);
    *ret_memory = is_partial ? MEMORY_OF_PARTIAL : 0;
    return is_partial ? codec->n_read : 0;
}

/* The handshake is complete: from now on, OpenSSL is used only if it has to be. */
static void begin_text(struct kv_tls_codec *codec)
{
    codec->peer = kv_tls_name_of(codec->ssl);
    codec->peer_ends_s = kv_tls_end_of(codec->ssl);
    codec->records = kv_tls_secrets_take_over(codec->secrets, codec->ssl);
    kv_tls_secrets_destroy(codec->secrets, codec->ssl);
    codec->secrets = NULL;
    codec->n_read = 0;
    if (codec->records != NULL)
        free_ssl(codec);
}

/* A client begins with a record, of a message, with its length (RFC 8446, sections 4 and 5.1).
 * Returns: the length of all of it; 0 if the bytes do not tell. */
static size_t announced_by(const struct kv_tls_bytes *bytes)
{
    const unsigned char *at = (const unsigned char *)bytes->bytes + KV_TLS_HEADER;
    if (bytes->len < KV_TLS_HEADER + MESSAGE_HEADER || (at[-2] << 8 | at[-1]) < MESSAGE_HEADER)
        return 0;
    return KV_TLS_HEADER + MESSAGE_HEADER + ((size_t)at[1] << 16 | (size_t)at[2] << 8 | at[3]);
}

enum kv_tls_progress kv_tls_codec_shake_hands(struct kv_tls_codec *codec)
{
    if (codec->n_read == 0)
        codec->announced = announced_by(&codec->arrived);
    ERR_clear_error();
    int result = SSL_do_handshake(codec->ssl);
    if (result == 1) {
        begin_text(codec);
        return KV_TLS_IS_DONE;
    }
    return SSL_get_error(codec->ssl, result) == SSL_ERROR_WANT_READ ? KV_TLS_WAITS_FOR_PEER
                                                                    : KV_TLS_HAS_FAILED;
}

/* ---- text, by OpenSSL ---- */

static enum kv_tls_progress read_by_openssl(struct kv_tls_codec *codec, h2o_buffer_t **input)
{
    int got;
    ERR_clear_error();
    do {
        size_t room;
        char *to = kv_intake_reserve(input, &room);
        if (to == NULL)
            return KV_TLS_HAS_FAILED;
        got = SSL_read(codec->ssl, to, room < INT_MAX ? (int)room : INT_MAX);
        if (got > 0) {
            (*input)->size += (size_t)got;
            codec->n_read = 0;
        }
    } while (got > 0);
    int error = SSL_get_error(codec->ssl, got);
    if (error == SSL_ERROR_ZERO_RETURN)
        return KV_TLS_IS_DONE;
    return error == SSL_ERROR_WANT_READ ? KV_TLS_WAITS_FOR_PEER : KV_TLS_HAS_FAILED;
}

static int write_by_openssl(struct kv_tls_codec *codec, struct kv_slice text)
{
    ERR_clear_error();
    return SSL_write(codec->ssl, text.bytes, (int)text.len) > 0 ? 0 : -1;
}

static int end_by_openssl(struct kv_tls_codec *codec)
{
    ERR_clear_error();
    return SSL_shutdown(codec->ssl) >= 0 ? 0 : -1;
}

/* ---- text, by records ---- */

/* Returns: -1 if there is no memory. */
static int add_text(h2o_buffer_t **input, struct kv_slice text)
{
    while (text.len != 0) {
        size_t room;
        char *to = kv_intake_reserve(input, &room);
        if (to == NULL)
            return -1;
        size_t n = text.len < room ? text.len : room;
        memcpy(to, text.bytes, n);
        (*input)->size += n;
        text = (struct kv_slice){text.bytes + n, text.len - n};
    }
    return 0;
}

/* A KeyUpdate that the peer has asked for, however often, must precede the next text (RFC 8446,
 * section 4.6.3). It comes with that text, and not earlier, so that no record of the server's own
 * waits for a peer that does not read, and keeps close_notify from being sent. */
static int write_by_records(struct kv_tls_codec *codec, struct kv_slice text)
{
    if (codec->input.owes_update && kv_tls_records_renew_own(codec->records, codec->out) != 0)
        return -1;
    codec->input.owes_update = false;
    return kv_tls_records_seal(codec->records, KV_TLS_TEXT, text, codec->out);
}

static int send_alert(struct kv_tls_codec *codec, char level, uint8_t alert)
{
    const char text[] = {level, (char)alert};
    return kv_tls_records_seal(codec->records, KV_TLS_ALERT, (struct kv_slice){text, sizeof(text)},
                               codec->out);
}

static enum kv_tls_progress read_records(struct kv_tls_codec *codec, h2o_buffer_t **input)
{
    enum kv_tls_came came;
    struct kv_slice text;
    kv_tls_input_begin(&codec->input);
    while ((came = kv_tls_input_next(&codec->input, codec->records, &codec->arrived, &text)) ==
           KV_TLS_CAME_TEXT)
        if (add_text(input, text) != 0)
            return KV_TLS_HAS_FAILED;
    if (came == KV_TLS_CAME_BROKEN) {
        if (codec->input.alert != 0 && !codec->has_said_end)
            send_alert(codec, FATAL, codec->input.alert);
        return KV_TLS_HAS_FAILED;
    }
    return came == KV_TLS_CAME_END ? KV_TLS_IS_DONE : KV_TLS_WAITS_FOR_PEER;
}

/* ---- text ---- */

enum kv_tls_progress kv_tls_codec_decrypt(struct kv_tls_codec *codec, h2o_buffer_t **input)
{
    return codec->records != NULL ? read_records(codec, input) : read_by_openssl(codec, input);
}

int kv_tls_codec_encrypt(struct kv_tls_codec *codec, struct kv_slice text)
{
    return codec->records != NULL ? write_by_records(codec, text) : write_by_openssl(codec, text);
}

int kv_tls_codec_end(struct kv_tls_codec *codec)
{
    if (codec->has_said_end)
        return -1;
    codec->has_said_end = true;
    return codec->records != NULL ? send_alert(codec, WARNING, KV_TLS_CLOSE_NOTIFY)
                                  : end_by_openssl(codec);
}
