/*
 * The principal of a session: from the handshake, or from messages of the type `auth`, and its
 * expiry.
 */
#ifndef KV_WS_IDENTITY_H
#define KV_WS_IDENTITY_H

#include "ws/session.h"

/* Begins with the principal of the handshake. */
void kv_identity_begin(struct kv_session *session, struct kv_principal *principal);
void kv_identity_end(struct kv_session *session);

/* Handles a token that the peer has sent. id: of its message; empty for none. */
void kv_identity_take_token(struct kv_session *session, struct kv_slice token, struct kv_slice id);

/* The rules of access have changed: closes the session if they do not allow it. */
void kv_identity_revise(struct kv_session *session);

/* Limits the length of messages to what its principal, and the configuration, allow. */
void kv_identity_limit_messages(struct kv_session *session);

#endif
