/*
 * From the keyspace to the wire.
 */
#ifndef KV_WS_ANSWER_H
#define KV_WS_ANSWER_H

#include "ws/session.h"

void kv_answer_finished(struct kv_command *command);
void kv_answer_state(struct kv_subscriber *subscriber, struct kv_news *news);

/* Answers with an error, in order. id: empty where there is none. */
void kv_answer_error(struct kv_session *session, struct kv_slice id, const char *text);

#endif
