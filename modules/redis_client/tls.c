#include "tls.h"

#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdlib.h>

struct tls {
    SSL_CTX *context;
    SSL *ssl;
};

/* The reason for the failure of the last call of the library. */
static const char *reason(void)
{
    const char *text = ERR_reason_error_string(ERR_peek_last_error());
    ERR_clear_error();
    return text == NULL ? "it failed" : text;
}

static int fail_at(struct kv_slice path, struct kv_error *reterr)
{
    return kv_error_set(reterr, "%s: %s", path.bytes, reason());
}

/* Replaces OpenSSL's function, which asks at the terminal. Returns: the length of an empty
 * passphrase. */
static int note_passphrase(char *text, int size, int is_for_writing, void *is_encrypted)
{
    (void)text;
    (void)size;
    (void)is_for_writing;
    *(bool *)is_encrypted = true;
    return 0;
}

/* Loads the client's own certificate and key. */
static int read_certificate(SSL_CTX *context, const struct tls_settings *settings,
                            const bool *is_encrypted, struct kv_error *reterr)
{
    if (SSL_CTX_use_certificate_chain_file(context, settings->cert.bytes) != 1)
        return fail_at(settings->cert, reterr);
    if (SSL_CTX_use_PrivateKey_file(context, settings->key.bytes, SSL_FILETYPE_PEM) == 1)
        return 0;
    if (!*is_encrypted)
        return fail_at(settings->key, reterr);
    ERR_clear_error();
    return kv_error_set(reterr,
                        "%s: it is encrypted, and there is nobody to ask for the passphrase; write "
                        "it without one (openssl pkey)",
                        settings->key.bytes);
}

static int read_files(SSL_CTX *context, const struct tls_settings *settings,
                      struct kv_error *reterr)
{
    bool is_encrypted = false;
    if (SSL_CTX_load_verify_file(context, settings->ca.bytes) != 1)
        return fail_at(settings->ca, reterr);
    if (settings->cert.len == 0)
        return 0;
    SSL_CTX_set_default_passwd_cb(context, note_passphrase);
    SSL_CTX_set_default_passwd_cb_userdata(context, &is_encrypted);
    int result = read_certificate(context, settings, &is_encrypted, reterr);
    SSL_CTX_set_default_passwd_cb_userdata(context, NULL);
    return result;
}

static bool expect_name(SSL *ssl, struct kv_slice name)
{
    X509_VERIFY_PARAM *rules = SSL_get0_param(ssl);
    if (X509_VERIFY_PARAM_set1_ip_asc(rules, name.bytes) == 1)
        return true;
    ERR_clear_error(); /* it is not an address */
    X509_VERIFY_PARAM_set_hostflags(rules, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set1_host(ssl, name.bytes) == 1 && SSL_set_tlsext_host_name(ssl, name.bytes) == 1;
}

static int set_up(struct tls *tls, const struct tls_settings *settings, int fd,
                  struct kv_error *reterr)
{
    tls->context = SSL_CTX_new(TLS_client_method());
    if (tls->context == NULL)
        return kv_error_set(reterr, "no memory");
    SSL_CTX_set_min_proto_version(tls->context, TLS1_2_VERSION);
    SSL_CTX_set_options(tls->context, SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_mode(tls->context, SSL_MODE_ENABLE_PARTIAL_WRITE |
                                       SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                       SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_verify(tls->context, SSL_VERIFY_PEER, NULL);
    if (read_files(tls->context, settings, reterr) != 0)
        return -1;
    tls->ssl = SSL_new(tls->context);
    if (tls->ssl == NULL || SSL_set_fd(tls->ssl, fd) != 1 || !expect_name(tls->ssl, settings->name))
        return kv_error_set(reterr, "no memory");
    SSL_set_connect_state(tls->ssl);
    return 0;
}

struct tls *tls_create(const struct tls_settings *settings, int fd, struct kv_error *reterr)
{
    struct tls *tls = calloc(1, sizeof(*tls));
    if (tls == NULL) {
        kv_error_set(reterr, "no memory");
        return NULL;
    }
    if (set_up(tls, settings, fd, reterr) == 0)
        return tls;
    tls_destroy(tls);
    return NULL;
}

void tls_destroy(struct tls *tls)
{
    if (tls == NULL)
        return;
    if (tls->ssl != NULL && SSL_is_init_finished(tls->ssl))
        SSL_shutdown(tls->ssl);
    ERR_clear_error();
    SSL_free(tls->ssl);
    SSL_CTX_free(tls->context);
    free(tls);
}

static int fail_to_shake(const struct tls *tls, int error, struct kv_error *reterr)
{
    long verdict = SSL_get_verify_result(tls->ssl);
    if (verdict != X509_V_OK)
        return kv_error_set(reterr, "its certificate: %s", X509_verify_cert_error_string(verdict));
    if (error == SSL_ERROR_SYSCALL || error == SSL_ERROR_ZERO_RETURN)
        return kv_error_set(reterr, "it closed the connection during the TLS handshake");
    return kv_error_set(reterr, "TLS: %s", reason());
}

int tls_shake(struct tls *tls, short *ret_events, struct kv_error *reterr)
{
    ERR_clear_error();
    int result = SSL_do_handshake(tls->ssl);
    if (result == 1)
        return 1;
    int error = SSL_get_error(tls->ssl, result);
    if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE)
        return fail_to_shake(tls, error, reterr);
    *ret_events = error == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT;
    return 0;
}

/* result: of a call that sent or received, and is not positive. */
static ssize_t end(const struct tls *tls, int result)
{
    int error = SSL_get_error(tls->ssl, result);
    int fault = errno;
    ERR_clear_error();
    if (error == SSL_ERROR_ZERO_RETURN)
        return 0;
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
        errno = EAGAIN;
    else /* a missing close_notify is harmless: RESP shows whether a message is complete */
        errno = error == SSL_ERROR_SYSCALL && fault != 0 && fault != EAGAIN ? fault : ECONNRESET;
    return -1;
}

static int at_once(size_t n)
{
    return n < INT_MAX ? (int)n : INT_MAX;
}

ssize_t tls_send(struct tls *tls, const char *bytes, size_t n)
{
    ERR_clear_error();
    errno = 0;
    int sent = SSL_write(tls->ssl, bytes, at_once(n));
    return sent > 0 ? sent : end(tls, sent);
}

ssize_t tls_receive(struct tls *tls, char *bytes, size_t n)
{
    ERR_clear_error();
    errno = 0;
    int received = SSL_read(tls->ssl, bytes, at_once(n));
    return received > 0 ? received : end(tls, received);
}

bool tls_has_more(const struct tls *tls)
{
    return SSL_pending(tls->ssl) > 0;
}
