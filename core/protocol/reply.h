/*
 * Replies: the texts of answers to messages, `{"type": …, "id"?: …, "payload": …}`.
 */
#ifndef KV_PROTOCOL_REPLY_H
#define KV_PROTOCOL_REPLY_H

#include "keyspace/keyspace.h"

/* Appends a message up to its payload. The payload and `}` are to follow.
 * id: empty where there is none. */
void kv_reply_begin(struct kv_buffer *out, struct kv_slice type, struct kv_slice id);

enum kv_reply {
    KV_REPLY_NONE,  /* the message has no answer */
    KV_REPLY_TEXT,  /* `out` has all of it */
    KV_REPLY_VALUE, /* `out` has all but the value, *ret_value, and KV_REPLY_END */
};

#define KV_REPLY_END KV_SLICE("}}")

/* Appends the answer to the message of a finished command, whose `note` is the message's id.
 * ret_value: of the command's item, or its own bytes. */
enum kv_reply kv_reply_write(struct kv_buffer *out, const struct kv_command *command,
                             struct kv_slice *ret_value);

/* status: as HTTP has it; only an error with an id bears it. */
void kv_reply_write_error(struct kv_buffer *out, struct kv_slice id, int status, const char *text);

#endif
