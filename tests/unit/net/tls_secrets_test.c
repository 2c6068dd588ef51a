/*
 * A server that takes the records over at the end of a handshake, with OpenSSL as its client: the
 * sequence numbers fit however many session tickets the server has sent, and whatever the
 * handshake was.
 */
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "net/tls_input.h"
#include "net/tls_secrets.h"

enum {
    MOST_TURNS = 8,
};

/* All zero: TLS 1.3 with the library's settings. */
struct setting {
    const char *suites;
    int version; /* 0: any */
    size_t n_tickets;
    bool retries;         /* the client guesses the wrong group first */
    bool has_identity;    /* the client has a certificate */
    bool switches;        /* the server continues with another context (SNI) */
    SSL_SESSION *session; /* to be resumed */
};

static EVP_PKEY *key;
static X509 *certificate;
static SSL_CTX *other;
static SSL *server, *client;
static BIO *wire; /* the server's end of it */
static struct kv_tls_secrets *secrets;

static int set_up(void **state)
{
    (void)state;
    key = EVP_EC_gen("P-256");
    certificate = X509_new();
    X509_gmtime_adj(X509_getm_notBefore(certificate), -60);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_pubkey(certificate, key);
    return X509_sign(certificate, key, EVP_sha256()) > 0 ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    X509_free(certificate);
    EVP_PKEY_free(key);
    return 0;
}

static int accept_any(int is_valid, X509_STORE_CTX *store)
{
    (void)is_valid, (void)store;
    return 1;
}

static int switch_context(SSL *ssl, int *alert, void *user)
{
    (void)alert, (void)user;
    SSL_set_SSL_CTX(ssl, other);
    return SSL_TLSEXT_ERR_OK;
}

static SSL_CTX *create_context(const SSL_METHOD *method, const struct setting *setting)
{
    SSL_CTX *context = SSL_CTX_new(method);
    if (setting->suites != NULL)
        assert_int_equal(SSL_CTX_set_ciphersuites(context, setting->suites), 1);
    SSL_CTX_set_max_proto_version(context, setting->version);
    return context;
}

static SSL_CTX *create_server_context(const struct setting *setting)
{
    SSL_CTX *context = create_context(TLS_server_method(), setting);
    SSL_CTX_use_certificate(context, certificate);
    SSL_CTX_use_PrivateKey(context, key);
    SSL_CTX_set_num_tickets(context, setting->n_tickets);
    SSL_CTX_set_session_id_context(context, (const unsigned char *)"test", 4);
    if (setting->retries)
        SSL_CTX_set1_groups_list(context, "P-384");
    if (setting->has_identity)
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER, accept_any);
    kv_tls_secrets_prepare(context);
    return context;
}

/* keys: of session tickets, which are the same for all servers. */
static void create_server(const struct setting *setting)
{
    static unsigned char keys[80];
    SSL_CTX *context = create_server_context(setting);
    SSL_CTX_set_tlsext_ticket_keys(context, keys, sizeof(keys));
    if (setting->switches) {
        other = create_server_context(setting);
        SSL_CTX_set_tlsext_servername_callback(context, switch_context);
    }
    server = SSL_new(context);
    SSL_CTX_free(context);
    SSL_CTX_free(other);
    other = NULL;
    SSL_set_accept_state(server);
    secrets = kv_tls_secrets_watch(server);
}

static void create_client(const struct setting *setting)
{
    SSL_CTX *context = create_context(TLS_client_method(), setting);
    if (setting->has_identity) {
        SSL_CTX_use_certificate(context, certificate);
        SSL_CTX_use_PrivateKey(context, key);
    }
    SSL_CTX_set1_groups_list(context, "X25519:P-384:P-256");
    client = SSL_new(context);
    SSL_CTX_free(context);
    SSL_set_tlsext_host_name(client, "localhost");
    SSL_set_connect_state(client);
    if (setting->session != NULL)
        SSL_set_session(client, setting->session);
}

static void begin(const struct setting *setting)
{
    BIO *far;
    assert_int_equal(BIO_new_bio_pair(&wire, 1 << 16, &far, 1 << 16), 1);
    create_server(setting);
    create_client(setting);
    BIO_up_ref(wire); /* it outlives the server's SSL */
    SSL_set_bio(server, wire, wire);
    SSL_set_bio(client, far, far);
    for (int i = 0; i < MOST_TURNS && !SSL_is_init_finished(server); i++) {
        SSL_do_handshake(client);
        SSL_do_handshake(server);
    }
    assert_true(SSL_is_init_finished(server));
}

/* Returns: NULL if OpenSSL has to continue. */
static struct kv_tls_records *take_over(void)
{
    struct kv_tls_records *records = kv_tls_secrets_take_over(secrets, server);
    kv_tls_secrets_destroy(secrets, server);
    SSL_free(server);
    return records;
}

/* Owns: the caller, by SSL_SESSION_free(). */
static SSL_SESSION *end(struct kv_tls_records *records)
{
    SSL_SESSION *session = SSL_get1_session(client);
    SSL_set_shutdown(client, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(client);
    BIO_free(wire);
    kv_tls_records_destroy(records);
    return session;
}

static void send(struct kv_tls_records *records, enum kv_tls_type type, struct kv_slice text)
{
    struct kv_buffer out = {0};
    assert_int_equal(kv_tls_records_seal(records, type, text, &out), 0);
    assert_int_equal(BIO_write(wire, out.bytes, (int)out.len), out.len);
    kv_buffer_fini(&out);
}

/* Of whatever the client has sent. */
static enum kv_tls_came receive(struct kv_tls_input *input, struct kv_tls_records *records,
                                struct kv_slice *ret_text)
{
    static char bytes[1024];
    int n = BIO_read(wire, bytes, sizeof(bytes));
    assert_true(n > 0);
    struct kv_tls_bytes arrived = {bytes, (size_t)n};
    return kv_tls_input_next(input, records, &arrived, ret_text);
}

static void exchange_texts(struct kv_tls_input *input, struct kv_tls_records *records)
{
    struct kv_slice text;
    char read[64];
    send(records, KV_TLS_TEXT, KV_SLICE("from the server"));
    assert_int_equal(SSL_read(client, read, sizeof(read)), strlen("from the server"));
    assert_memory_equal(read, "from the server", strlen("from the server"));
    assert_true(SSL_write(client, "from the client", 15) == 15);
    assert_int_equal(receive(input, records, &text), KV_TLS_CAME_TEXT);
    assert_true(kv_slice_equals(text, KV_SLICE("from the client")));
}

static void update_keys(struct kv_tls_input *input, struct kv_tls_records *records)
{
    struct kv_buffer out = {0};
    struct kv_slice text;
    assert_int_equal(SSL_key_update(client, SSL_KEY_UPDATE_REQUESTED), 1);
    assert_int_equal(SSL_do_handshake(client), 1);
    assert_int_equal(receive(input, records, &text), KV_TLS_CAME_NOTHING);
    assert_true(input->owes_update);
    assert_int_equal(kv_tls_records_renew_own(records, &out), 0);
    assert_int_equal(BIO_write(wire, out.bytes, (int)out.len), out.len);
    kv_buffer_fini(&out);
}

static void end_by_the_server(struct kv_tls_records *records)
{
    char read[64];
    send(records, KV_TLS_ALERT, KV_SLICE("\1\0"));
    assert_int_equal(SSL_get_error(client, SSL_read(client, read, sizeof(read))),
                     SSL_ERROR_ZERO_RETURN);
}

/* A connection after such a handshake. Owns: the caller, by SSL_SESSION_free(). */
static SSL_SESSION *expect_records(const struct setting *setting)
{
    struct kv_tls_input input = {0};
    begin(setting);
    struct kv_tls_records *records = take_over();
    assert_non_null(records);
    exchange_texts(&input, records);
    update_keys(&input, records);
    exchange_texts(&input, records);
    end_by_the_server(records);
    kv_tls_input_fini(&input);
    return end(records);
}

static void every_suite_is_taken_over_after_any_number_of_tickets(void **state)
{
    static const char *const suites[] = {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384",
                                         "TLS_CHACHA20_POLY1305_SHA256"};
    (void)state;
    for (size_t i = 0; i < 3; i++)
        for (size_t n_tickets = 0; n_tickets < 5; n_tickets++)
            SSL_SESSION_free(
                expect_records(&(struct setting){.suites = suites[i], .n_tickets = n_tickets}));
}

static void sessions_may_be_resumed(void **state)
{
    (void)state;
    SSL_SESSION *session = expect_records(&(struct setting){.n_tickets = 2});
    struct setting again = {.n_tickets = 2, .session = session};
    begin(&again);
    assert_true(SSL_session_reused(client));
    SSL_SESSION_free(end(take_over()));
    SSL_SESSION_free(expect_records(&again));
    SSL_SESSION_free(session);
}

static void handshakes_may_have_more_messages(void **state)
{
    (void)state;
    SSL_SESSION_free(expect_records(&(struct setting){.retries = true, .n_tickets = 1}));
    SSL_SESSION_free(expect_records(&(struct setting){.has_identity = true, .n_tickets = 1}));
    SSL_SESSION_free(expect_records(&(struct setting){.switches = true, .n_tickets = 1}));
}

static void other_versions_and_suites_are_left_to_openssl(void **state)
{
    (void)state;
    begin(&(struct setting){.version = TLS1_2_VERSION});
    assert_null(take_over());
    SSL_SESSION_free(end(NULL));
    begin(&(struct setting){.suites = "TLS_AES_128_CCM_SHA256"});
    assert_null(take_over());
    SSL_SESSION_free(end(NULL));
}

static void handshake_may_be_given_up(void **state)
{
    (void)state;
    create_server(&(struct setting){0});
    kv_tls_secrets_destroy(secrets, server);
    SSL_free(server);
    kv_tls_secrets_destroy(NULL, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_suite_is_taken_over_after_any_number_of_tickets),
        cmocka_unit_test(sessions_may_be_resumed),
        cmocka_unit_test(handshakes_may_have_more_messages),
        cmocka_unit_test(other_versions_and_suites_are_left_to_openssl),
        cmocka_unit_test(handshake_may_be_given_up),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
