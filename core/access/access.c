/*
 * A loop remembers the principals of recent tokens, so that a token is verified once for all
 * connections that send it. They belong to the loop's rules, and are forgotten with them.
 */
#include "access/access.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/table.h"

enum {
    MOST_KNOWN = 1024 /* tokens of one loop */
};

struct known {
    struct kv_table_node node;
    struct kv_list in_age;
    struct kv_principal *principal;
};

struct kv_principals {
    struct kv_table by_token;
    struct kv_list by_age; /* the most recent last */
    struct kv_tally *tally;
};

struct kv_access {
    pthread_mutex_t lock; /* of `rules` and `generation` */
    struct kv_rules *rules;
    uint64_t generation, rules_generation; /* as kv_access_loop has them */
    uint32_t n_loops;
    struct kv_denials denials;
    struct kv_meters *meters;
    struct kv_principals *known; /* one for each loop */
    struct kv_access_loop loops[];
};

static const int64_t between_turns_ns = 0;

/* ---- known principals ---- */

static void forget(struct kv_principals *principals, struct known *known)
{
    kv_table_remove(&principals->by_token, &known->node);
    kv_list_remove(&known->in_age);
    kv_principal_unref(known->principal);
    free(known);
}

static struct known *oldest(const struct kv_principals *principals)
{
    return KV_CONTAINER(principals->by_age.next, struct known, in_age);
}

static void forget_all(struct kv_principals *principals)
{
    while (!kv_list_is_empty(&principals->by_age))
        forget(principals, oldest(principals));
    kv_table_fini(&principals->by_token);
    principals->by_token = (struct kv_table){0};
}

static struct known *find(const struct kv_principals *principals, struct kv_slice token,
                          uint64_t hash)
{
    KV_TABLE_EACH(&principals->by_token, hash, node)
    {
        struct known *known = KV_CONTAINER(node, struct known, node);
        if (kv_slice_equals(known->principal->token, token))
            return known;
    }
    return NULL;
}

static void remember(struct kv_principals *principals, struct kv_principal *principal,
                     uint64_t hash)
{
    struct known *known = kv_calloc(1, sizeof(*known));
    if (principals->by_token.n >= MOST_KNOWN)
        forget(principals, oldest(principals));
    known->principal = kv_principal_ref(principal);
    kv_table_insert(&principals->by_token, &known->node, hash);
    kv_list_append(&principals->by_age, &known->in_age);
}

/* ---- creating and destroying ---- */

static struct kv_principal *create_anonymous(const struct kv_access_loop *here)
{
    const struct kv_principal_parts parts = {.kind = KV_PRINCIPAL_ANONYMOUS,
                                             .generation = here->generation,
                                             .rules_generation = here->rules_generation,
                                             .rules = here->rules,
                                             .grants = &here->rules->anonymous};
    return here->rules->are_configured ? kv_principal_create(&parts, here->known->tally)
                                       : &kv_principal_everything;
}

static void go_by(struct kv_access_loop *here, struct kv_rules *rules)
{
    here->rules = kv_rules_ref(rules);
    here->is_metered = kv_rates_are_given(&rules->rates);
    here->anonymous = create_anonymous(here);
}

static void let_go(struct kv_access_loop *here)
{
    forget_all(here->known);
    kv_principal_unref(here->anonymous);
    kv_rules_unref(here->rules);
}

struct kv_access *kv_access_create(struct kv_rules *rules, uint32_t n_loops)
{
    struct kv_access *access =
        kv_calloc(1, sizeof(*access) + n_loops * sizeof(struct kv_access_loop));
    pthread_mutex_init(&access->lock, NULL);
    access->generation = access->rules_generation = 1; /* constant principals have generation 0 */
    access->rules = rules;
    access->n_loops = n_loops;
    access->meters = kv_meters_create();
    access->known = kv_calloc(n_loops, sizeof(*access->known));
    for (uint32_t i = 0; i < n_loops; i++) {
        kv_list_init(&access->known[i].by_age);
        access->loops[i] = (struct kv_access_loop){.access = access,
                                                   .denials = &access->denials,
                                                   .meters = access->meters,
                                                   .turn_ns = &between_turns_ns,
                                                   .clock_turn_ns = -1,
                                                   .generation = access->generation,
                                                   .rules_generation = access->rules_generation,
                                                   .known = &access->known[i]};
        go_by(&access->loops[i], rules);
    }
    return access;
}

void kv_access_destroy(struct kv_access *access)
{
    if (access == NULL)
        return;
    for (uint32_t i = 0; i < access->n_loops; i++)
        let_go(&access->loops[i]);
    kv_rules_unref(access->rules);
    kv_meters_destroy(access->meters);
    pthread_mutex_destroy(&access->lock);
    free(access->known);
    free(access);
}

void kv_access_use_revocations(struct kv_access *access, struct kv_revocations *revocations)
{
    for (uint32_t i = 0; i < access->n_loops; i++)
        access->loops[i].revocations = revocations;
}

void kv_access_count(struct kv_access *access, uint32_t loop, struct kv_tally *tally)
{
    access->known[loop].tally = tally;
}

void kv_access_tell_turns(struct kv_access *access, uint32_t loop, const int64_t *turn_ns)
{
    access->loops[loop].turn_ns = turn_ns;
}

void kv_access_look_at_clock(struct kv_access_loop *here)
{
    here->clock_s = kv_wall_us() / 1000000;
    here->clock_turn_ns = *here->turn_ns == between_turns_ns ? -1 : *here->turn_ns;
}

struct kv_access_loop *kv_access_on(struct kv_access *access, uint32_t loop)
{
    return &access->loops[loop];
}

struct kv_denials *kv_access_denials(struct kv_access *access)
{
    return &access->denials;
}

/* ---- changing the rules ---- */

void kv_access_revise(struct kv_access *access, struct kv_rules *rules)
{
    pthread_mutex_lock(&access->lock);
    struct kv_rules *before = rules == NULL ? NULL : access->rules;
    access->generation++;
    access->rules_generation++;
    if (rules != NULL)
        access->rules = rules;
    pthread_mutex_unlock(&access->lock);
    kv_rules_unref(before);
}

void kv_access_recheck(struct kv_access *access)
{
    pthread_mutex_lock(&access->lock);
    access->generation++;
    pthread_mutex_unlock(&access->lock);
}

/* Anonymous clients keep their principal. */
static void keep_anonymous(const struct kv_access_loop *here)
{
    if (here->anonymous->kind != KV_PRINCIPAL_CONSTANT)
        here->anonymous->generation = here->generation;
}

void kv_access_take_up(struct kv_access_loop *here)
{
    struct kv_access *access = here->access;
    pthread_mutex_lock(&access->lock);
    struct kv_rules *rules = kv_rules_ref(access->rules);
    bool are_others = here->rules_generation != access->rules_generation;
    here->generation = access->generation;
    here->rules_generation = access->rules_generation;
    pthread_mutex_unlock(&access->lock);
    if (are_others) {
        let_go(here);
        go_by(here, rules);
    } else {
        keep_anonymous(here);
    }
    kv_rules_unref(rules);
}

/* ---- meters ---- */

static int64_t now_ns(void)
{
    return kv_clock_boot.now_ns(&kv_clock_boot);
}

/* Returns: NULL if tokens are not metered, and their connections are not counted. */
static struct kv_meter *meter_of(const struct kv_access_loop *here, struct kv_slice issuer,
                                 struct kv_slice name)
{
    const struct kv_rules *rules = here->rules;
    bool is_needed = (here->is_metered && rules->rates.by_token) || rules->most_connections != 0;
    return is_needed ? kv_meters_of_name(here->meters, issuer, name, now_ns()) : NULL;
}

struct kv_meter *kv_access_meter_at(struct kv_access_loop *here, const struct kv_address *address)
{
    if (!here->is_metered || !here->rules->rates.by_address || address->len == 0)
        return NULL;
    return kv_meters_of_address(here->meters, address, now_ns());
}

/* Returns: whether there is an excess. */
static bool exceed(const char *why, int64_t wait_ns, struct kv_excess *ret)
{
    if (wait_ns == 0)
        return false;
    *ret = (struct kv_excess){why, (wait_ns + KV_NS_PER_MS - 1) / KV_NS_PER_MS};
    return true;
}

static const char *const by_address[] = {
    [KV_METERED_REQUESTS] = "too many requests from this address",
    [KV_METERED_CONNECTIONS] = "too many new connections from this address"};
static const char *const by_token[] = {[KV_METERED_REQUESTS] = "too many requests with this token",
                                       [KV_METERED_CONNECTIONS] =
                                           "too many new connections with this token"};

bool kv_access_take(const struct kv_access_loop *here, enum kv_metered what,
                    struct kv_meter *of_address, struct kv_meter *of_token, int64_t time_ns,
                    struct kv_excess *ret)
{
    const struct kv_rates *rates = &here->rules->rates;
    int64_t wait_ns = 0;
    if (of_address != NULL && rates->by_address)
        wait_ns = kv_meter_take(of_address, what, &rates->of[what], time_ns);
    if (exceed(by_address[what], wait_ns, ret))
        return false;
    if (of_token != NULL && rates->by_token)
        wait_ns = kv_meter_take(of_token, what, &rates->of[what], time_ns);
    return !exceed(by_token[what], wait_ns, ret);
}

/* ---- tokens ---- */

/* token, certificate: the credential that proves it; the other one is empty. expires_s: of the
 * credential; 0: never. */
static struct kv_principal *principal_of_rule(const struct kv_access_loop *here,
                                              const struct kv_token_rule *rule,
                                              struct kv_slice token, struct kv_slice certificate,
                                              int64_t expires_s)
{
    const struct kv_principal_parts parts = {.kind = KV_PRINCIPAL_TOKEN,
                                             .generation = here->generation,
                                             .rules_generation = here->rules_generation,
                                             .rules = here->rules,
                                             .name = rule->name,
                                             .token = token,
                                             .certificate = certificate,
                                             .grants = &rule->grants,
                                             .expires_s = expires_s,
                                             .meter = meter_of(here, KV_SLICE(""), rule->name)};
    return kv_principal_create(&parts, here->known->tally);
}

/* Takes over the grants of the identity. */
static struct kv_principal *principal_of_identity(const struct kv_access_loop *here,
                                                  struct kv_identity *identity,
                                                  struct kv_slice token)
{
    const struct kv_principal_parts parts = {
        .kind = KV_PRINCIPAL_VERIFIED,
        .generation = here->generation,
        .rules_generation = here->rules_generation,
        .rules = here->rules,
        .name = kv_buffer_slice(&identity->name),
        .issuer = kv_buffer_slice(&identity->issuer),
        .claims = kv_buffer_slice(&identity->claims),
        .id = kv_buffer_slice(&identity->id),
        .token = token,
        .owned = identity->grants,
        .expires_s = identity->expires_s,
        .meter =
            meter_of(here, kv_buffer_slice(&identity->issuer), kv_buffer_slice(&identity->name))};
    identity->grants = (struct kv_grants){0};
    return kv_principal_create(&parts, here->known->tally);
}

static struct kv_principal *verify(const struct kv_access_loop *here, struct kv_slice token,
                                   int64_t now_s, struct kv_error *reterr)
{
    const struct kv_rules *rules = here->rules;
    kv_error_set(reterr, "the token is not known here");
    for (size_t i = 0; i < rules->n_authenticators; i++) {
        struct kv_identity identity = {0};
        struct kv_principal *principal = NULL;
        enum kv_verdict_on_token verdict = rules->authenticators[i]->verify(
            rules->authenticators[i], token, now_s, &identity, reterr);
        if (verdict == KV_TOKEN_VALID)
            principal = principal_of_identity(here, &identity, token);
        kv_identity_fini(&identity);
        if (verdict != KV_TOKEN_UNRELATED)
            return principal;
    }
    return NULL;
}

static struct kv_principal *identify(const struct kv_access_loop *here, struct kv_slice token,
                                     int64_t now_s, struct kv_error *reterr)
{
    const struct kv_token_rule *rule = kv_rules_find(here->rules, token);
    return rule != NULL ? principal_of_rule(here, rule, token, (struct kv_slice){0}, 0)
                        : verify(here, token, now_s, reterr);
}

static bool is_revoked(const struct kv_access_loop *here, const struct kv_principal *principal)
{
    return principal->kind == KV_PRINCIPAL_VERIFIED && here->revocations != NULL &&
           kv_revocations_have(here->revocations, principal->id, principal->issuer,
                               principal->name);
}

/* While the revocations are not known yet, the principal is judged again each time. */
static uint64_t generation_for(const struct kv_access_loop *here,
                               const struct kv_principal *principal)
{
    bool is_sure = principal->kind != KV_PRINCIPAL_VERIFIED || here->revocations == NULL ||
                   kv_revocations_are_known(here->revocations);
    return is_sure ? here->generation : 0;
}

/* While it is not known which tokens of issuers are revoked, none of them is accepted. */
static bool is_unsure(const struct kv_access_loop *here, const struct kv_principal *principal)
{
    return principal->kind == KV_PRINCIPAL_VERIFIED && here->revocations != NULL &&
           (!kv_revocations_are_known(here->revocations) ||
            kv_revocations_are_lost(here->revocations));
}

/* Returns: why it is not valid; NULL: it is. */
static const char *fault_of(const struct kv_access_loop *here, const struct kv_principal *principal,
                            int64_t now_s)
{
    if (kv_principal_has_expired(principal, now_s))
        return principal->certificate.len != 0 ? "the certificate has expired"
                                               : "the token has expired";
    if (is_unsure(here, principal))
        return KV_UNSURE_TEXT;
    return is_revoked(here, principal) ? "the token has been revoked" : NULL;
}

/* Returns: the principal, if it is still valid, and remembers it; otherwise releases it. */
static struct kv_principal *if_valid(const struct kv_access_loop *here,
                                     struct kv_principal *principal, int64_t now_s,
                                     struct kv_error *reterr)
{
    if (principal == NULL)
        return NULL;
    uint64_t generation = generation_for(here, principal);
    const char *why = fault_of(here, principal, now_s);
    if (why == NULL) {
        principal->generation = generation;
        return principal;
    }
    kv_principal_unref(principal);
    kv_error_set(reterr, "%s", why);
    return NULL;
}

struct kv_principal *kv_access_authenticate(struct kv_access_loop *here, struct kv_slice token,
                                            int64_t now_s, struct kv_error *reterr)
{
    if (!kv_token_is_well_formed(token)) {
        kv_error_set(reterr, "the token is malformed, or longer than %d bytes", KV_LONGEST_TOKEN);
        return NULL;
    }
    uint64_t hash = kv_hash(token);
    struct known *known = find(here->known, token, hash);
    if (known != NULL) {
        kv_list_remove(&known->in_age);
        kv_list_append(&here->known->by_age, &known->in_age);
        return if_valid(here, kv_principal_ref(known->principal), now_s, reterr);
    }
    struct kv_principal *principal =
        if_valid(here, identify(here, token, now_s, reterr), now_s, reterr);
    if (principal != NULL)
        remember(here->known, principal, hash);
    return principal;
}

struct kv_principal *kv_access_anonymous(struct kv_access_loop *here)
{
    return kv_principal_ref(here->anonymous);
}

struct kv_principal *kv_access_certified(struct kv_access_loop *here, struct kv_slice certificate,
                                         int64_t ends_s, int64_t now_s, struct kv_error *reterr)
{
    const struct kv_token_rule *rule = kv_rules_find_certificate(here->rules, certificate);
    if (rule == NULL)
        return kv_access_anonymous(here);
    return if_valid(here, principal_of_rule(here, rule, (struct kv_slice){0}, certificate, ends_s),
                    now_s, reterr);
}

static struct kv_principal *present(struct kv_access_loop *here,
                                    const struct kv_principal *principal, int64_t now_s,
                                    struct kv_error *reterr)
{
    if (principal->certificate.len != 0)
        return kv_access_certified(here, principal->certificate, principal->expires_s, now_s,
                                   reterr);
    return kv_access_authenticate(here, principal->token, now_s, reterr);
}

struct kv_principal *kv_access_renew(struct kv_access_loop *here, struct kv_principal *principal,
                                     int64_t now_s, struct kv_error *reterr)
{
    if (principal == &kv_principal_nobody)
        return &kv_principal_nobody;
    if (!kv_principal_is_identified(principal))
        return kv_access_anonymous(here);
    if (principal->rules_generation == here->rules_generation)
        return if_valid(here, kv_principal_ref(principal), now_s, reterr);
    struct kv_principal *renewed = present(here, principal, now_s, reterr);
    if (renewed == NULL || kv_principal_is_same(renewed, principal))
        return renewed;
    kv_principal_unref(renewed);
    kv_error_set(reterr, "the token belongs to somebody else now");
    return NULL;
}

bool kv_access_reserves(const struct kv_access_loop *here, const struct kv_grants *grants,
                        struct kv_slice key)
{
    return here->revocations != NULL &&
           kv_slice_has_prefix(key, kv_revocations_prefix(here->revocations)) &&
           !kv_prefixes_cover(&grants->revoke, key);
}
