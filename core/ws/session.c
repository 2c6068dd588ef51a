/* A session's state decides which actions are allowed; it only moves forward. */
#include "ws/session.h"

void kv_session_activate(struct kv_session *session)
{
    if (kv_list_is_empty(&session->in_active))
        kv_list_append(&session->here->active, &session->in_active);
}

bool kv_session_may_read(const struct kv_session *session)
{
    const struct kv_ws_config *config = kv_session_config(session);
    if (session->state == KV_SESSION_CLOSING || session->state == KV_SESSION_SENT)
        return true; /* until the peer's close has come */
    return session->state == KV_SESSION_OPEN && !session->here->is_draining &&
           session->reading == NULL && session->client->n_commands < config->max_pending &&
           kv_client_takes_more(session->client);
}

void kv_session_begin_closing(struct kv_session *session)
{
    session->state = KV_SESSION_CLOSING;
    kv_leases_end(&session->leases); /* not only when the peer has closed its side */
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
