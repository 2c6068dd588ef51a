/*
 * The protection of TLS 1.3 records after a handshake (RFC 8446, section 5): text is sealed into
 * records, and records are opened, with the traffic secrets of one connection. There is no state
 * but keys and sequence numbers: tls_input.h finds records in a stream and interprets them.
 *
 * Threads: any, one at a time.
 */
#ifndef KV_NET_TLS_RECORDS_H
#define KV_NET_TLS_RECORDS_H

#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"

struct kv_tls_records;

/* Types of records, and of their contents. */
enum kv_tls_type {
    KV_TLS_ALERT = 21,
    KV_TLS_HANDSHAKE = 22,
    KV_TLS_TEXT = 23, /* application data; the outer type of every encrypted record */
};

/* Descriptions of alerts. */
enum kv_tls_alert {
    KV_TLS_CLOSE_NOTIFY = 0,
    KV_TLS_UNEXPECTED_MESSAGE = 10,
    KV_TLS_BAD_RECORD_MAC = 20,
    KV_TLS_RECORD_OVERFLOW = 22,
    KV_TLS_ILLEGAL_PARAMETER = 47,
    KV_TLS_DECODE_ERROR = 50,
    KV_TLS_INTERNAL_ERROR = 80,
    KV_TLS_USER_CANCELED = 90,
};

enum {
    KV_TLS_HEADER = 5,          /* bytes of a record's header */
    KV_TLS_MOST_TEXT = 16384,   /* bytes of a record's text */
    KV_TLS_LEAST_SEALED = 17,   /* bytes after the header: the type of the contents, and the tag */
    KV_TLS_MOST_SEALED = 16640, /* bytes after the header */
    KV_TLS_MOST_SECRET = 48,
    KV_TLS_RECORDS_OF_KEY = 1 << 24, /* sealed with one key: RFC 8446, section 5.5 */
};

/* A traffic secret; its length depends on the cipher suite. */
struct kv_tls_secret {
    unsigned char bytes[KV_TLS_MOST_SECRET];
    size_t len;
};

/* suite: a cipher suite of TLS 1.3, by its number; peer, own: the secrets of the records that are
 * opened and sealed; n_sealed: how many records have been sealed with `own` before.
 * Owns: the caller, by kv_tls_records_destroy(). Returns: NULL if the suite is not supported, or
 * the secrets do not fit it. */
struct kv_tls_records *kv_tls_records_create(uint16_t suite, const struct kv_tls_secret *peer,
                                             const struct kv_tls_secret *own, uint64_t n_sealed);
/* Erases the secrets. Accepts NULL. */
void kv_tls_records_destroy(struct kv_tls_records *records);

/* Appends a record with that text, of at most KV_TLS_MOST_TEXT bytes. If the key has been used for
 * so many records that text needs a new one, a KeyUpdate comes first.
 * Returns: -1 if the library fails; then `out` is of no use. */
int kv_tls_records_seal(struct kv_tls_records *records, enum kv_tls_type type, struct kv_slice text,
                        struct kv_buffer *out);

/* Opens a record in place. record: its header, whose length must be right and allowed, and as many
 * bytes. Returns: 0, *ret_type and *ret_text, which is within the record; or the alert with which
 * the connection has to end. */
int kv_tls_records_open(struct kv_tls_records *records, char *record, uint8_t *ret_type,
                        struct kv_slice *ret_text);

/* The bytes after the header. */
static inline size_t kv_tls_record_sealed(const char *header)
{
    return (size_t)(uint8_t)header[3] << 8 | (uint8_t)header[4];
}

/* Appends a KeyUpdate that does not ask for the peer's; later records are sealed with the next key.
 * Returns: -1 if the library fails; then no record can be sealed any longer. */
int kv_tls_records_renew_own(struct kv_tls_records *records, struct kv_buffer *out);

/* The peer has sent a KeyUpdate: later records are opened with its next key. Returns: -1 if the
 * library fails; then no record can be opened any longer. */
int kv_tls_records_renew_peer(struct kv_tls_records *records);

#endif
