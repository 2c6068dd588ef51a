#include "access/rules.h"

#include <stdlib.h>

#include "base/mem.h"

struct kv_rules *kv_rules_create(size_t n_tokens, size_t n_authenticators)
{
    struct kv_rules *rules = kv_calloc(1, sizeof(*rules));
    rules->n_holders = 1;
    rules->are_configured = true;
    rules->tokens = kv_calloc(n_tokens, sizeof(*rules->tokens));
    rules->n_tokens = n_tokens;
    rules->authenticators = kv_calloc(n_authenticators, sizeof(struct kv_authenticator *));
    rules->n_authenticators = n_authenticators;
    return rules;
}

struct kv_rules *kv_rules_ref(struct kv_rules *rules)
{
    atomic_fetch_add_explicit(&rules->n_holders, 1, memory_order_relaxed);
    return rules;
}

static void free_text(struct kv_slice text)
{
    free((void *)(uintptr_t)text.bytes);
}

static void destroy(struct kv_rules *rules)
{
    kv_grants_fini(&rules->anonymous);
    for (size_t i = 0; i < rules->n_tokens; i++) {
        free_text(rules->tokens[i].name);
        free_text(rules->tokens[i].certificate);
        kv_grants_fini(&rules->tokens[i].grants);
    }
    for (size_t i = 0; i < rules->n_authenticators; i++)
        if (rules->authenticators[i] != NULL)
            rules->authenticators[i]->destroy(rules->authenticators[i]);
    free_text(rules->cookie);
    free(rules->tokens);
    free(rules->authenticators);
    free(rules);
}

void kv_rules_unref(struct kv_rules *rules)
{
    if (rules != NULL && atomic_fetch_sub_explicit(&rules->n_holders, 1, memory_order_acq_rel) == 1)
        destroy(rules);
}

const struct kv_token_rule *kv_rules_find(const struct kv_rules *rules, struct kv_slice token)
{
    unsigned char digest[KV_TOKEN_DIGEST];
    const struct kv_token_rule *found = NULL;
    kv_token_digest(token, digest);
    for (size_t i = 0; i < rules->n_tokens; i++)
        if (kv_token_digest_equals(rules->tokens[i].digest, digest) && rules->tokens[i].has_digest)
            found = &rules->tokens[i];
    return found;
}

const struct kv_token_rule *kv_rules_find_certificate(const struct kv_rules *rules,
                                                      struct kv_slice name)
{
    for (size_t i = 0; i < rules->n_tokens; i++)
        if (name.len != 0 && kv_slice_equals(rules->tokens[i].certificate, name))
            return &rules->tokens[i];
    return NULL;
}
