/* A session's state decides which actions are allowed; it only moves forward. */
#include "ws/session.h"

void kv_session_activate(struct kv_session *session)
{
    if (kv_list_is_empty(&session->in_active))
        kv_list_append(&session->here->active, &session->in_active);
}

void kv_session_begin_closing(struct kv_session *session)
{
    session->state = KV_SESSION_CLOSING;
    kv_leases_end(&session->leases); /* without waiting for the peer to close its side */
    kv_session_activate(session);
}

void kv_session_close(struct kv_session *session, uint16_t code, const char *reason)
{
    kv_frames_close(&session->out, code, kv_slice_of(reason));
    kv_session_begin_closing(session);
}

void kv_session_end(struct kv_session *session)
{
    if (session->state == KV_SESSION_OPEN)
        session->state = KV_SESSION_ENDING;
    kv_session_activate(session);
}
