/*
 * Limits on the rate of requests and new connections, by token and by address. A meter counts for
 * one token or one address, on all loops. The number of meters is bounded: those that have not been
 * used for a while are dropped.
 *
 * Threads: any.
 */
#ifndef KV_ACCESS_RATES_H
#define KV_ACCESS_RATES_H

#include <stdatomic.h>

#include "wire/address.h"

enum kv_metered {
    KV_METERED_REQUESTS,
    KV_METERED_CONNECTIONS,
    KV_N_METERED
};

/* A number per period: a burst of that number is allowed, then one per interval. All zero: no
 * limit. */
struct kv_rate {
    int64_t interval_ns; /* period_ns divided by the number */
    int64_t period_ns;
};

struct kv_rates {
    struct kv_rate of[KV_N_METERED];
    bool by_token, by_address;
};

/* n: 1 or more, within a period of at least as many nanoseconds. */
static inline struct kv_rate kv_rate_of(int64_t n, int64_t period_ns)
{
    return (struct kv_rate){period_ns / n, period_ns};
}

static inline bool kv_rates_are_given(const struct kv_rates *rates)
{
    return rates->of[KV_METERED_REQUESTS].interval_ns != 0 ||
           rates->of[KV_METERED_CONNECTIONS].interval_ns != 0;
}

enum {
    KV_MOST_METERS = 65536 /* further tokens and addresses share one */
};

struct kv_meter;
struct kv_meters;

struct kv_meters *kv_meters_create(void);
/* All meters must have been given back. */
void kv_meters_destroy(struct kv_meters *meters);

/* The meter of a token or subject: its name, and the issuer within which that is unique. Owns: the
 * caller, by kv_meter_put(). */
struct kv_meter *kv_meters_of_name(struct kv_meters *meters, struct kv_slice issuer,
                                   struct kv_slice name, int64_t now_ns);

/* The meter of an address; of IPv6, of its network of 64 bits. Owns: as above. */
struct kv_meter *kv_meters_of_address(struct kv_meters *meters, const struct kv_address *address,
                                      int64_t now_ns);

/* Accepts NULL. */
void kv_meter_put(struct kv_meter *meter);

/* Counts one more request or connection. now_ns: of the clock that all meters use. Returns: 0; or
 * the nanoseconds until one more is allowed, and nothing was counted. */
int64_t kv_meter_take(struct kv_meter *meter, enum kv_metered what, const struct kv_rate *rate,
                      int64_t now_ns);

/* Whether the token or subject of the meter has fewer connections than `most` (0: any number).
 * Loops that ask at the same time may exceed `most` by a few. */
bool kv_meter_has_room(const struct kv_meter *meter, uint32_t most);
/* Count a connection of the token or subject, and stop counting it. */
void kv_meter_join(struct kv_meter *meter);
void kv_meter_leave(struct kv_meter *meter);

/* The number of meters, for tests. */
size_t kv_meters_count(struct kv_meters *meters);

#endif
