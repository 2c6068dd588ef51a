/*
 * Keys come from OpenSSL's TLS13-KDF, and records are protected by its authenticated ciphers; this
 * file adds the nonces, which are the sequence numbers, and the inner and outer types. Ciphers are
 * fetched once for the process: fetching them for each connection takes longer than deriving keys.
 */
#include "net/tls_records.h"

#include <assert.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum {
    TAG = 16,
    NONCE = 12,
    MOST_KEY = 32,
    LEGACY_VERSION = 0x0303,
};

struct suite {
    uint16_t id;
    uint8_t n_key;
    uint8_t n_secret;
    const char *name;
    char digest[8];
    EVP_CIPHER *cipher; /* NULL: the library lacks it */
};

static struct suite suites[] = {
    {0x1301, 16, 32, "AES-128-GCM", "SHA256", NULL},
    {0x1302, 32, 48, "AES-256-GCM", "SHA384", NULL},
    {0x1303, 32, 32, "ChaCha20-Poly1305", "SHA256", NULL},
};
static EVP_KDF *kdf;

struct direction {
    EVP_CIPHER_CTX *cipher;
    uint64_t sequence;
    unsigned char iv[NONCE];
    unsigned char secret[KV_TLS_MOST_SECRET];
};

struct kv_tls_records {
    const struct suite *suite;
    struct direction peer;
    struct direction own;
};

static void fetch_suites(void)
{
    kdf = EVP_KDF_fetch(NULL, "TLS13-KDF", NULL);
    for (size_t i = 0; i < sizeof(suites) / sizeof(suites[0]); i++)
        suites[i].cipher = EVP_CIPHER_fetch(NULL, suites[i].name, NULL);
}

static const struct suite *find_suite(uint16_t id)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, fetch_suites);
    for (size_t i = 0; i < sizeof(suites) / sizeof(suites[0]); i++)
        if (suites[i].id == id)
            return kdf != NULL && suites[i].cipher != NULL ? &suites[i] : NULL;
    return NULL;
}

/* ---- keys ---- */

/* HKDF-Expand-Label() without a context (RFC 8446, section 7.1). Returns: whether it succeeded. */
static bool expand(const struct suite *suite, const unsigned char *secret, const char *label,
                   unsigned char *out, size_t len)
{
    static char prefix[] = "tls13 ";
    int mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY;
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode),
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)suite->digest, 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)secret, suite->n_secret),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_PREFIX, prefix, sizeof(prefix) - 1),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_LABEL, (void *)label, strlen(label)),
        OSSL_PARAM_construct_end(),
    };
    EVP_KDF_CTX *context = EVP_KDF_CTX_new(kdf);
    bool is_done = context != NULL && EVP_KDF_derive(context, out, len, params) == 1;
    EVP_KDF_CTX_free(context);
    return is_done;
}

/* Takes the key and IV of the direction's secret. Returns: whether it succeeded. */
static bool set_key(struct direction *direction, const struct suite *suite)
{
    unsigned char key[MOST_KEY];
    bool is_done = expand(suite, direction->secret, "key", key, suite->n_key) &&
                   expand(suite, direction->secret, "iv", direction->iv, NONCE) &&
                   EVP_CipherInit_ex2(direction->cipher, NULL, key, NULL, -1, NULL) == 1;
    OPENSSL_cleanse(key, sizeof(key));
    return is_done;
}

/* Returns: whether it succeeded. */
static bool init(struct direction *direction, const struct suite *suite,
                 const struct kv_tls_secret *secret, int is_sealing)
{
    memcpy(direction->secret, secret->bytes, secret->len);
    direction->cipher = EVP_CIPHER_CTX_new();
    return direction->cipher != NULL &&
           EVP_CipherInit_ex2(direction->cipher, suite->cipher, NULL, NULL, is_sealing, NULL) ==
               1 &&
           set_key(direction, suite);
}

/* So that no nonce is used twice with a key. */
static void make_unusable(struct direction *direction)
{
    EVP_CIPHER_CTX_free(direction->cipher);
    direction->cipher = NULL;
}

/* The next key of the direction (RFC 8446, section 7.2). Returns: -1 if the library fails; then the
 * direction cannot be used any longer. */
static int renew(struct direction *direction, const struct suite *suite)
{
    unsigned char next[KV_TLS_MOST_SECRET];
    bool is_done = expand(suite, direction->secret, "traffic upd", next, suite->n_secret);
    if (is_done) {
        memcpy(direction->secret, next, suite->n_secret);
        direction->sequence = 0;
        is_done = set_key(direction, suite);
    }
    OPENSSL_cleanse(next, sizeof(next));
    if (!is_done)
        make_unusable(direction);
    return is_done ? 0 : -1;
}

struct kv_tls_records *kv_tls_records_create(uint16_t suite_id, const struct kv_tls_secret *peer,
                                             const struct kv_tls_secret *own, uint64_t n_sealed)
{
    const struct suite *suite = find_suite(suite_id);
    if (suite == NULL || peer->len != suite->n_secret || own->len != suite->n_secret)
        return NULL;
    struct kv_tls_records *records = kv_calloc(1, sizeof(*records));
    records->suite = suite;
    records->own.sequence = n_sealed;
    if (init(&records->peer, suite, peer, 0) && init(&records->own, suite, own, 1))
        return records;
    kv_tls_records_destroy(records);
    return NULL;
}

void kv_tls_records_destroy(struct kv_tls_records *records)
{
    if (records == NULL)
        return;
    EVP_CIPHER_CTX_free(records->peer.cipher);
    EVP_CIPHER_CTX_free(records->own.cipher);
    OPENSSL_cleanse(records, sizeof(*records));
    free(records);
}

/* ---- records ---- */

/* Prepares the direction's cipher for its next record, whose header is authenticated, too. Returns:
 * whether it succeeded. */
static bool begin(struct direction *direction, const unsigned char *header)
{
    unsigned char nonce[NONCE];
    int n;
    if (direction->cipher == NULL)
        return false;
    memcpy(nonce, direction->iv, NONCE);
    for (int i = 0; i < 8; i++)
        nonce[NONCE - 1 - i] ^= (unsigned char)(direction->sequence >> (8 * i));
    direction->sequence++;
    return EVP_CipherInit_ex2(direction->cipher, NULL, NULL, nonce, -1, NULL) == 1 &&
           EVP_CipherUpdate(direction->cipher, NULL, &n, header, KV_TLS_HEADER) == 1;
}

static bool seal_in_place(struct direction *direction, unsigned char *header, size_t len)
{
    unsigned char *body = header + KV_TLS_HEADER;
    int n, rest;
    return begin(direction, header) &&
           EVP_CipherUpdate(direction->cipher, body, &n, body, (int)len) == 1 &&
           EVP_CipherFinal_ex(direction->cipher, body + n, &rest) == 1 &&
           EVP_CIPHER_CTX_ctrl(direction->cipher, EVP_CTRL_AEAD_GET_TAG, TAG, body + len) == 1;
}

/* len: of the text, with its type. Returns: false if the record is not authentic. */
static bool open_in_place(struct direction *direction, unsigned char *header, size_t len)
{
    unsigned char *body = header + KV_TLS_HEADER;
    int n, rest;
    return begin(direction, header) &&
           EVP_CIPHER_CTX_ctrl(direction->cipher, EVP_CTRL_AEAD_SET_TAG, TAG, body + len) == 1 &&
           EVP_CipherUpdate(direction->cipher, body, &n, body, (int)len) == 1 &&
           EVP_CipherFinal_ex(direction->cipher, body + n, &rest) == 1;
}

static void write_header(unsigned char *header, size_t n_sealed)
{
    header[0] = KV_TLS_TEXT;
    header[1] = LEGACY_VERSION >> 8;
    header[2] = LEGACY_VERSION & 0xff;
    header[3] = (unsigned char)(n_sealed >> 8);
    header[4] = (unsigned char)n_sealed;
}

/* The text is copied and encrypted in place: its type comes last, and a second call of the cipher
 * for this byte costs more than the copy. */
static int seal(struct kv_tls_records *records, enum kv_tls_type type, struct kv_slice text,
                struct kv_buffer *out)
{
    assert(text.len <= KV_TLS_MOST_TEXT);
    size_t n_sealed = text.len + 1 + TAG;
    unsigned char *header = (void *)kv_buffer_reserve(out, KV_TLS_HEADER + n_sealed);
    write_header(header, n_sealed);
    memcpy(header + KV_TLS_HEADER, text.bytes, text.len);
    header[KV_TLS_HEADER + text.len] = (unsigned char)type;
    if (!seal_in_place(&records->own, header, text.len + 1))
        return -1;
    out->len += KV_TLS_HEADER + n_sealed;
    return 0;
}

int kv_tls_records_renew_own(struct kv_tls_records *records, struct kv_buffer *out)
{
    /* its type, its length, and update_not_requested */
    if (seal(records, KV_TLS_HANDSHAKE, KV_SLICE("\x18\0\0\1\0"), out) != 0)
        return -1;
    return renew(&records->own, records->suite);
}

int kv_tls_records_renew_peer(struct kv_tls_records *records)
{
    return renew(&records->peer, records->suite);
}

int kv_tls_records_seal(struct kv_tls_records *records, enum kv_tls_type type, struct kv_slice text,
                        struct kv_buffer *out)
{
    if (type == KV_TLS_TEXT && records->own.sequence >= KV_TLS_RECORDS_OF_KEY &&
        kv_tls_records_renew_own(records, out) != 0)
        return -1;
    return seal(records, type, text, out);
}

/* The text is followed by its type, and any number of zeros. */
int kv_tls_records_open(struct kv_tls_records *records, char *record, uint8_t *ret_type,
                        struct kv_slice *ret_text)
{
    const char *text = record + KV_TLS_HEADER;
    size_t len = kv_tls_record_sealed(record) - TAG;
    if (!open_in_place(&records->peer, (void *)record, len))
        return KV_TLS_BAD_RECORD_MAC;
    if (len > KV_TLS_MOST_TEXT + 1)
        return KV_TLS_RECORD_OVERFLOW;
    while (len != 0 && text[len - 1] == 0)
        len--;
    if (len == 0)
        return KV_TLS_UNEXPECTED_MESSAGE;
    *ret_type = (uint8_t)text[len - 1];
    *ret_text = (struct kv_slice){text, len - 1};
    return 0;
}
