/*
 * The stream of TLS 1.3 records that a peer sends after the handshake: finds the records, however
 * the network has cut them, opens them, and does what they ask for (RFC 8446, sections 4.6, 5, 6).
 *
 * Threads: any, one at a time.
 */
#ifndef KV_NET_TLS_INPUT_H
#define KV_NET_TLS_INPUT_H

#include "net/tls_records.h"

enum {
    KV_TLS_MOST_UPDATES = 32, /* of the peer's key, at once or without text in between */
};

/* All zero to begin with. */
struct kv_tls_input {
    struct kv_buffer partial; /* the beginning of a record whose rest has not arrived */
    unsigned char message[5]; /* likewise of a KeyUpdate, which records may split */
    uint8_t n_message;
    uint8_t n_updates;
    uint8_t alert;    /* after BROKEN: to be sent to the peer; 0: none */
    bool has_text;    /* since kv_tls_input_begin() */
    bool owes_update; /* the peer has asked for a KeyUpdate, which must precede the next text; the
                         caller sends it, and resets this */
    bool has_ended;   /* by close_notify: what comes later is ignored */
};

/* Bytes that are decrypted in place. */
struct kv_tls_bytes {
    char *bytes;
    size_t len;
};

enum kv_tls_came {
    KV_TLS_CAME_NOTHING, /* everything was taken */
    KV_TLS_CAME_TEXT,
    KV_TLS_CAME_END,    /* the peer sends no more */
    KV_TLS_CAME_BROKEN, /* the connection is to be closed, after the alert if there is one */
};

void kv_tls_input_fini(struct kv_tls_input *input);

/* Call when bytes have arrived. */
void kv_tls_input_begin(struct kv_tls_input *input);

/* Call repeatedly, as long as it returns text. arrived: what it takes is removed. *ret_text: not
 * empty; valid until the next call. */
enum kv_tls_came kv_tls_input_next(struct kv_tls_input *input, struct kv_tls_records *records,
                                   struct kv_tls_bytes *arrived, struct kv_slice *ret_text);

#endif
