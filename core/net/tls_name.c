/* A name that contains a zero byte is ambiguous, and ignored. */
#include "net/tls_name.h"

#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/utf8.h"

enum {
    LONGEST = 256
};

static char *copy(const unsigned char *text, int len)
{
    struct kv_slice bytes = {(const char *)text, len > 0 ? (size_t)len : 0};
    if (bytes.len == 0 || bytes.len > LONGEST || memchr(text, '\0', bytes.len) != NULL ||
        !kv_utf8_is_valid(bytes))
        return NULL;
    char *name = kv_alloc(bytes.len + 1);
    memcpy(name, text, bytes.len);
    name[bytes.len] = '\0';
    return name;
}

static char *common_name(const X509 *certificate)
{
    unsigned char *text = NULL;
    X509_NAME *subject = X509_get_subject_name(certificate);
    int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    if (at < 0)
        return NULL;
    int len =
        ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
    char *name = copy(text, len);
    OPENSSL_free(text);
    return name;
}

static char *text_of(const GENERAL_NAME *name)
{
    if (name->type != GEN_DNS && name->type != GEN_EMAIL && name->type != GEN_URI)
        return NULL;
    return copy(ASN1_STRING_get0_data(name->d.ia5), ASN1_STRING_length(name->d.ia5));
}

static char *alternative_name(const X509 *certificate)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    char *found = NULL;
    for (int i = 0; i < sk_GENERAL_NAME_num(names) && found == NULL; i++)
        found = text_of(sk_GENERAL_NAME_value(names, i));
    GENERAL_NAMES_free(names);
    return found;
}

char *kv_tls_name_of(SSL *ssl)
{
    const X509 *certificate = SSL_get0_peer_certificate(ssl);
    if (certificate == NULL)
        return NULL;
    char *name = common_name(certificate);
    return name != NULL ? name : alternative_name(certificate);
}

/* It is still valid at the time that it states. A time that cannot be read counts as past. */
int64_t kv_tls_end_of(SSL *ssl)
{
    struct tm end;
    const X509 *certificate = SSL_get0_peer_certificate(ssl);
    if (certificate == NULL)
        return 0;
    return ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &end) == 1 ? (int64_t)timegm(&end) + 1
                                                                       : 1;
}
