/*
 * Access: turns credentials into principals. One struct kv_access for the process, with the rules
 * in force; one struct kv_access_loop for each event loop, with the principals of that loop.
 */
#ifndef KV_ACCESS_ACCESS_H
#define KV_ACCESS_ACCESS_H

#include <string.h>

#include "access/denials.h"
#include "access/principal.h"
#include "access/revocations.h"
#include "access/rules.h"
#include "base/clock.h"

struct kv_access;
struct kv_tally;

/* The principals of one loop. */
struct kv_access_loop {
    struct kv_rules *rules;             /* the rules that the loop uses */
    uint64_t generation;                /* increases when principals have to be judged anew */
    uint64_t rules_generation;          /* increases when principals have to be created anew */
    struct kv_revocations *revocations; /* NULL: there are none */
    struct kv_principal *anonymous;
    bool is_metered;          /* the rules limit rates or connections */
    struct kv_meters *meters; /* of all loops */
    struct kv_access *access;
    struct kv_denials *denials;  /* of all loops */
    struct kv_principals *known; /* principals whose tokens were seen recently */
    const int64_t *turn_ns;      /* when the loop's turn began; 0 between turns */
    int64_t clock_turn_ns;       /* the turn in which the wall clock was read; -1: none */
    int64_t clock_s;             /* and its time then, since 1970 */
};

/* Takes the rules over. Owns: the caller, by kv_access_destroy(). */
struct kv_access *kv_access_create(struct kv_rules *rules, uint32_t n_loops);

/* Call after the loops have ended: all principals must have been released. Accepts NULL. */
void kv_access_destroy(struct kv_access *access);

/* Sets the revocations that tokens are checked against. Lent. Call before the loops run. */
void kv_access_use_revocations(struct kv_access *access, struct kv_revocations *revocations);

/* Sets the tally that counts the loop's principals. Call before the loops run. */
void kv_access_count(struct kv_access *access, uint32_t loop, struct kv_tally *tally);

/* Lets the loop read the wall clock only once a turn. turn_ns: points to the time when the loop's
 * turn began, 0 between turns; lent. Call before the loops run. */
void kv_access_tell_turns(struct kv_access *access, uint32_t loop, const int64_t *turn_ns);

/* Lent. */
struct kv_access_loop *kv_access_on(struct kv_access *access, uint32_t loop);

/* The log and counts of denials. Lent. */
struct kv_denials *kv_access_denials(struct kv_access *access);

/* Puts other rules into force, and takes them over; NULL: the rules stay, but the verdicts of an
 * authenticator have changed. Each loop uses the previous ones until kv_access_take_up(). Threads:
 * any. */
void kv_access_revise(struct kv_access *access, struct kv_rules *rules);

/* Call when tokens have been revoked. Every loop judges its principals anew, as after a change of
 * the rules, but verifies no token again. Threads: any. */
void kv_access_recheck(struct kv_access *access);

/* Makes the loop use the rules that are in force. Principals of the previous generation have to be
 * judged anew (kv_access_renew). On the loop's thread. */
void kv_access_take_up(struct kv_access_loop *here);

/* Whether there are rules; otherwise every client may do everything. */
static inline bool kv_access_is_configured(const struct kv_access_loop *here)
{
    return here->rules->are_configured;
}

/* The principal of a client without a token. certificate: the name in the connection's certificate,
 * which may stand for a static token; otherwise the client is anonymous. ends_s: since 1970, when
 * the certificate has expired. Owns: the caller, one reference. Returns: NULL if it has expired,
 * and *reterr. */
struct kv_principal *kv_access_certified(struct kv_access_loop *here, struct kv_slice certificate,
                                         int64_t ends_s, int64_t now_s, struct kv_error *reterr);

/* The principal of clients without credentials. Owns: the caller, one reference. */
struct kv_principal *kv_access_anonymous(struct kv_access_loop *here);

/* The principal that a token identifies at present. token: any bytes. Owns: the caller, one
 * reference.
 * Returns: NULL if the token is not valid, and *reterr, a sentence that contains no part of it. */
struct kv_principal *kv_access_authenticate(struct kv_access_loop *here, struct kv_slice token,
                                            int64_t now_s, struct kv_error *reterr);

/* The same principal by the present rules. Owns: the caller, one reference. Returns: NULL if it is
 * no longer valid, and *reterr. */
struct kv_principal *kv_access_renew(struct kv_access_loop *here, struct kv_principal *principal,
                                     int64_t now_s, struct kv_error *reterr);

#define KV_UNSURE_TEXT "it is not known at the moment which tokens are revoked"

/* Whether a principal was refused only because it may have been revoked: a refusal that is not
 * final. */
static inline bool kv_access_was_unsure(const struct kv_error *error)
{
    return strcmp(error->text, KV_UNSURE_TEXT) == 0;
}

/* The meter of an address, if addresses are metered. Owns: the caller, by kv_meter_put(). Returns:
 * NULL if they are not, or there is no address. */
struct kv_meter *kv_access_meter_at(struct kv_access_loop *here, const struct kv_address *address);

/* Why a request or a connection exceeds its rate. */
struct kv_excess {
    const char *why; /* constant */
    int64_t wait_ms; /* until one more is allowed: 1 or more */
};

/* Counts one more request or connection. of_address, of_token: NULL if that is not metered. now_ns:
 * of kv_clock_boot. Returns: whether it is within the rates; otherwise *ret, which the caller logs.
 */
bool kv_access_take(const struct kv_access_loop *here, enum kv_metered what,
                    struct kv_meter *of_address, struct kv_meter *of_token, int64_t now_ns,
                    struct kv_excess *ret);

/* Whether a key revokes tokens, and none of the grants names the prefix of such keys: then it must
 * not be written. So a grant to write all keys does not include revoking tokens. */
bool kv_access_reserves(const struct kv_access_loop *here, const struct kv_grants *grants,
                        struct kv_slice key);

/* Whether the principal was judged by the rules that the loop uses. */
static inline bool kv_access_is_current(const struct kv_access_loop *here,
                                        const struct kv_principal *principal)
{
    return principal->generation == here->generation;
}

/* Reads the wall clock. */
void kv_access_look_at_clock(struct kv_access_loop *here);

/* The wall clock, in seconds since 1970, as of the loop's turn. */
static inline int64_t kv_access_now_s(struct kv_access_loop *here)
{
    if (*here->turn_ns != here->clock_turn_ns)
        kv_access_look_at_clock(here);
    return here->clock_s;
}

#endif
