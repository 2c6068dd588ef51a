/*
 * From the keyspace to the wire.
 */
#ifndef KV_WS_ANSWER_H
#define KV_WS_ANSWER_H

#include "ws/session.h"

void kv_answer_finished(struct kv_command *command);
void kv_answer_change(struct kv_subscription *subscription, struct kv_news *news);

/* Sends the newest state of keys that fell behind, while there is room. */
void kv_answer_behind(struct kv_session *session);

/* Answers with an error, in order. id: empty where there is none. */
void kv_answer_error(struct kv_session *session, struct kv_slice id, const char *text);

#endif
