/*
 * The payload of `hello`: the server's description of itself.
 */
#ifndef KV_PROTOCOL_HELLO_H
#define KV_PROTOCOL_HELLO_H

#include "access/principal.h"
#include "keyspace/keyspace.h"

/* Constant while the server runs. */
struct kv_hello {
    const char *version;
    size_t max_key_bytes;
    size_t max_value_bytes;
    size_t max_message_bytes;
};

/* Appends the answer to a `hello` of this client. id: empty if it has none. */
void kv_hello_write(struct kv_buffer *out, struct kv_slice id, const struct kv_hello *hello,
                    const struct kv_keyspace *keyspace, const struct kv_principal *principal);

#endif
