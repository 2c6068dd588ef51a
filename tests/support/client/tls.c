/* Handshakes block, as the server answers them at once; the traffic after them does not. */
#include "support/client/tls.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "support/client/records.h"

enum {
    PIECE = 16 << 10,
    MOST_REST = 1 << 20, /* taken of what the server has sent and the test has not read */
    LIMIT_S = KV_TEST_LIMIT_MS / 1000,
};

struct kv_test_tls {
    SSL_CTX *context;
    SSL *ssl;
    char server[64];
    struct kv_test_records records; /* of the server */
};

/* ---- nothing is in clear ---- */

static enum kv_test_keys keys_of(const struct kv_test_tls *tls)
{
    if (!SSL_is_init_finished(tls->ssl))
        return KV_TEST_NO_KEYS;
    return SSL_version(tls->ssl) == TLS1_3_VERSION ? KV_TEST_KEYS_1_3 : KV_TEST_KEYS_1_2;
}

/* The library reads a record's header before its content, so the keys are those of the record. */
static long on_operation(BIO *bio, int operation, const char *bytes, size_t len, int number,
                         long argument, int result, size_t *processed)
{
    (void)len;
    (void)number;
    (void)argument;
    struct kv_test_tls *tls = (struct kv_test_tls *)BIO_get_callback_arg(bio);
    if (operation == (BIO_CB_READ | BIO_CB_RETURN) && result > 0)
        kv_test_records_add(&tls->records, (struct kv_slice){bytes, *processed}, keys_of(tls));
    return result;
}

static void watch_records(struct kv_test_tls *tls)
{
    BIO *bio = SSL_get_rbio(tls->ssl);
    BIO_set_callback_ex(bio, on_operation);
    BIO_set_callback_arg(bio, (char *)tls);
}

static void expect_nothing_in_clear(const struct kv_test_tls *tls)
{
    if (tls->records.has_fault)
        fail_msg("the server has sent something in clear, or that is no record, after %zu records",
                 tls->records.n);
}

/* Also of what the test has not read. */
static void check_rest(struct kv_test_tls *tls)
{
    static _Thread_local char piece[PIECE];
    size_t rest = 0;
    ssize_t n;
    while (rest < MOST_REST &&
           (n = recv(SSL_get_fd(tls->ssl), piece, sizeof(piece), MSG_DONTWAIT)) > 0) {
        kv_test_records_add(&tls->records, (struct kv_slice){piece, (size_t)n}, keys_of(tls));
        rest += (size_t)n;
    }
    expect_nothing_in_clear(tls);
}

/* ---- handshakes ---- */

static SSL_CTX *create_context(const struct kv_test_tls_options *options)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    assert_non_null(context);
    SSL_CTX_set_security_level(context, 0); /* let the server refuse old versions */
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    if (options->version != 0) {
        SSL_CTX_set_min_proto_version(context, options->version);
        SSL_CTX_set_max_proto_version(context, options->version);
    }
    if (options->ciphers != NULL)
        SSL_CTX_set_cipher_list(context, options->ciphers);
    if (options->suites != NULL)
        SSL_CTX_set_ciphersuites(context, options->suites);
    if (options->ca != NULL) {
        assert_int_equal(SSL_CTX_load_verify_file(context, options->ca), 1);
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    }
    if (options->identity != NULL) {
        assert_int_equal(SSL_CTX_use_certificate_chain_file(context, options->identity), 1);
        assert_int_equal(SSL_CTX_use_PrivateKey_file(context, options->identity, SSL_FILETYPE_PEM),
                         1);
    }
    return context;
}

static SSL *create_ssl(SSL_CTX *context, int fd, const struct kv_test_tls_options *options)
{
    SSL *ssl = SSL_new(context);
    assert_non_null(ssl);
    SSL_set_fd(ssl, fd);
    if (options->name != NULL) {
        SSL_set_tlsext_host_name(ssl, options->name);
        if (options->ca != NULL)
            SSL_set1_host(ssl, options->name);
    }
    if (options->protocols != NULL)
        SSL_set_alpn_protos(ssl, (const unsigned char *)options->protocols,
                            (unsigned)strlen(options->protocols));
    if (options->session != NULL)
        SSL_set_session(ssl, options->session);
    if (options->fragment != 0)
        assert_int_equal(SSL_set_tlsext_max_fragment_length(ssl, options->fragment), 1);
    return ssl;
}

static void note_server(struct kv_test_tls *tls)
{
    X509 *certificate = SSL_get0_peer_certificate(tls->ssl);
    if (certificate != NULL)
        X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, tls->server,
                                  sizeof(tls->server));
}

bool kv_test_tls_connect(struct kv_test_stream *stream, const struct kv_test_tls_options *options)
{
    const struct timeval limit = {.tv_sec = LIMIT_S};
    struct kv_test_tls *tls = kv_calloc(1, sizeof(*tls));
    signal(SIGPIPE, SIG_IGN); /* the library uses write() */
    setsockopt(stream->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    tls->context = create_context(options);
    tls->ssl = create_ssl(tls->context, stream->fd, options);
    watch_records(tls);
    if (SSL_connect(tls->ssl) != 1) {
        ERR_clear_error();
        kv_test_tls_free(tls);
        return false;
    }
    note_server(tls);
    fcntl(stream->fd, F_SETFL, fcntl(stream->fd, F_GETFL) | O_NONBLOCK);
    stream->tls = tls;
    return true;
}

const char *kv_test_tls_version(const struct kv_test_stream *stream)
{
    return SSL_get_version(stream->tls->ssl);
}

const char *kv_test_tls_protocol(const struct kv_test_stream *stream)
{
    static char name[64];
    const unsigned char *chosen;
    unsigned len;
    SSL_get0_alpn_selected(stream->tls->ssl, &chosen, &len);
    snprintf(name, sizeof(name), "%.*s", (int)len, chosen == NULL ? "" : (const char *)chosen);
    return name;
}

const char *kv_test_tls_server(const struct kv_test_stream *stream)
{
    return stream->tls->server;
}

bool kv_test_tls_is_resumed(const struct kv_test_stream *stream)
{
    return SSL_session_reused(stream->tls->ssl) == 1;
}

bool kv_test_tls_has_closed(const struct kv_test_stream *stream)
{
    return (SSL_get_shutdown(stream->tls->ssl) & SSL_RECEIVED_SHUTDOWN) != 0;
}

SSL_SESSION *kv_test_tls_session(const struct kv_test_stream *stream)
{
    return SSL_get1_session(stream->tls->ssl);
}

void kv_test_tls_update_keys(struct kv_test_stream *stream)
{
    assert_int_equal(SSL_key_update(stream->tls->ssl, SSL_KEY_UPDATE_REQUESTED), 1);
    SSL_do_handshake(stream->tls->ssl);
}

void kv_test_tls_update_key(struct kv_test_stream *stream)
{
    assert_int_equal(SSL_key_update(stream->tls->ssl, SSL_KEY_UPDATE_NOT_REQUESTED), 1);
    SSL_do_handshake(stream->tls->ssl);
}

/* ---- traffic ---- */

/* Returns: like the system calls. */
static ssize_t result_of(struct kv_test_tls *tls, int result)
{
    int error = SSL_get_error(tls->ssl, result);
    ERR_clear_error();
    if (error == SSL_ERROR_ZERO_RETURN)
        return 0;
    bool waits = error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
    errno = waits ? EAGAIN : ECONNRESET;
    return -1;
}

/* Reads everything available, as OpenSSL may hold data that poll() no longer reports. */
ssize_t kv_test_tls_receive(struct kv_test_tls *tls, struct kv_buffer *in)
{
    ssize_t n = 0;
    for (;;) {
        int got = SSL_read(tls->ssl, kv_buffer_reserve(in, PIECE), PIECE);
        expect_nothing_in_clear(tls);
        if (got <= 0)
            return n > 0 ? n : result_of(tls, got);
        in->len += (size_t)got;
        n += got;
    }
}

ssize_t kv_test_tls_send(struct kv_test_tls *tls, const char *bytes, size_t len)
{
    int sent = SSL_write(tls->ssl, bytes, len > INT32_MAX ? INT32_MAX : (int)len);
    return sent > 0 ? sent : result_of(tls, sent);
}

void kv_test_tls_free(struct kv_test_tls *tls)
{
    if (tls == NULL)
        return;
    check_rest(tls);
    SSL_set_shutdown(tls->ssl, SSL_SENT_SHUTDOWN); /* otherwise the session could not be resumed */
    SSL_free(tls->ssl);
    SSL_CTX_free(tls->context);
    free(tls);
}

bool kv_test_tls_is_wanted(void)
{
    return getenv("KV_TEST_TLS") != NULL;
}

/* ---- certificates ---- */

static char own_file[64];

static void remove_own_file(void)
{
    unlink(own_file);
}

const char *kv_test_tls_file(void)
{
    if (own_file[0] == '\0') {
        snprintf(own_file, sizeof(own_file), "/tmp/kv-test-tls-%d.pem", (int)getpid());
        kv_test_certificate_write(own_file, "localhost", NULL, 1);
        atexit(remove_own_file);
    }
    return own_file;
}

static void add_extension(X509 *certificate, int kind, const char *text)
{
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, kind, text);
    assert_non_null(extension);
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
}

static X509 *create_certificate(EVP_PKEY *key, const char *name, bool may_sign, long seconds)
{
    static long serial = 1;
    char names[128];
    X509 *certificate = X509_new();
    X509_set_version(certificate, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), getpid() * 1000L + serial++);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -2 * 86400L);
    X509_gmtime_adj(X509_getm_notAfter(certificate), seconds);
    X509_set_pubkey(certificate, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_UTF8,
                               (const unsigned char *)name, -1, -1, 0);
    snprintf(names, sizeof(names), "DNS:%s", name);
    add_extension(certificate, NID_subject_alt_name, names);
    add_extension(certificate, NID_basic_constraints, may_sign ? "critical,CA:TRUE" : "CA:FALSE");
    return certificate;
}

static void sign(X509 *certificate, EVP_PKEY *own_key, const char *issuer)
{
    if (issuer == NULL) {
        X509_set_issuer_name(certificate, X509_get_subject_name(certificate));
        assert_true(X509_sign(certificate, own_key, EVP_sha256()) > 0);
        return;
    }
    FILE *file = fopen(issuer, "re");
    assert_non_null(file);
    X509 *signer = PEM_read_X509(file, NULL, NULL, NULL);
    rewind(file);
    EVP_PKEY *key = PEM_read_PrivateKey(file, NULL, NULL, NULL);
    fclose(file);
    assert_true(signer != NULL && key != NULL);
    X509_set_issuer_name(certificate, X509_get_subject_name(signer));
    assert_true(X509_sign(certificate, key, EVP_sha256()) > 0);
    X509_free(signer);
    EVP_PKEY_free(key);
}

/* Writes another file and renames it, so that a watcher never sees a partial file. */
void kv_test_certificate_write_for(const char *path, const char *name, const char *issuer,
                                   long seconds)
{
    char new_path[512];
    EVP_PKEY *key = EVP_EC_gen("P-256");
    assert_non_null(key);
    X509 *certificate = create_certificate(key, name, issuer == NULL, seconds);
    sign(certificate, key, issuer);
    snprintf(new_path, sizeof(new_path), "%s.new", path);
    FILE *file = fopen(new_path, "we");
    assert_non_null(file);
    fchmod(fileno(file), 0600);
    assert_int_equal(PEM_write_X509(file, certificate), 1);
    assert_int_equal(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL), 1);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(rename(new_path, path), 0);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

void kv_test_certificate_write(const char *path, const char *name, const char *issuer, int days)
{
    kv_test_certificate_write_for(path, name, issuer, days * 86400L);
}
