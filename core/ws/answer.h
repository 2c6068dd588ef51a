/*
 * Answers to messages.
 */
#ifndef KV_WS_ANSWER_H
#define KV_WS_ANSWER_H

#include "ws/session.h"

void kv_answer_finished(struct kv_command *command);

/* Answers with an error, in order. id: empty where there is none. */
void kv_answer_error(struct kv_session *session, struct kv_slice id, const char *text);

/* Answers a `hello`, in order. */
void kv_answer_hello(struct kv_session *session, struct kv_slice id);

#endif
