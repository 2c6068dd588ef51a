/*
 * Who a request comes from: the credentials that it brings, and the principal that they identify.
 */
#ifndef KV_HTTP_IDENTIFY_H
#define KV_HTTP_IDENTIFY_H

#include "base/clock.h"
#include "http/exchange.h"

/* The slow way of kv_http_identify(). */
bool kv_http_identify_anew(struct kv_exchange *exchange, const struct kv_request *request);

/* Whether the request brings the same credentials by which the client was identified last. Expiry
 * is not checked here: it is checked for each command, and these requests do nothing else that
 * needs a right. */
static inline bool kv_http_is_identified(const struct kv_access_loop *access,
                                         const struct kv_principal *principal,
                                         const struct kv_request *request)
{
    struct kv_slice token = request->token;
    if (token.len == 0)
        return principal == access->anonymous && request->certificate.len == 0;
    return kv_access_is_current(access, principal) &&
           (request->is_usual_token || kv_slice_equals(token, principal->token));
}

/* Identifies the exchange's client by what the request brings: its Authorization; for a WebSocket
 * a subprotocol; a cookie, where these are taken; the certificate of the connection, if somebody
 * is configured for it and no page that is not known sends the request; nothing. The first of these
 * that is there decides. Returns: false where it is bad, and the request has been refused. */
static inline bool kv_http_identify(struct kv_exchange *exchange, const struct kv_request *request)
{
    return (request->n_headers == 0 &&
            kv_http_is_identified(exchange->here->access, exchange->client->principal, request)) ||
           kv_http_identify_anew(exchange, request);
}

/* Refuses what the client's principal may not do: 401 where it has not said who it is, else 403. */
void kv_http_refuse_right(struct kv_exchange *exchange, const char *text);

/* Refuses a request beyond the client's rate. */
void kv_http_refuse_excess(struct kv_exchange *exchange, const struct kv_excess *excess);

#endif
