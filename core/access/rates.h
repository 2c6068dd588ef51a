/*
 * Rates: how much one may ask for in a time, by token and by address. A meter is that of one token
 * or one address, for all loops; the meters of those who have not come for a while are forgotten,
 * and there are so many of them at most.
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

/* So many in a period; that many may come at once, and then one by one as the period goes on. All
 * zero: any number. */
struct kv_rate {
    int64_t interval_ns; /* after which there may be one more */
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
    KV_MOST_METERS = 65536 /* those beyond share one */
};

struct kv_meter;
struct kv_meters;

struct kv_meters *kv_meters_create(void);
/* All meters have been given back. */
void kv_meters_destroy(struct kv_meters *meters);

/* The meter of somebody with an identity: a name, and where it is unique. Owns: the caller, by
 * kv_meter_put(). */
struct kv_meter *kv_meters_of_name(struct kv_meters *meters, struct kv_slice issuer,
                                   struct kv_slice name, int64_t now_ns);

/* The meter of an address; of IPv6, of its network of 64 bits. Owns: as above. */
struct kv_meter *kv_meters_of_address(struct kv_meters *meters, const struct kv_address *address,
                                      int64_t now_ns);

/* Accepts NULL. */
void kv_meter_put(struct kv_meter *meter);

/* Takes one more of what is metered. now_ns: of the clock that all of them go by. Returns: 0; or
 * in how many nanoseconds there may be one, and none is taken. */
int64_t kv_meter_take(struct kv_meter *meter, enum kv_metered what, const struct kv_rate *rate,
                      int64_t now_ns);

/* The same, but nothing is taken. */
int64_t kv_meter_wait_ns(const struct kv_meter *meter, enum kv_metered what,
                         const struct kv_rate *rate, int64_t now_ns);

/* Whether fewer connections than `most` (0: any number) act for whom the meter is of. Loops that
 * ask at once may let some more in. */
bool kv_meter_has_room(const struct kv_meter *meter, uint32_t most);
/* One more does, and one fewer. */
void kv_meter_join(struct kv_meter *meter);
void kv_meter_leave(struct kv_meter *meter);

/* How many there are, for tests. */
size_t kv_meters_count(struct kv_meters *meters);

#endif
