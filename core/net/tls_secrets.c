/*
 * OpenSSL has no function that returns the secrets, but reports them as lines of a key log, which
 * is never written here. Nor does it tell how many records it has sealed: a server sends session
 * tickets with the keys of the application, within the handshake, so the headers of its records are
 * counted from the moment that its secret is known. It opens no record with those keys before the
 * handshake is complete, and reads no further than the end of a record.
 */
#include "net/tls_secrets.h"

#include <openssl/crypto.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "net/tls_records.h"

struct kv_tls_secrets {
    struct kv_tls_secret client, server;
    uint64_t n_sealed; /* records, with that of the server */
};

static unsigned digit_of(char c)
{
    return (unsigned)(c <= '9' ? c - '0' : (c | 32) - 'a' + 10);
}

static void read_hex(struct kv_tls_secret *secret, const char *hex)
{
    size_t len = strlen(hex) / 2;
    if (len > sizeof(secret->bytes))
        return;
    for (size_t i = 0; i < len; i++)
        secret->bytes[i] = (unsigned char)(digit_of(hex[2 * i]) << 4 | digit_of(hex[2 * i + 1]));
    secret->len = len;
}

/* line: a label, the client's random bytes, and the secret, with a space between them. */
static void on_secret(const SSL *ssl, const char *line)
{
    static const char client[] = "CLIENT_TRAFFIC_SECRET_0 ", server[] = "SERVER_TRAFFIC_SECRET_0 ";
    struct kv_tls_secrets *secrets = SSL_get_app_data(ssl);
    const char *hex = strrchr(line, ' ');
    if (secrets == NULL || hex == NULL)
        return;
    if (strncmp(line, client, sizeof(client) - 1) == 0)
        read_hex(&secrets->client, hex + 1);
    else if (strncmp(line, server, sizeof(server) - 1) == 0)
        read_hex(&secrets->server, hex + 1);
}

static void on_message(int is_sent, int version, int type, const void *bytes, size_t len, SSL *ssl,
                       void *user)
{
    struct kv_tls_secrets *secrets = user;
    (void)version, (void)ssl;
    if (is_sent && type == SSL3_RT_HEADER && len != 0 && *(const char *)bytes == KV_TLS_TEXT &&
        secrets->server.len != 0)
        secrets->n_sealed++;
}

void kv_tls_secrets_prepare(SSL_CTX *context)
{
    SSL_CTX_set_keylog_callback(context, on_secret);
}

struct kv_tls_secrets *kv_tls_secrets_watch(SSL *ssl)
{
    struct kv_tls_secrets *secrets = kv_calloc(1, sizeof(*secrets));
    SSL_set_app_data(ssl, secrets);
    SSL_set_msg_callback(ssl, on_message);
    SSL_set_msg_callback_arg(ssl, secrets);
    return secrets;
}

void kv_tls_secrets_destroy(struct kv_tls_secrets *secrets, SSL *ssl)
{
    if (secrets == NULL)
        return;
    SSL_set_app_data(ssl, NULL);
    SSL_set_msg_callback(ssl, NULL);
    OPENSSL_cleanse(secrets, sizeof(*secrets));
    free(secrets);
}

/* The client has asked for short records (RFC 6066, section 4). */
static bool has_short_records(const SSL *ssl)
{
    const SSL_SESSION *session = SSL_get0_session(ssl);
    return SSL_SESSION_get_max_fragment_length(session) != TLSEXT_max_fragment_length_DISABLED;
}

struct kv_tls_records *kv_tls_secrets_take_over(const struct kv_tls_secrets *secrets,
                                                const SSL *ssl)
{
    if (SSL_version(ssl) != TLS1_3_VERSION || SSL_has_pending(ssl) != 0 || has_short_records(ssl))
        return NULL;
    return kv_tls_records_create(SSL_CIPHER_get_protocol_id(SSL_get_current_cipher(ssl)),
                                 &secrets->client, &secrets->server, secrets->n_sealed);
}
