/*
 * An OpenSSL context for each certificate. A handshake begins with the first, which selects one of
 * the others by the name that the client requests (SNI). Common settings are applied to all of
 * them.
 *
 * Sessions are resumed by tickets, whose keys a context generates: so new files, and every twelve
 * hours, mean new keys, and a ticket never outlives the settings under which it was issued. Nor
 * does it outlive the client's certificate.
 */
#include "net/tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "net/tls_secrets.h"

enum {
    KEYS_LIVE_MS = 12 * 3600 * 1000,
    SESSION_ID_BYTES = 16,
};

/* TLS 1.2: only forward secrecy and authenticated encryption, as in TLS 1.3. */
static const char CIPHERS[] = "ECDHE+AESGCM:ECDHE+CHACHA20";

/* Identifies a version of a file. */
struct stamp {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec written;
};

/* The contents of the files. */
struct contexts {
    size_t n;
    int64_t ends_at;
    size_t ends_first;
    SSL_CTX *all[];
};

struct kv_tls {
    const struct kv_tls_config *config;
    pthread_mutex_t lock;
    SSL_CTX *current; /* the first context, which owns the others */
    struct stamp *stamps;
    size_t n_stamps;
    int64_t read_ms;
    _Atomic int64_t ends_at;
    size_t ends_first;
};

/* ---- faults ---- */

static int fail(struct kv_tls_fault *ret_fault, enum kv_tls_file file, size_t i, const char *path,
                const char *why)
{
    ret_fault->file = file;
    ret_fault->certificate = i;
    ERR_clear_error();
    return kv_error_set(&ret_fault->error, "%s: %s", path, why);
}

/* The error of the last call of the library. */
static const char *library_says(void)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    return reason == NULL ? "it cannot be read" : reason;
}

/* ---- files ---- */

/* Owns: the caller, by fclose(). Returns: NULL and *ret_fault. */
static FILE *open_file(struct kv_tls_fault *ret_fault, enum kv_tls_file file, size_t i,
                       const char *path)
{
    struct stat status;
    FILE *opened = fopen(path, "re");
    if (opened == NULL) {
        fail(ret_fault, file, i, path, strerror(errno));
    } else if (fstat(fileno(opened), &status) != 0 || S_ISDIR(status.st_mode)) {
        fail(ret_fault, file, i, path, "it is a folder");
        fclose(opened);
        opened = NULL;
    }
    return opened;
}

static int add_to_chain(SSL_CTX *context, X509 *certificate, bool is_first)
{
    if (is_first)
        return SSL_CTX_use_certificate(context, certificate);
    return SSL_CTX_add1_chain_cert(context, certificate);
}

/* Returns: the number of certificates; -1 if one is malformed, or cannot be used. */
static int read_chain(SSL_CTX *context, FILE *file)
{
    X509 *certificate;
    int n = 0;
    while ((certificate = PEM_read_X509(file, NULL, NULL, NULL)) != NULL) {
        int added = add_to_chain(context, certificate, n++ == 0);
        X509_free(certificate);
        if (added != 1)
            return -1;
    }
    return ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE ? n : -1;
}

static int load_cert(SSL_CTX *context, size_t i, const char *path, struct kv_tls_fault *ret_fault)
{
    FILE *file = open_file(ret_fault, KV_TLS_CERT, i, path);
    if (file == NULL)
        return -1;
    int n = read_chain(context, file);
    fclose(file);
    if (n == 0)
        return fail(ret_fault, KV_TLS_CERT, i, path,
                    "it has no certificate in PEM (-----BEGIN CERTIFICATE-----)");
    if (n < 0)
        return fail(ret_fault, KV_TLS_CERT, i, path, library_says());
    ERR_clear_error();
    return 0;
}

/* Called if a key is encrypted. */
static int note_passphrase(char *text, int size, int is_writing, void *user)
{
    (void)text, (void)size, (void)is_writing;
    *(bool *)user = true;
    return -1;
}

static int use_key(SSL_CTX *context, size_t i, const char *path, EVP_PKEY *key, bool is_encrypted,
                   struct kv_tls_fault *ret_fault)
{
    if (is_encrypted)
        return fail(ret_fault, KV_TLS_KEY, i, path,
                    "it is encrypted, and there is nobody to ask for the passphrase; write it "
                    "without one (openssl pkey), readable by the server alone");
    if (key == NULL)
        return fail(ret_fault, KV_TLS_KEY, i, path,
                    "it has no private key in PEM (-----BEGIN PRIVATE KEY-----)");
    if (SSL_CTX_use_PrivateKey(context, key) != 1 || SSL_CTX_check_private_key(context) != 1)
        return fail(ret_fault, KV_TLS_KEY, i, path, "it is not the key of the certificate");
    return 0;
}

static int load_key(SSL_CTX *context, size_t i, const char *path, struct kv_tls_fault *ret_fault)
{
    FILE *file = open_file(ret_fault, KV_TLS_KEY, i, path);
    if (file == NULL)
        return -1;
    bool is_encrypted = false;
    EVP_PKEY *key = PEM_read_PrivateKey(file, NULL, note_passphrase, &is_encrypted);
    fclose(file);
    int result = use_key(context, i, path, key, is_encrypted, ret_fault);
    EVP_PKEY_free(key);
    return result;
}

static int load_client_ca(SSL_CTX *context, const struct kv_tls_config *config,
                          struct kv_tls_fault *ret_fault)
{
    if (config->client_ca == NULL)
        return 0;
    FILE *file = open_file(ret_fault, KV_TLS_CLIENT_CA, 0, config->client_ca);
    if (file == NULL)
        return -1;
    fclose(file);
    STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(config->client_ca);
    if (names == NULL || SSL_CTX_load_verify_file(context, config->client_ca) != 1) {
        sk_X509_NAME_pop_free(names, X509_NAME_free);
        return fail(ret_fault, KV_TLS_CLIENT_CA, 0, config->client_ca,
                    "it has no certificate in PEM (-----BEGIN CERTIFICATE-----)");
    }
    SSL_CTX_set_client_CA_list(context, names);
    SSL_CTX_set_verify(context,
                       config->client_auth == KV_TLS_CLIENTS_REQUIRED
                           ? SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT
                           : SSL_VERIFY_PEER,
                       NULL);
    return 0;
}

/* ---- handshakes ---- */

/* Accepts only HTTP/1.1; a client that offers only other protocols would not understand it. */
static int choose_protocol(SSL *ssl, const unsigned char **ret_chosen, unsigned char *ret_len,
                           const unsigned char *offered, unsigned len, void *user)
{
    static const unsigned char ours[] = "\x08http/1.1";
    unsigned char *chosen;
    (void)ssl, (void)user;
    if (SSL_select_next_proto(&chosen, ret_len, ours, sizeof(ours) - 1, offered, len) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *ret_chosen = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static int choose_certificate(SSL *ssl, int *alert, void *user)
{
    const struct contexts *contexts = user;
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    (void)alert;
    for (size_t i = 0; name != NULL && i < contexts->n; i++) {
        X509 *certificate = SSL_CTX_get0_certificate(contexts->all[i]);
        if (X509_check_host(certificate, name, 0, 0, NULL) != 1)
            continue;
        if (i != 0)
            SSL_set_SSL_CTX(ssl, contexts->all[i]);
        return SSL_TLSEXT_ERR_OK;
    }
    return SSL_TLSEXT_ERR_OK;
}

/* A session whose client's certificate has expired begins with a whole handshake again. */
static SSL_TICKET_RETURN judge_ticket(SSL *ssl, SSL_SESSION *session, const unsigned char *name,
                                      size_t name_len, SSL_TICKET_STATUS status, void *user)
{
    (void)ssl, (void)name, (void)name_len, (void)user;
    if (status != SSL_TICKET_SUCCESS && status != SSL_TICKET_SUCCESS_RENEW)
        return SSL_TICKET_RETURN_IGNORE_RENEW;
    X509 *peer = SSL_SESSION_get0_peer(session);
    if (peer != NULL && X509_cmp_current_time(X509_get0_notAfter(peer)) <= 0)
        return SSL_TICKET_RETURN_IGNORE_RENEW;
    return status == SSL_TICKET_SUCCESS ? SSL_TICKET_RETURN_USE : SSL_TICKET_RETURN_USE_RENEW;
}

static void set_rules(SSL_CTX *context)
{
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_cipher_list(context, CIPHERS);
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                     SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA |
                                     SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF); /* tickets need no cache */
    SSL_CTX_set_num_tickets(context, 1);
    SSL_CTX_set_session_ticket_cb(context, NULL, judge_ticket, NULL);
    SSL_CTX_set_alpn_select_cb(context, choose_protocol, NULL);
    kv_tls_secrets_prepare(context);
}

/* A session of one port cannot be resumed at another. */
static void set_session_id(SSL_CTX *context, const unsigned char id[SESSION_ID_BYTES])
{
    SSL_CTX_set_session_id_context(context, id, SESSION_ID_BYTES);
}

/* ---- contexts ---- */

static void free_contexts(struct contexts *contexts)
{
    for (size_t i = 1; i < contexts->n; i++) /* the first context owns this struct */
        SSL_CTX_free(contexts->all[i]);
    free(contexts);
}

static void on_context_freed(void *parent, void *contexts, CRYPTO_EX_DATA *data, int index,
                             long argument, void *user)
{
    (void)parent, (void)data, (void)index, (void)argument, (void)user;
    if (contexts != NULL)
        free_contexts(contexts);
}

static int contexts_index;

static void make_index(void)
{
    contexts_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, on_context_freed);
}

static int64_t end_of(SSL_CTX *context)
{
    struct tm end;
    const ASN1_TIME *time = X509_get0_notAfter(SSL_CTX_get0_certificate(context));
    return ASN1_TIME_to_tm(time, &end) == 1 ? (int64_t)timegm(&end) : INT64_MAX;
}

static int load_context(struct contexts *contexts, const struct kv_tls_config *config, size_t i,
                        struct kv_tls_fault *ret_fault)
{
    const struct kv_tls_certificate *files = &config->certificates[i];
    SSL_CTX *context = contexts->all[i];
    set_rules(context);
    if (load_cert(context, i, files->cert, ret_fault) != 0 ||
        load_key(context, i, files->key, ret_fault) != 0 ||
        load_client_ca(context, config, ret_fault) != 0)
        return -1;
    int64_t ends_at = end_of(context);
    if (i == 0 || ends_at < contexts->ends_at) {
        contexts->ends_at = ends_at;
        contexts->ends_first = i;
    }
    return 0;
}

static SSL_CTX *fail_contexts(struct contexts *contexts)
{
    if (contexts->n != 0)
        SSL_CTX_free(contexts->all[0]);
    free_contexts(contexts);
    return NULL;
}

/* Owns: the caller, by SSL_CTX_free(). Returns: NULL and *ret_fault. */
static SSL_CTX *load_contexts(const struct kv_tls_config *config, struct contexts **ret_contexts,
                              struct kv_tls_fault *ret_fault)
{
    unsigned char id[SESSION_ID_BYTES];
    struct contexts *contexts =
        kv_calloc(1, sizeof(*contexts) + config->n_certificates * sizeof(SSL_CTX *));
    RAND_bytes(id, sizeof(id));
    while (contexts->n < config->n_certificates) {
        contexts->all[contexts->n] = SSL_CTX_new(TLS_server_method());
        if (contexts->all[contexts->n] == NULL)
            abort(); /* out of memory, as everywhere */
        set_session_id(contexts->all[contexts->n], id);
        if (load_context(contexts, config, contexts->n++, ret_fault) != 0)
            return fail_contexts(contexts);
    }
    SSL_CTX *first = contexts->all[0];
    SSL_CTX_set_tlsext_servername_callback(first, choose_certificate);
    SSL_CTX_set_tlsext_servername_arg(first, contexts);
    SSL_CTX_set_ex_data(first, contexts_index, contexts);
    *ret_contexts = contexts;
    return first;
}

/* ---- changes of files ---- */

static struct stamp stamp_of(const char *path)
{
    struct stat status;
    if (path == NULL || stat(path, &status) != 0)
        return (struct stamp){0};
    return (struct stamp){status.st_dev, status.st_ino, status.st_size, status.st_mtim};
}

static const char *path_of(const struct kv_tls_config *config, size_t i)
{
    if (i == 2 * config->n_certificates)
        return config->client_ca;
    const struct kv_tls_certificate *files = &config->certificates[i / 2];
    return i % 2 == 0 ? files->cert : files->key;
}

static bool is_same_stamp(const struct stamp *a, const struct stamp *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           a->written.tv_sec == b->written.tv_sec && a->written.tv_nsec == b->written.tv_nsec;
}

/* Call before the files are read: a file that changes meanwhile is read again. */
static void take_stamps(struct kv_tls *tls)
{
    for (size_t i = 0; i < tls->n_stamps; i++)
        tls->stamps[i] = stamp_of(path_of(tls->config, i));
}

bool kv_tls_is_due(const struct kv_tls *tls, int64_t now_ms)
{
    for (size_t i = 0; i < tls->n_stamps; i++) {
        struct stamp now = stamp_of(path_of(tls->config, i));
        if (!is_same_stamp(&now, &tls->stamps[i]))
            return true;
    }
    return now_ms - tls->read_ms >= KEYS_LIVE_MS;
}

/* ---- creating and reloading ---- */

int kv_tls_reload(struct kv_tls *tls, int64_t now_ms, struct kv_tls_fault *ret_fault)
{
    struct contexts *contexts;
    take_stamps(tls);
    tls->read_ms = now_ms;
    SSL_CTX *loaded = load_contexts(tls->config, &contexts, ret_fault);
    if (loaded == NULL)
        return -1;
    atomic_store_explicit(&tls->ends_at, contexts->ends_at, memory_order_relaxed);
    tls->ends_first = contexts->ends_first;
    pthread_mutex_lock(&tls->lock);
    SSL_CTX *old = tls->current;
    tls->current = loaded;
    pthread_mutex_unlock(&tls->lock);
    SSL_CTX_free(old);
    return 0;
}

struct kv_tls *kv_tls_create(const struct kv_tls_config *config, int64_t now_ms,
                             struct kv_tls_fault *ret_fault)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_index);
    struct kv_tls *tls = kv_calloc(1, sizeof(*tls));
    tls->config = config;
    pthread_mutex_init(&tls->lock, NULL);
    tls->n_stamps = 2 * config->n_certificates + 1;
    tls->stamps = kv_calloc(tls->n_stamps, sizeof(*tls->stamps));
    if (kv_tls_reload(tls, now_ms, ret_fault) == 0)
        return tls;
    kv_tls_destroy(tls);
    return NULL;
}

void kv_tls_destroy(struct kv_tls *tls)
{
    if (tls == NULL)
        return;
    SSL_CTX_free(tls->current);
    pthread_mutex_destroy(&tls->lock);
    free(tls->stamps);
    free(tls);
}

int64_t kv_tls_ends_at(const struct kv_tls *tls)
{
    return atomic_load_explicit(&tls->ends_at, memory_order_relaxed);
}

size_t kv_tls_ends_first(const struct kv_tls *tls)
{
    return tls->ends_first;
}

SSL_CTX *kv_tls_fetch(struct kv_tls *tls)
{
    pthread_mutex_lock(&tls->lock);
    SSL_CTX *current = tls->current;
    SSL_CTX_up_ref(current);
    pthread_mutex_unlock(&tls->lock);
    return current;
}
