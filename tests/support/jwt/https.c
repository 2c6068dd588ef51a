/* A thread serves one connection after the other. */
#include "support/jwt/https.h"

#include <arpa/inet.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "base/mem.h"

enum {
    PATIENCE_S = 60,
    DAY_S = 86400
};

struct kv_test_https {
    SSL_CTX *context;
    int listener;
    uint16_t port;
    pthread_t thread;
    pthread_mutex_t lock; /* for everything below */
    pthread_cond_t answered;
    char *answer;
    size_t n_requests;
};

/* ---- the certificate ---- */

static void add_extension(X509 *certificate, int id, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx(&context, certificate, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, id, value);
    assert_non_null(extension);
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
}

static X509 *make_certificate(EVP_PKEY *key)
{
    X509 *certificate = X509_new();
    X509_NAME *name = X509_get_subject_name(certificate);
    X509_set_version(certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -DAY_S);
    X509_gmtime_adj(X509_getm_notAfter(certificate), DAY_S);
    X509_set_pubkey(certificate, key);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"test", -1, -1, 0);
    X509_set_issuer_name(certificate, name);
    add_extension(certificate, NID_basic_constraints, "critical,CA:TRUE");
    add_extension(certificate, NID_subject_alt_name, "IP:127.0.0.1");
    assert_true(X509_sign(certificate, key, EVP_sha256()) > 0);
    return certificate;
}

static void use_certificate(SSL_CTX *context, const char *path)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = make_certificate(key);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(PEM_write_X509(file, certificate), 1);
    fclose(file);
    assert_int_equal(SSL_CTX_use_certificate(context, certificate), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(context, key), 1);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

/* ---- serving ---- */

static bool read_head(SSL *ssl)
{
    char head[4096];
    size_t len = 0;
    while (len < sizeof(head) - 1) {
        int n = SSL_read(ssl, head + len, (int)(sizeof(head) - 1 - len));
        if (n <= 0)
            return false;
        len += (size_t)n;
        head[len] = '\0';
        if (strstr(head, "\r\n\r\n") != NULL)
            return true;
    }
    return false;
}

static void answer(struct kv_test_https *https, SSL *ssl)
{
    pthread_mutex_lock(&https->lock);
    char *text = kv_strdup(https->answer);
    pthread_mutex_unlock(&https->lock);
    SSL_write(ssl, text, (int)strlen(text));
    SSL_shutdown(ssl);
    free(text);
    pthread_mutex_lock(&https->lock);
    https->n_requests++;
    pthread_cond_broadcast(&https->answered);
    pthread_mutex_unlock(&https->lock);
}

static void *serve(void *context)
{
    struct kv_test_https *https = context;
    int connection;
    sigset_t broken; /* clients that do not trust the certificate hang up during the handshake */
    sigemptyset(&broken);
    sigaddset(&broken, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &broken, NULL);
    while ((connection = accept(https->listener, NULL, NULL)) >= 0) {
        SSL *ssl = SSL_new(https->context);
        SSL_set_fd(ssl, connection);
        if (SSL_accept(ssl) == 1 && read_head(ssl))
            answer(https, ssl);
        SSL_free(ssl);
        close(connection);
    }
    return NULL;
}

static void listen_on_loopback(struct kv_test_https *https)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(address);
    https->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(https->listener, (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(https->listener, 16), 0);
    getsockname(https->listener, (struct sockaddr *)&address, &len);
    https->port = ntohs(address.sin_port);
}

struct kv_test_https *kv_test_https_start(const char *certificate_path)
{
    struct kv_test_https *https = kv_calloc(1, sizeof(*https));
    https->context = SSL_CTX_new(TLS_server_method());
    assert_non_null(https->context);
    use_certificate(https->context, certificate_path);
    pthread_mutex_init(&https->lock, NULL);
    pthread_cond_init(&https->answered, NULL);
    kv_test_https_answer_with(https, "503 Service Unavailable", "");
    listen_on_loopback(https);
    assert_int_equal(pthread_create(&https->thread, NULL, serve, https), 0);
    return https;
}

void kv_test_https_stop(struct kv_test_https *https)
{
    shutdown(https->listener, SHUT_RDWR);
    pthread_join(https->thread, NULL);
    close(https->listener);
    SSL_CTX_free(https->context);
    pthread_mutex_destroy(&https->lock);
    pthread_cond_destroy(&https->answered);
    free(https->answer);
    free(https);
}

uint16_t kv_test_https_port(const struct kv_test_https *https)
{
    return https->port;
}

/* Takes ownership of the text. */
static void set_answer(struct kv_test_https *https, struct kv_buffer *text)
{
    kv_buffer_append_char(text, '\0');
    pthread_mutex_lock(&https->lock);
    free(https->answer);
    https->answer = text->bytes;
    pthread_mutex_unlock(&https->lock);
}

void kv_test_https_answer(struct kv_test_https *https, const char *body)
{
    struct kv_buffer text = {0};
    kv_buffer_printf(&text, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%s",
                     strlen(body), body);
    set_answer(https, &text);
}

void kv_test_https_answer_with(struct kv_test_https *https, const char *status, const char *headers)
{
    struct kv_buffer text = {0};
    kv_buffer_printf(&text, "HTTP/1.1 %s\r\n%sContent-Length: 0\r\nConnection: close\r\n\r\n",
                     status, headers);
    set_answer(https, &text);
}

size_t kv_test_https_n_requests(struct kv_test_https *https)
{
    pthread_mutex_lock(&https->lock);
    size_t n = https->n_requests;
    pthread_mutex_unlock(&https->lock);
    return n;
}

void kv_test_https_await(struct kv_test_https *https, size_t n)
{
    struct timespec until;
    int result = 0;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_S;
    pthread_mutex_lock(&https->lock);
    while (https->n_requests <= n && result == 0)
        result = pthread_cond_timedwait(&https->answered, &https->lock, &until);
    pthread_mutex_unlock(&https->lock);
    assert_int_equal(result, 0);
}
