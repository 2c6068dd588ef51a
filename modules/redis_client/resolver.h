/*
 * Looks up names with a time limit. getaddrinfo() cannot be interrupted, so it runs on a thread of
 * its own. A lookup whose caller gave up goes on, and the next call for the same name waits for its
 * result; a resolver never has two lookups in progress.
 */
#ifndef KV_REDIS_CLIENT_RESOLVER_H
#define KV_REDIS_CLIENT_RESOLVER_H

#include <kvserver/types.h>

#include <netdb.h>
#include <stdatomic.h>

struct lookup;

/* Initialize it with zeros. For one thread at a time. */
struct resolver {
    struct lookup *pending; /* the lookup in progress; NULL: none */
};

/* How long an attempt to connect may wait. */
struct patience {
    int64_t until_ms;            /* of patience_clock_ms() */
    const atomic_bool *gives_up; /* if set, the wait ends early; NULL: never */
};

/* Milliseconds of a monotonic clock. */
int64_t patience_clock_ms(void);

/* Returns: how long to wait before calling this again; 0: the wait is over. */
int patience_left_ms(const struct patience *patience);

/* Finds the addresses of host and port. *ret_peers: to be freed by freeaddrinfo().
 * Returns: 0, or an EAI_ number; EAI_AGAIN if it takes too long. */
int resolver_find(struct resolver *resolver, const char *host, int port,
                  const struct patience *patience, struct addrinfo **ret_peers);

/* Frees the resolver; does not wait for a lookup in progress. */
void resolver_fini(struct resolver *resolver);

#endif
