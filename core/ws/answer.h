/*
 * Answers to messages.
 */
#ifndef KV_WS_ANSWER_H
#define KV_WS_ANSWER_H

#include "ws/session.h"

void kv_answer_finished(struct kv_command *command);

/* Answers with an error, in order. id: empty if there is none; status: an HTTP status. */
void kv_answer_error(struct kv_session *session, struct kv_slice id, int status, const char *text);

/* Answers a `hello`, in order. */
void kv_answer_hello(struct kv_session *session, struct kv_slice id);

/* Confirms that a message's request is done, if the message has an id. */
void kv_answer_done(struct kv_session *session, struct kv_slice id);

/* Warns the peer that its token expires in this many seconds. */
void kv_answer_expiring(struct kv_session *session, int64_t left_s);

/* Answers that the peer exceeds a rate. */
void kv_answer_excess(struct kv_session *session, struct kv_slice id,
                      const struct kv_excess *excess);

#endif
