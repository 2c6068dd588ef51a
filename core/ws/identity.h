/*
 * As whom a session acts: by the handshake, by messages of the type `auth`, and for how long.
 */
#ifndef KV_WS_IDENTITY_H
#define KV_WS_IDENTITY_H

#include "ws/session.h"

/* The session begins. principal: that of the handshake. */
void kv_identity_begin(struct kv_session *session, struct kv_principal *principal);
void kv_identity_end(struct kv_session *session);

/* The peer has sent a token. id: of its message; empty for none. */
void kv_identity_take_token(struct kv_session *session, struct kv_slice token, struct kv_slice id);

/* Other rules are in force: the session is closed where they do not allow it. */
void kv_identity_revise(struct kv_session *session);

/* Limits the messages to what its principal, and the configuration, allow. */
void kv_identity_limit_messages(struct kv_session *session);

#endif
