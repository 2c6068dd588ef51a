#include "access/principal.h"

#include <stdlib.h>

#include "access/rules.h"
#include "base/mem.h"

static const struct kv_grants nothing;

struct kv_principal kv_principal_everything = {
    .kind = KV_PRINCIPAL_CONSTANT, .is_unlimited = true, .grants = &nothing};

struct kv_principal kv_principal_nobody = {.kind = KV_PRINCIPAL_CONSTANT, .grants = &nothing};

static struct kv_slice keep(char **at, struct kv_slice text)
{
    struct kv_slice kept = {*at, text.len};
    if (text.len != 0)
        memcpy(*at, text.bytes, text.len);
    *at += text.len;
    return kept;
}

struct kv_principal *kv_principal_create(const struct kv_principal_parts *parts,
                                         struct kv_tally *tally)
{
    size_t size = sizeof(struct kv_principal) + parts->name.len + parts->issuer.len +
                  parts->claims.len + parts->id.len + parts->token.len + parts->certificate.len;
    struct kv_principal *principal = kv_calloc(1, size);
    char *at = (char *)(principal + 1);
    principal->kind = parts->kind;
    principal->generation = parts->generation;
    principal->rules_generation = parts->rules_generation;
    principal->name = keep(&at, parts->name);
    principal->issuer = keep(&at, parts->issuer);
    principal->claims = keep(&at, parts->claims);
    principal->id = keep(&at, parts->id);
    principal->token = keep(&at, parts->token);
    principal->certificate = keep(&at, parts->certificate);
    principal->owned = parts->owned;
    principal->grants = parts->grants == NULL ? &principal->owned : parts->grants;
    principal->expires_s = parts->expires_s;
    principal->meter = parts->meter;
    principal->n_holders = 1;
    principal->rules = kv_rules_ref(parts->rules);
    principal->charge.tally = tally;
    kv_charge_set(&principal->charge, size);
    return principal;
}

struct kv_principal *kv_principal_ref(struct kv_principal *principal)
{
    if (principal->kind != KV_PRINCIPAL_CONSTANT)
        principal->n_holders++;
    return principal;
}

void kv_principal_unref(struct kv_principal *principal)
{
    if (principal == NULL || principal->kind == KV_PRINCIPAL_CONSTANT ||
        --principal->n_holders != 0)
        return;
    kv_charge_set(&principal->charge, 0);
    kv_grants_fini(&principal->owned);
    kv_meter_put(principal->meter);
    kv_rules_unref(principal->rules);
    free(principal);
}

bool kv_principal_is_same(const struct kv_principal *a, const struct kv_principal *b)
{
    return a->kind == b->kind && kv_slice_equals(a->name, b->name) &&
           kv_slice_equals(a->issuer, b->issuer);
}
