/*
 * Replies: the texts of answers to messages, `{"type": …, "id"?: …, "payload": …}`.
 */
#ifndef KV_PROTOCOL_REPLY_H
#define KV_PROTOCOL_REPLY_H

#include "keyspace/keyspace.h"

/* Appends a message up to its payload. The caller appends the payload and `}`.
 * id: empty if there is none. */
void kv_reply_begin(struct kv_buffer *out, struct kv_slice type, struct kv_slice id);

enum kv_reply {
    KV_REPLY_NONE,  /* the message has no answer */
    KV_REPLY_TEXT,  /* `out` has the whole answer */
    KV_REPLY_VALUE, /* `out` has the answer without the value, *ret_value, and KV_REPLY_END */
};

#define KV_REPLY_END KV_SLICE("}}")

/* Appends the answer to the message of a finished command, whose `note` is the message's id.
 * ret_value: of the command's item, or its own bytes. */
enum kv_reply kv_reply_write(struct kv_buffer *out, const struct kv_command *command,
                             struct kv_slice *ret_value);

/* status: of HTTP; only an error with an id contains it. */
void kv_reply_write_error(struct kv_buffer *out, struct kv_slice id, int status, const char *text);

#endif
