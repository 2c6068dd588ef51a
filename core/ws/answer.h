/*
 * Answers to messages.
 */
#ifndef KV_WS_ANSWER_H
#define KV_WS_ANSWER_H

#include "ws/session.h"

void kv_answer_finished(struct kv_command *command);

/* Answers with an error, in order. id: empty where there is none; status: as HTTP has it. */
void kv_answer_error(struct kv_session *session, struct kv_slice id, int status, const char *text);

/* Answers a `hello`, in order. */
void kv_answer_hello(struct kv_session *session, struct kv_slice id);

/* Answers that what a message asked for is done, if it has an id. */
void kv_answer_done(struct kv_session *session, struct kv_slice id);

/* Tells the peer that its token ends in so many seconds. */
void kv_answer_expiring(struct kv_session *session, int64_t left_s);

/* Says that the peer asks too often. */
void kv_answer_excess(struct kv_session *session, struct kv_slice id,
                      const struct kv_excess *excess);

#endif
