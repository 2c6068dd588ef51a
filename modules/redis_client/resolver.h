/*
 * Looks names up, for no longer than the caller wants to wait: getaddrinfo() takes as long as it
 * likes, so it runs on a thread of its own. One that is given up goes on, and who asks for the same
 * name again waits for what it finds; there is never a second one beside it.
 */
#ifndef KV_REDIS_CLIENT_RESOLVER_H
#define KV_REDIS_CLIENT_RESOLVER_H

#include <kvserver/types.h>

#include <netdb.h>
#include <stdatomic.h>

struct lookup;

/* Begins as zeros. For one thread at a time. */
struct resolver {
    struct lookup *pending; /* NULL: none was given up */
};

/* What an attempt to connect waits with. */
struct patience {
    int64_t until_ms;            /* of patience_clock_ms() */
    const atomic_bool *gives_up; /* if set, the wait ends early; NULL: nobody sets it */
};

/* Milliseconds of a monotonic clock. */
int64_t patience_clock_ms(void);

/* Returns: what is left, but no more than is to be waited without looking again; 0: the wait is
 * over. */
int patience_left_ms(const struct patience *patience);

/* Finds the addresses of host and port. *ret_peers: to be freed by freeaddrinfo().
 * Returns: 0, or an EAI_ number; EAI_AGAIN if it takes too long. */
int resolver_find(struct resolver *resolver, const char *host, int port,
                  const struct patience *patience, struct addrinfo **ret_peers);

/* Does not wait for what is under way. */
void resolver_fini(struct resolver *resolver);

#endif
