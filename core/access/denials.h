/*
 * Denied requests: counted by cause, and logged at a limited rate, so that no client can fill the
 * log. No line contains a token.
 *
 * Threads: any.
 */
#ifndef KV_ACCESS_DENIALS_H
#define KV_ACCESS_DENIALS_H

#include <stdatomic.h>

#include "access/principal.h"
#include "base/metrics.h"

enum {
    KV_DENIALS_A_SECOND = 5
};

enum kv_denial {
    KV_DENIED_BAD_TOKEN, /* the token is unknown, malformed or expired */
    KV_DENIED_NO_TOKEN,  /* the client is anonymous, and has no right to this */
    KV_DENIED_NO_RIGHT,
    KV_DENIED_ENDED, /* the token was valid when the connection, or the request, began, but is no
                        longer */
    KV_DENIED_TOO_OFTEN,
    KV_N_DENIALS
};

/* All zero to begin with. */
struct kv_denials {
    _Atomic int64_t second;     /* the second that is being counted */
    _Atomic uint32_t n;         /* denials in it */
    _Atomic uint32_t n_omitted; /* not logged, and not yet reported as omitted */
    _Atomic uint64_t by_cause[KV_N_DENIALS];
};

/* The client that is denied something. A name tells more than an address does, so the log has the
 * address only of a client without one. */
struct kv_denied {
    const struct kv_principal *principal; /* NULL: it is not identified yet */
    const char *address;                  /* NULL: it has none */
};

/* Logs a denied command. action: "get", "list", …; key: of the command, or the prefix. */
void kv_denials_log(struct kv_denials *denials, enum kv_denial cause,
                    const struct kv_denied *client, const char *action, struct kv_slice key,
                    const char *why);

/* Logs a refused token. part: the part of the program that refused it ("http", "websocket").
 * address: of the client; NULL if it has none. */
void kv_denials_log_token(struct kv_denials *denials, const char *part, const char *address,
                          const char *why);

/* Logs a request or a connection beyond its rate. */
void kv_denials_log_excess(struct kv_denials *denials, const struct kv_denied *client,
                           const char *why);

/* Logs a connection whose client is set up for another protocol. Not counted, as it is no denial.
 * address: of the peer; NULL if it has none. */
void kv_denials_log_mistake(struct kv_denials *denials, const char *address, const char *why);

/* Writes its metrics. */
void kv_denials_collect(const struct kv_denials *denials, struct kv_metrics_text *text);

#endif
