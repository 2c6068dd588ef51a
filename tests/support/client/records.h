/*
 * The records of TLS in what a server sends: whether every byte belongs to a well-formed record,
 * and, once both sides have keys, to an encrypted one.
 */
#ifndef KV_TEST_RECORDS_H
#define KV_TEST_RECORDS_H

#include "base/buffer.h"

enum {
    KV_TEST_RECORD_HEADER = 5
};

/* One direction of a connection. All zero to begin with. */
struct kv_test_records {
    unsigned char header[KV_TEST_RECORD_HEADER]; /* of the record that is arriving */
    size_t n_header;                             /* its bytes so far */
    size_t left;                                 /* bytes missing from the record's end */
    size_t n;                                    /* records that have begun */
    bool has_fault;                              /* a byte was in clear: remains true */
};

/* When the bytes were sent: before the end of the handshake, records may be in clear. */
enum kv_test_keys {
    KV_TEST_NO_KEYS,
    KV_TEST_KEYS_1_2,
    KV_TEST_KEYS_1_3,
};

/* Takes further bytes, of which the last record may be incomplete. */
void kv_test_records_add(struct kv_test_records *records, struct kv_slice bytes,
                         enum kv_test_keys keys);

#endif
