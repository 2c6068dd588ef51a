/* The name of a client, taken from its certificate. */
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "net/tls_name.h"

/* common: of `len` bytes, NULL for none; others: alternative names, NULL for none. */
static X509 *create_certificate(EVP_PKEY *key, const char *common, int len, const char *others)
{
    X509 *certificate = X509_new();
    X509_set_version(certificate, X509_VERSION_3);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -60);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_pubkey(certificate, key);
    X509_NAME *subject = X509_get_subject_name(certificate);
    if (common != NULL)
        X509_NAME_add_entry_by_NID(subject, NID_commonName, V_ASN1_UTF8STRING,
                                   (const unsigned char *)common, len, -1, 0);
    X509_set_issuer_name(certificate, subject);
    if (others != NULL) {
        X509_EXTENSION *names = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, others);
        assert_non_null(names);
        X509_add_ext(certificate, names, -1);
        X509_EXTENSION_free(names);
    }
    assert_true(X509_sign(certificate, key, EVP_sha256()) > 0);
    return certificate;
}

static int accept_any(int is_valid, X509_STORE_CTX *store)
{
    (void)is_valid, (void)store;
    return 1;
}

static SSL *create_end(const SSL_METHOD *method, X509 *certificate, EVP_PKEY *key, BIO *bio)
{
    SSL_CTX *context = SSL_CTX_new(method);
    if (certificate != NULL) {
        SSL_CTX_use_certificate(context, certificate);
        SSL_CTX_use_PrivateKey(context, key);
    }
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, accept_any);
    SSL *ssl = SSL_new(context);
    SSL_CTX_free(context);
    SSL_set_bio(ssl, bio, bio);
    return ssl;
}

/* The name that a server derives from that client certificate. Owns: the caller, by free(). */
static char *name_of_client(X509 *certificate, EVP_PKEY *key)
{
    BIO *near, *far;
    X509 *own = create_certificate(key, "server", -1, NULL);
    assert_int_equal(BIO_new_bio_pair(&near, 1 << 16, &far, 1 << 16), 1);
    SSL *server = create_end(TLS_server_method(), own, key, near);
    SSL *client = create_end(TLS_client_method(), certificate, key, far);
    SSL_set_accept_state(server);
    SSL_set_connect_state(client);
    for (int i = 0; i < 4; i++) {
        SSL_do_handshake(client);
        SSL_do_handshake(server);
    }
    assert_true(SSL_is_init_finished(server));
    char *name = kv_tls_name_of(server);
    SSL_free(server);
    SSL_free(client);
    X509_free(own);
    return name;
}

static void expect(const char *common, int len, const char *others, const char *expected)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = create_certificate(key, common, len, others);
    char *name = name_of_client(certificate, key);
    if (expected == NULL)
        assert_null(name);
    else
        assert_string_equal(name, expected);
    free(name);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

static void common_name_is_preferred(void **state)
{
    (void)state;
    expect("backend", -1, NULL, "backend");
    expect("backend", -1, "DNS:other.example", "backend");
    expect("B\xc3\xa4r", -1, NULL, "B\xc3\xa4r");
}

static void first_alternative_name_is_used_without_a_common_name(void **state)
{
    (void)state;
    expect(NULL, 0, "DNS:one.example,DNS:two.example", "one.example");
    expect(NULL, 0, "IP:127.0.0.1,URI:spiffe://example/backend", "spiffe://example/backend");
    expect(NULL, 0, "email:ann@example.org", "ann@example.org");
    expect(NULL, 0, "IP:127.0.0.1", NULL);
}

static void a_name_with_a_zero_byte_is_ignored(void **state)
{
    (void)state;
    expect("admin\0.example", 14, NULL, NULL);
    expect("admin\0.example", 14, "DNS:one.example", "one.example");
}

static void client_without_a_certificate_has_no_name(void **state)
{
    (void)state;
    EVP_PKEY *key = EVP_EC_gen("P-256");
    assert_null(name_of_client(NULL, key));
    EVP_PKEY_free(key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(common_name_is_preferred),
        cmocka_unit_test(first_alternative_name_is_used_without_a_common_name),
        cmocka_unit_test(a_name_with_a_zero_byte_is_ignored),
        cmocka_unit_test(client_without_a_certificate_has_no_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
