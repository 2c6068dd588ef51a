/*
 * Access: from credentials to principals. One struct kv_access for the process, with the rules that
 * are in force; one struct kv_access_loop for each event loop, with the principals of that loop.
 */
#ifndef KV_ACCESS_ACCESS_H
#define KV_ACCESS_ACCESS_H

#include "access/denials.h"
#include "access/principal.h"
#include "access/revocations.h"
#include "access/rules.h"

struct kv_access;
struct kv_tally;

/* The principals of one loop. */
struct kv_access_loop {
    struct kv_rules *rules;             /* as the loop knows them */
    uint64_t generation;                /* grows where principals are to be judged anew, */
    uint64_t rules_generation;          /* and where they are to be made anew */
    struct kv_revocations *revocations; /* NULL: there are none */
    struct kv_principal *anonymous;
    bool is_metered;          /* by the rules */
    struct kv_meters *meters; /* of all loops */
    struct kv_access *access;
    struct kv_denials *denials;  /* of all loops */
    struct kv_principals *known; /* those whose tokens were seen lately */
};

/* Takes the rules over. Owns: the caller. */
struct kv_access *kv_access_create(struct kv_rules *rules, uint32_t n_loops);

/* After the loops have ended: nobody may hold a principal any more. Accepts NULL. */
void kv_access_destroy(struct kv_access *access);

/* Sets the revocations that tokens are checked against. Lent. Call before the loops run. */
void kv_access_use_revocations(struct kv_access *access, struct kv_revocations *revocations);

/* The principals of a loop are counted by its tally. Before the loops run. */
void kv_access_count(struct kv_access *access, uint32_t loop, struct kv_tally *tally);

/* Lent. */
struct kv_access_loop *kv_access_on(struct kv_access *access, uint32_t loop);

/* What is denied, to be logged. Lent. */
struct kv_denials *kv_access_denials(struct kv_access *access);

/* Puts other rules into force, which it takes over; NULL: the same ones, of which an authenticator
 * judges otherwise now. Each loop goes by what was in force before until kv_access_take_up().
 * Threads: any. */
void kv_access_revise(struct kv_access *access, struct kv_rules *rules);

/* Call when tokens have been revoked. Every loop judges its principals anew, as after a change of
 * the rules, but verifies no token again. Threads: any. */
void kv_access_recheck(struct kv_access *access);

/* The loop goes by the rules that are in force now. Principals of the generation before are to be
 * judged anew (kv_access_renew). On the loop's thread. */
void kv_access_take_up(struct kv_access_loop *here);

/* Whether there are rules; otherwise everybody may do everything. */
static inline bool kv_access_is_configured(const struct kv_access_loop *here)
{
    return here->rules->are_configured;
}

/* The principal of a client that brings no token. certificate: the name in the connection's
 * certificate, which may be that of a static token; empty: none, and the client is anonymous. Owns:
 * the caller, one reference. */
struct kv_principal *kv_access_tokenless(struct kv_access_loop *here, struct kv_slice certificate);

/* Whoever brings no credentials. Owns: the caller, one reference. */
struct kv_principal *kv_access_anonymous(struct kv_access_loop *here);

/* Whom a token identifies now. token: any bytes. Owns: the caller, one reference.
 * Returns: NULL where the token is not valid, and *reterr, a sentence without any part of it. */
struct kv_principal *kv_access_authenticate(struct kv_access_loop *here, struct kv_slice token,
                                            int64_t now_s, struct kv_error *reterr);

/* The same somebody by the rules of now. Owns: the caller, one reference. Returns: NULL where that
 * no longer holds, and *reterr. */
struct kv_principal *kv_access_renew(struct kv_access_loop *here, struct kv_principal *principal,
                                     int64_t now_s, struct kv_error *reterr);

/* The meter of an address, where addresses are metered. Owns: the caller, by kv_meter_put().
 * Returns: NULL where they are not, or there is no address. */
struct kv_meter *kv_access_meter_at(struct kv_access_loop *here, const struct kv_address *address);

/* Why a request or a connection exceeds its rate. */
struct kv_excess {
    const char *why; /* constant */
    int64_t wait_ms; /* until one more is allowed: 1 or more */
};

/* Counts one more request or connection. of_address, of_token: NULL if that is not metered. now_ns:
 * of kv_clock_boot. Returns: whether it is within the rates; otherwise *ret. */
bool kv_access_take(const struct kv_access_loop *here, enum kv_metered what,
                    struct kv_meter *of_address, struct kv_meter *of_token, int64_t now_ns,
                    struct kv_excess *ret);

/* Whether a key revokes tokens, and none of the grants names the prefix of such keys: then it is
 * not written. Who may write every key need not be one who may revoke tokens. */
bool kv_access_reserves(const struct kv_access_loop *here, const struct kv_grants *grants,
                        struct kv_slice key);

/* Whether it was judged by what the loop goes by. */
static inline bool kv_access_is_current(const struct kv_access_loop *here,
                                        const struct kv_principal *principal)
{
    return principal->generation == here->generation;
}

#endif
