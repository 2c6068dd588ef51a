/*
 * From messages to commands.
 */
#ifndef KV_PROTOCOL_TRANSLATE_H
#define KV_PROTOCOL_TRANSLATE_H

#include "keyspace/keyspace.h"
#include "wire/message.h"

struct kv_translation_limits {
    size_t max_key_bytes;
    size_t max_value_bytes; /* of a patch, too */
};

/* Returns: 0, or the status that HTTP has for it and *reterr where the message's key or value is
 * too long. */
int kv_translation_check(const struct kv_message *message,
                         const struct kv_translation_limits *limits, struct kv_error *reterr);

/* The command that a message asks for, which is no HELLO. Its bytes are those of the message. Owns:
 * the caller, until it is sent or freed. */
struct kv_command *kv_translate(struct kv_keyspace_loop *home, const struct kv_message *message,
                                const struct kv_translation_limits *limits);

#endif
