/*
 * A session without rights has to send a token soon, and only short messages until then. A failed
 * token removes all rights, so that no client continues with its previous ones by mistake.
 */
#include "ws/identity.h"

#include "ws/answer.h"

enum {
    LONGEST_BEFORE_AUTH = 16 << 10, /* bytes of a message */
    LONGEST_WAIT_MS = 60000,        /* the wall clock may be set meanwhile */
    WARNING_S = 60
};

static struct kv_principal *principal_of(const struct kv_session *session)
{
    return session->client->principal;
}

static int64_t wall_ms(void)
{
    return kv_wall_us() / 1000;
}

/* The expiry of the token as stated in it, without the leeway. */
static int64_t end_s(const struct kv_principal *principal)
{
    return principal->expires_s - KV_EXPIRY_LEEWAY_S;
}

static int64_t least_of(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* ---- timers ---- */

static void wait_for(struct kv_session *session, int64_t left_ms)
{
    kv_timer_start(session->here->loop, &session->identity_timer,
                   kv_loop_now_ms(session->here->loop) + least_of(left_ms, LONGEST_WAIT_MS));
}

static void plan(struct kv_session *session)
{
    const struct kv_principal *principal = principal_of(session);
    kv_timer_stop(session->here->loop, &session->identity_timer);
    if (kv_principal_may_nothing(principal))
        wait_for(session, session->auth_by_ms - kv_loop_now_ms(session->here->loop));
    else if (principal->expires_s != 0 && !session->was_warned)
        wait_for(session, (end_s(principal) - WARNING_S) * 1000 - wall_ms());
    else if (principal->expires_s != 0)
        wait_for(session, principal->expires_s * 1000 - wall_ms());
}

static void shut_out_with(struct kv_session *session, uint16_t code, const char *why)
{
    if (kv_session_talks(session))
        kv_session_close(session, code, why);
    kv_client_identify(session->client, &kv_principal_nobody);
    kv_timer_stop(session->here->loop, &session->identity_timer);
}

static void shut_out(struct kv_session *session, const char *why)
{
    shut_out_with(session, KV_CLOSE_UNAUTHORIZED, why);
}

static void warn(struct kv_session *session)
{
    int64_t left_s = end_s(principal_of(session)) - wall_ms() / 1000;
    session->was_warned = true;
    kv_answer_expiring(session, left_s < 0 ? 0 : left_s);
}

static void on_timer(struct kv_timer *timer)
{
    struct kv_session *session = KV_CONTAINER(timer, struct kv_session, identity_timer);
    const struct kv_principal *principal = principal_of(session);
    int64_t now_s = wall_ms() / 1000;
    if (!kv_session_talks(session))
        return;
    if (kv_principal_has_expired(principal, now_s)) {
        shut_out(session, principal->certificate.len != 0 ? "the certificate has expired"
                                                          : "the token has expired");
        return;
    }
    if (kv_principal_may_nothing(principal) &&
        kv_loop_now_ms(session->here->loop) >= session->auth_by_ms) {
        shut_out(session, "no valid token has come in time");
        return;
    }
    if (principal->expires_s != 0 && !session->was_warned && now_s >= end_s(principal) - WARNING_S)
        warn(session);
    plan(session);
}

/* ---- identities ---- */

void kv_identity_limit_messages(struct kv_session *session)
{
    size_t most = kv_session_config(session)->max_message_bytes;
    bool may_nothing = kv_principal_may_nothing(principal_of(session));
    session->incoming.frames.max_message_bytes =
        may_nothing && most > LONGEST_BEFORE_AUTH ? LONGEST_BEFORE_AUTH : most;
}

/* A token is announced to expire once, even if it is judged anew. No message can renew a
 * certificate. */
static bool needs_no_warning(const struct kv_session *session, const struct kv_principal *principal)
{
    bool is_same = principal->token.len != 0 &&
                   kv_slice_equals(principal->token, principal_of(session)->token);
    return principal->certificate.len != 0 || (is_same && session->was_warned);
}

static void identify(struct kv_session *session, struct kv_principal *principal)
{
    const struct kv_ws_config *config = kv_session_config(session);
    bool is_warned = needs_no_warning(session, principal);
    bool could_nothing = kv_principal_may_nothing(principal_of(session));
    if (!could_nothing || session->auth_by_ms == 0) /* a failed attempt does not extend the time */
        session->auth_by_ms = kv_loop_now_ms(session->here->loop) + config->auth_ms;
    kv_client_identify(session->client, principal);
    kv_leases_end_forbidden(&session->leases, principal);
    session->was_warned = is_warned;
    kv_identity_limit_messages(session);
    plan(session);
}

void kv_identity_begin(struct kv_session *session, struct kv_principal *principal)
{
    session->identity_timer.fire = on_timer;
    identify(session, principal);
    if (!kv_access_is_current(session->here->access, principal))
        kv_identity_revise(session); /* the rules changed during the hand-over */
}

void kv_identity_end(struct kv_session *session)
{
    kv_timer_stop(session->here->loop, &session->identity_timer);
}

/* Returns: the principal of the token; NULL and *reterr if it is not acceptable. */
static struct kv_principal *authenticate(const struct kv_session *session, struct kv_slice token,
                                         struct kv_error *reterr)
{
    const struct kv_principal *before = principal_of(session);
    struct kv_principal *principal =
        kv_access_authenticate(session->here->access, token, wall_ms() / 1000, reterr);
    if (principal == NULL || !kv_principal_is_identified(before) ||
        kv_principal_is_same(principal, before))
        return principal;
    kv_principal_unref(principal);
    kv_error_set(reterr, "the token is for another client than this connection");
    return NULL;
}

static void log_refusal(const struct kv_session *session, const char *why)
{
    struct kv_address_text address;
    bool has_address = kv_client_address(session->client, &address);
    kv_denials_log_token(session->here->access->denials, "websocket",
                         has_address ? address.text : NULL, why);
}

/* The token is good, but may have too many connections: then nothing changes, and the token may
 * come once more. */
static void join(struct kv_session *session, struct kv_principal *principal, struct kv_slice id)
{
    struct kv_excess excess;
    if (!kv_client_may_join(session->client, principal, &excess)) {
        kv_answer_excess(session, id, &excess);
        return;
    }
    kv_answer_done(session, id);
    identify(session, principal);
}

void kv_identity_take_token(struct kv_session *session, struct kv_slice token, struct kv_slice id)
{
    struct kv_error error = {0};
    if (!kv_access_is_configured(session->here->access)) {
        kv_answer_done(session, id);
        return;
    }
    struct kv_principal *principal = authenticate(session, token, &error);
    if (principal == NULL && kv_access_was_unsure(&error)) {
        kv_answer_error(session, id, 503, KV_UNSURE_TEXT);
        return;
    }
    if (principal == NULL) {
        log_refusal(session, error.text);
        kv_answer_error(session, id, 401, error.text);
        identify(session, &kv_principal_nobody);
        return;
    }
    join(session, principal, id);
    kv_principal_unref(principal);
}

void kv_identity_revise(struct kv_session *session)
{
    struct kv_error error = {0};
    struct kv_principal *renewed =
        kv_access_renew(session->here->access, principal_of(session), wall_ms() / 1000, &error);
    if (renewed == NULL) {
        if (kv_access_was_unsure(&error))
            shut_out_with(session, KV_CLOSE_TRY_AGAIN_LATER, KV_UNSURE_TEXT);
        else
            shut_out(session, "the token is no longer valid");
        return;
    }
    if (renewed != principal_of(session))
        identify(session, renewed);
    kv_principal_unref(renewed);
}
