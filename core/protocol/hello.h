/*
 * What the server says of itself to those who ask: the payload of `hello`.
 */
#ifndef KV_PROTOCOL_HELLO_H
#define KV_PROTOCOL_HELLO_H

#include "keyspace/keyspace.h"

/* Constant while the server runs. */
struct kv_hello {
    const char *version;
    size_t max_key_bytes;
    size_t max_value_bytes;
    size_t max_message_bytes;
};

/* Appends the answer to a `hello`. id: empty where it has none. */
void kv_hello_write(struct kv_buffer *out, struct kv_slice id, const struct kv_hello *hello,
                    const struct kv_keyspace *keyspace);

#endif
