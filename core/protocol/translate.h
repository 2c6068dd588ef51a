/*
 * Translates messages to commands.
 */
#ifndef KV_PROTOCOL_TRANSLATE_H
#define KV_PROTOCOL_TRANSLATE_H

#include "keyspace/keyspace.h"
#include "wire/message.h"

struct kv_translation_limits {
    size_t max_key_bytes;
    size_t max_value_bytes; /* also of a patch */
};

/* Returns: 0, or the status of HTTP and *reterr if the message's key or value is too long. */
int kv_translation_check(const struct kv_message *message,
                         const struct kv_translation_limits *limits, struct kv_error *reterr);

/* The command for a message other than a HELLO. It borrows the message's bytes. Owns: the caller,
 * until it is sent or freed. */
struct kv_command *kv_translate(struct kv_keyspace_loop *home, const struct kv_message *message,
                                const struct kv_translation_limits *limits);

#endif
