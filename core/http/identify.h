/*
 * Identifies the client of a request: reads the credentials of the request, and finds their
 * principal.
 */
#ifndef KV_HTTP_IDENTIFY_H
#define KV_HTTP_IDENTIFY_H

#include "base/clock.h"
#include "http/exchange.h"

/* The slow path of kv_http_identify(). */
bool kv_http_identify_anew(struct kv_exchange *exchange, const struct kv_request *request);

/* Whether the request has the credentials by which the client was identified last. Expiry is not
 * checked here: it is checked with each command, and these requests do nothing else that needs a
 * right. */
static inline bool kv_http_is_identified(const struct kv_access_loop *access,
                                         const struct kv_principal *principal,
                                         const struct kv_request *request)
{
    struct kv_slice token = request->token;
    if (token.len == 0)
        return principal == access->anonymous && request->certificate == NULL;
    return kv_access_is_current(access, principal) &&
           (request->is_usual_token || kv_slice_equals(token, principal->token));
}

/* Identifies the exchange's client by the credentials of the request, the first that is present of:
 * its Authorization; for a WebSocket, a subprotocol; a cookie, if these are accepted; the
 * certificate of the connection, if it is configured and the request does not come from an unknown
 * page; none. Returns: false if they are bad, and the request has been refused. */
static inline bool kv_http_identify(struct kv_exchange *exchange, const struct kv_request *request)
{
    return (request->n_headers == 0 &&
            kv_http_is_identified(exchange->here->access, exchange->client->principal, request)) ||
           kv_http_identify_anew(exchange, request);
}

/* Refuses a request for lack of a right: 401 if the client has not identified itself, otherwise
 * 403. */
void kv_http_refuse_right(struct kv_exchange *exchange, const char *text);

/* Refuses a request beyond the client's rate. */
void kv_http_refuse_excess(struct kv_exchange *exchange, const struct kv_excess *excess);

#endif
