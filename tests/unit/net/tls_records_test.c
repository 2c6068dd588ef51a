/*
 * Records of TLS 1.3: the vectors of RFC 8448, and keys and records that are computed here by the
 * formulas of RFC 8446 from HMAC and the ciphers alone.
 */
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net/tls_records.h"

enum {
    TAG = 16,
    LONGEST = KV_TLS_HEADER + KV_TLS_MOST_SEALED,
    AES_128 = 0x1301,
};

/* ---- the formulas ---- */

struct suite {
    uint16_t id;
    size_t n_key, n_secret;
    const EVP_CIPHER *(*cipher)(void);
    const EVP_MD *(*digest)(void);
};

static const struct suite suites[] = {
    {AES_128, 16, 32, EVP_aes_128_gcm, EVP_sha256},
    {0x1302, 32, 48, EVP_aes_256_gcm, EVP_sha384},
    {0x1303, 32, 32, EVP_chacha20_poly1305, EVP_sha256},
};

enum {
    N_SUITES = sizeof(suites) / sizeof(suites[0])
};

static struct kv_tls_secret secret_of(const struct suite *suite, int first)
{
    struct kv_tls_secret secret = {.len = suite->n_secret};
    for (size_t i = 0; i < secret.len; i++)
        secret.bytes[i] = (unsigned char)((size_t)first + i);
    return secret;
}

/* HKDF-Expand-Label(), of at most one block. */
static void expand(const struct suite *suite, const struct kv_tls_secret *secret, const char *label,
                   unsigned char *out, size_t len)
{
    unsigned char info[64], block[EVP_MAX_MD_SIZE];
    int n = snprintf((char *)info, sizeof(info), "%c%c%ctls13 %s", 0, (int)len,
                     (int)(6 + strlen(label)), label);
    info[n++] = 0; /* no context */
    info[n++] = 1; /* the number of the block */
    assert_non_null(
        HMAC(suite->digest(), secret->bytes, (int)secret->len, info, (size_t)n, block, NULL));
    memcpy(out, block, len);
}

static struct kv_tls_secret next_of(const struct suite *suite, const struct kv_tls_secret *secret)
{
    struct kv_tls_secret next = {.len = suite->n_secret};
    expand(suite, secret, "traffic upd", next.bytes, next.len);
    return next;
}

/* The record with that number and these contents, which end with their type. Returns: its length.
 */
static size_t seal_by_formula(const struct suite *suite, const struct kv_tls_secret *secret,
                              uint64_t sequence, struct kv_slice inner, char *record)
{
    unsigned char key[32], nonce[12], *to = (unsigned char *)record;
    size_t n_sealed = inner.len + TAG;
    int n, rest;
    expand(suite, secret, "key", key, suite->n_key);
    expand(suite, secret, "iv", nonce, sizeof(nonce));
    for (int i = 0; i < 8; i++)
        nonce[11 - i] ^= (unsigned char)(sequence >> (8 * i));
    memcpy(to, (const unsigned char[]){23, 3, 3, n_sealed >> 8 & 0xff, n_sealed & 0xff}, 5);
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    EVP_EncryptInit_ex(context, suite->cipher(), NULL, key, nonce);
    EVP_EncryptUpdate(context, NULL, &n, to, 5);
    EVP_EncryptUpdate(context, to + 5, &n, (const unsigned char *)inner.bytes, (int)inner.len);
    EVP_EncryptFinal_ex(context, to + 5 + n, &rest);
    EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, TAG, to + 5 + inner.len);
    EVP_CIPHER_CTX_free(context);
    return KV_TLS_HEADER + n_sealed;
}

/* ---- helpers ---- */

static size_t read_hex(const char *hex, void *bytes)
{
    size_t len = strlen(hex) / 2;
    for (size_t i = 0; i < len; i++) {
        unsigned byte;
        assert_int_equal(sscanf(hex + 2 * i, "%2x", &byte), 1);
        ((unsigned char *)bytes)[i] = (unsigned char)byte;
    }
    return len;
}

static void expect_text(struct kv_tls_records *records, char *record, uint8_t expected_type,
                        struct kv_slice expected)
{
    uint8_t type;
    struct kv_slice text;
    assert_int_equal(kv_tls_records_open(records, record, &type, &text), 0);
    assert_int_equal(type, expected_type);
    assert_true(kv_slice_equals(text, expected));
}

static void expect_alert(struct kv_tls_records *records, char *record, int alert)
{
    uint8_t type;
    struct kv_slice text;
    assert_int_equal(kv_tls_records_open(records, record, &type, &text), alert);
}

/* Of a server, and of its client. */
static struct kv_tls_records *server, *client;

static void begin(const struct suite *suite)
{
    struct kv_tls_secret of_client = secret_of(suite, 1), of_server = secret_of(suite, 101);
    server = kv_tls_records_create(suite->id, &of_client, &of_server, 0);
    client = kv_tls_records_create(suite->id, &of_server, &of_client, 0);
    assert_true(server != NULL && client != NULL);
}

static void end(void)
{
    kv_tls_records_destroy(server);
    kv_tls_records_destroy(client);
}

/* ---- tests ---- */

#define CLIENT_SECRET "9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5"
#define SERVER_SECRET "a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643"
#define CLIENT_TEXT                                                                                \
    "1703030043a23f7054b62c94d0affafe8228ba55cbefacea42f914aa66bcab3f2b9819a8a5b46b395bd54a9a20"   \
    "441e2b62974e1f5a6292a2977014bd1e3deae63aeebb21694915e4"
#define SERVER_TEXT                                                                                \
    "17030300432e937e11ef4ac740e538ad36005fc4a46932fc3225d05f82aa1b36e30efaf97d90e6dffc602dcb50"   \
    "1a59a8fcc49c4bf2e5f0a21c0047c2abf332540dd032e167c2955d"
#define CLIENT_END "1703030013c9872760655666b74d7ff1153efd6db6d0b0e3"
#define SERVER_END "1703030013b58fd67166ebf599d24720cfbe7efa7a8864a9"

/* Section 3: after a session ticket of the server, both send 50 bytes, and close_notify. */
static void records_are_those_of_rfc_8448(void **state)
{
    struct kv_tls_secret of_client, of_server;
    struct kv_buffer out = {0};
    char text[50], record[128], expected[256];
    (void)state;
    for (int i = 0; i < 50; i++)
        text[i] = (char)i;
    of_client.len = read_hex(CLIENT_SECRET, of_client.bytes);
    of_server.len = read_hex(SERVER_SECRET, of_server.bytes);
    struct kv_tls_records *records = kv_tls_records_create(AES_128, &of_client, &of_server, 1);
    read_hex(CLIENT_TEXT, record);
    expect_text(records, record, KV_TLS_TEXT, (struct kv_slice){text, 50});
    read_hex(CLIENT_END, record);
    expect_text(records, record, KV_TLS_ALERT, KV_SLICE("\1\0"));
    assert_int_equal(kv_tls_records_seal(records, KV_TLS_TEXT, (struct kv_slice){text, 50}, &out),
                     0);
    assert_int_equal(kv_tls_records_seal(records, KV_TLS_ALERT, KV_SLICE("\1\0"), &out), 0);
    size_t len = read_hex(SERVER_TEXT SERVER_END, expected);
    assert_true(kv_slice_equals(kv_buffer_slice(&out), (struct kv_slice){expected, len}));
    kv_buffer_fini(&out);
    kv_tls_records_destroy(records);
}

static void every_suite_seals_texts_of_any_length_by_the_formula(void **state)
{
    static const size_t lengths[] = {
        1, 15, 16, 17, 255, 4096, KV_TLS_MOST_TEXT - 1, KV_TLS_MOST_TEXT};
    static char inner[KV_TLS_MOST_TEXT + 1], record[LONGEST];
    (void)state;
    for (size_t i = 0; i < N_SUITES; i++) {
        struct kv_tls_secret of_server = secret_of(&suites[i], 101);
        begin(&suites[i]);
        for (size_t j = 0; j < sizeof(lengths) / sizeof(lengths[0]); j++) {
            struct kv_buffer out = {0};
            size_t len = lengths[j];
            memset(inner, 'a' + (int)j, len);
            inner[len] = KV_TLS_TEXT;
            size_t n = seal_by_formula(&suites[i], &of_server, j, (struct kv_slice){inner, len + 1},
                                       record);
            assert_int_equal(
                kv_tls_records_seal(server, KV_TLS_TEXT, (struct kv_slice){inner, len}, &out), 0);
            assert_true(kv_slice_equals(kv_buffer_slice(&out), (struct kv_slice){record, n}));
            expect_text(client, out.bytes, KV_TLS_TEXT, (struct kv_slice){inner, len});
            kv_buffer_fini(&out);
        }
        end();
    }
}

/* All but the length, which determines what is read. */
static void change_of_any_bit_is_noticed(void **state)
{
    struct kv_tls_secret secret = secret_of(&suites[0], 1);
    char record[64], changed[64];
    (void)state;
    size_t n = seal_by_formula(&suites[0], &secret, 0, KV_SLICE("text\x17"), record);
    for (size_t bit = 0; bit < 8 * n; bit++) {
        if (bit / 8 == 3 || bit / 8 == 4)
            continue;
        begin(&suites[0]);
        memcpy(changed, record, n);
        changed[bit / 8] = (char)(changed[bit / 8] ^ 1 << bit % 8);
        expect_alert(server, changed, KV_TLS_BAD_RECORD_MAC);
        end();
    }
}

static void records_out_of_order_are_noticed(void **state)
{
    struct kv_tls_secret secret = secret_of(&suites[0], 1);
    char first[64], second[64], again[64];
    (void)state;
    seal_by_formula(&suites[0], &secret, 0, KV_SLICE("a\x17"), first);
    seal_by_formula(&suites[0], &secret, 1, KV_SLICE("b\x17"), second);
    memcpy(again, first, sizeof(again));
    begin(&suites[0]);
    expect_alert(server, second, KV_TLS_BAD_RECORD_MAC);
    end();
    begin(&suites[0]);
    expect_text(server, first, KV_TLS_TEXT, KV_SLICE("a"));
    expect_alert(server, again, KV_TLS_BAD_RECORD_MAC);
    end();
}

static void padding_is_removed_and_text_must_have_a_type(void **state)
{
    struct kv_tls_secret secret = secret_of(&suites[0], 1);
    char record[64];
    (void)state;
    begin(&suites[0]);
    seal_by_formula(&suites[0], &secret, 0, KV_SLICE("a\0b\x17\0\0\0"), record);
    expect_text(server, record, KV_TLS_TEXT, KV_SLICE("a\0b"));
    seal_by_formula(&suites[0], &secret, 1, KV_SLICE("\x15"), record);
    expect_text(server, record, KV_TLS_ALERT, KV_SLICE(""));
    seal_by_formula(&suites[0], &secret, 2, KV_SLICE("\0\0\0"), record);
    expect_alert(server, record, KV_TLS_UNEXPECTED_MESSAGE);
    end();
}

static void longer_text_than_allowed_is_an_overflow(void **state)
{
    struct kv_tls_secret secret = secret_of(&suites[0], 1);
    static char inner[KV_TLS_MOST_SEALED - TAG], record[LONGEST];
    (void)state;
    memset(inner, 'a', sizeof(inner));
    for (size_t len = KV_TLS_MOST_TEXT; len < sizeof(inner); len += 239) {
        begin(&suites[0]);
        char last = inner[len];
        inner[len] = KV_TLS_TEXT;
        seal_by_formula(&suites[0], &secret, 0, (struct kv_slice){inner, len + 1}, record);
        if (len == KV_TLS_MOST_TEXT)
            expect_text(server, record, KV_TLS_TEXT, (struct kv_slice){inner, len});
        else
            expect_alert(server, record, KV_TLS_RECORD_OVERFLOW);
        inner[len] = last;
        end();
    }
}

static void next_keys_are_derived_by_the_formula(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_SUITES; i++) {
        struct kv_tls_secret of_client = secret_of(&suites[i], 1);
        struct kv_tls_secret of_server = secret_of(&suites[i], 101);
        begin(&suites[i]);
        for (int update = 0; update < 3; update++) {
            struct kv_buffer out = {0};
            char record[64];
            size_t n =
                seal_by_formula(&suites[i], &of_server, 0, KV_SLICE("\x18\0\0\1\0\x16"), record);
            assert_int_equal(kv_tls_records_renew_own(server, &out), 0);
            assert_true(kv_slice_equals(kv_buffer_slice(&out), (struct kv_slice){record, n}));
            of_server = next_of(&suites[i], &of_server);
            assert_int_equal(kv_tls_records_renew_peer(server), 0);
            of_client = next_of(&suites[i], &of_client);
            seal_by_formula(&suites[i], &of_client, 0, KV_SLICE("after\x17"), record);
            expect_text(server, record, KV_TLS_TEXT, KV_SLICE("after"));
            kv_buffer_fini(&out);
        }
        end();
    }
}

static void text_beyond_what_a_key_may_seal_gets_the_next_key(void **state)
{
    const struct suite *suite = &suites[1];
    struct kv_tls_secret of_client = secret_of(suite, 1), of_server = secret_of(suite, 101);
    struct kv_tls_secret next = next_of(suite, &of_server);
    struct kv_buffer out = {0};
    char expected[256];
    (void)state;
    struct kv_tls_records *records =
        kv_tls_records_create(suite->id, &of_client, &of_server, KV_TLS_RECORDS_OF_KEY - 1);
    size_t n =
        seal_by_formula(suite, &of_server, KV_TLS_RECORDS_OF_KEY - 1, KV_SLICE("a\x17"), expected);
    n += seal_by_formula(suite, &of_server, KV_TLS_RECORDS_OF_KEY, KV_SLICE("\x18\0\0\1\0\x16"),
                         expected + n);
    n += seal_by_formula(suite, &next, 0, KV_SLICE("b\x17"), expected + n);
    n += seal_by_formula(suite, &next, 1, KV_SLICE("c\x17"), expected + n);
    kv_tls_records_seal(records, KV_TLS_TEXT, KV_SLICE("a"), &out);
    kv_tls_records_seal(records, KV_TLS_TEXT, KV_SLICE("b"), &out);
    kv_tls_records_seal(records, KV_TLS_TEXT, KV_SLICE("c"), &out);
    assert_true(kv_slice_equals(kv_buffer_slice(&out), (struct kv_slice){expected, n}));
    kv_buffer_fini(&out);
    kv_tls_records_destroy(records);
}

static void other_suites_and_secrets_are_refused(void **state)
{
    struct kv_tls_secret of_client = secret_of(&suites[0], 1), none = {.len = 0};
    (void)state;
    assert_null(kv_tls_records_create(0x1304, &of_client, &of_client, 0)); /* AES-128-CCM */
    assert_null(kv_tls_records_create(0, &of_client, &of_client, 0));
    assert_null(kv_tls_records_create(0x1302, &of_client, &of_client, 0));
    assert_null(kv_tls_records_create(AES_128, &of_client, &none, 0));
    assert_null(kv_tls_records_create(AES_128, &none, &of_client, 0));
    kv_tls_records_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_are_those_of_rfc_8448),
        cmocka_unit_test(every_suite_seals_texts_of_any_length_by_the_formula),
        cmocka_unit_test(change_of_any_bit_is_noticed),
        cmocka_unit_test(records_out_of_order_are_noticed),
        cmocka_unit_test(padding_is_removed_and_text_must_have_a_type),
        cmocka_unit_test(longer_text_than_allowed_is_an_overflow),
        cmocka_unit_test(next_keys_are_derived_by_the_formula),
        cmocka_unit_test(text_beyond_what_a_key_may_seal_gets_the_next_key),
        cmocka_unit_test(other_suites_and_secrets_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
