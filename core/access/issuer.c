/*
 * The grants of a token: the templates of its issuer, with its subject inserted; and, if the issuer
 * has a claim for it, the prefixes that the token names there, as far as `at_most` covers them.
 */
#include "access/issuer.h"

#include <stdlib.h>

#include "access/template.h"
#include "base/mem.h"

/* A list of texts that owns its memory. */
struct texts {
    struct kv_slice *all;
    size_t n, capacity;
};

struct rights {
    struct texts templates;
    struct kv_prefixes at_most;
    const char *name; /* of the member in the claim */
};

struct issuer {
    struct kv_authenticator base;
    struct kv_jwt_source *source;
    struct kv_jwt_policy policy;
    char *name, *audience, *claim; /* claim: NULL if there is none */
    char *revoked;                 /* the prefix of revocations */
    size_t revoked_len;
    bool needs_subject;
    struct rights read, write;
};

/* ---- texts ---- */

/* Takes the text over. */
static void add(struct texts *texts, struct kv_slice text)
{
    if (texts->n == texts->capacity) {
        texts->capacity = texts->capacity * 2 + 4;
        texts->all = kv_realloc(texts->all, texts->capacity * sizeof(*texts->all));
    }
    texts->all[texts->n++] = text;
}

static void add_copy(struct texts *texts, struct kv_slice text)
{
    add(texts, (struct kv_slice){kv_memdup(text.bytes, text.len), text.len});
}

static void fini_texts(struct texts *texts)
{
    for (size_t i = 0; i < texts->n; i++)
        free((void *)(uintptr_t)texts->all[i].bytes);
    free(texts->all);
}

/* ---- the grants of a token ---- */

static void add_templates(const struct texts *templates, struct kv_slice subject,
                          struct texts *granted)
{
    for (size_t i = 0; i < templates->n; i++) {
        struct kv_buffer text = {0};
        kv_template_append(templates->all[i], subject, &text);
        add(granted, kv_buffer_slice(&text));
    }
}

/* Adds the prefixes that both cover: the prefix itself, or the members of the set that begin with
 * it. */
static void add_common(const struct kv_prefixes *at_most, struct kv_slice prefix,
                       struct texts *granted)
{
    if (kv_prefixes_cover(at_most, prefix)) {
        add_copy(granted, prefix);
        return;
    }
    for (size_t i = 0; i < at_most->n; i++)
        if (kv_slice_has_prefix(at_most->all[i], prefix))
            add_copy(granted, at_most->all[i]);
}

static void add_claimed(const struct issuer *issuer, const struct rights *rights,
                        const struct kv_jwt_token *token, struct texts *granted)
{
    struct kv_slice prefix;
    if (issuer->claim == NULL)
        return;
    for (size_t i = 0; kv_jwt_token_list_item(token, issuer->claim, rights->name, i, &prefix); i++)
        add_common(&rights->at_most, prefix, granted);
}

static void grant(const struct issuer *issuer, const struct rights *rights,
                  const struct kv_jwt_token *token, struct kv_prefixes *ret)
{
    struct texts granted = {0};
    add_templates(&rights->templates, token->subject, &granted);
    add_claimed(issuer, rights, token, &granted);
    kv_prefixes_init(ret, granted.all, granted.n);
    fini_texts(&granted);
}

/* Only the configuration grants this, not a claim of a token. */
static void grant_revoking(const struct issuer *issuer, const struct kv_jwt_token *token,
                           struct kv_prefixes *ret)
{
    struct texts granted = {0};
    if (issuer->revoked_len != 0)
        add_templates(&issuer->write.templates, token->subject, &granted);
    kv_prefixes_init_within(ret, granted.all, granted.n,
                            (struct kv_slice){issuer->revoked, issuer->revoked_len});
    fini_texts(&granted);
}

static void identify(const struct issuer *issuer, const struct kv_jwt_token *token,
                     struct kv_identity *ret)
{
    kv_buffer_append(&ret->name, token->subject);
    kv_buffer_append(&ret->issuer, token->issuer);
    kv_buffer_append(&ret->id, token->id);
    kv_jwt_token_append_claims(token, &ret->claims);
    grant(issuer, &issuer->read, token, &ret->grants.read);
    grant(issuer, &issuer->write, token, &ret->grants.write);
    grant_revoking(issuer, token, &ret->grants.revoke);
    ret->expires_s = token->expires_s + KV_JWT_LEEWAY_S;
}

/* ---- verifying ---- */

static enum kv_verdict_on_token refuse(struct kv_error *reterr, const char *why)
{
    kv_error_set(reterr, "the token %s", why);
    return KV_TOKEN_INVALID;
}

/* A slash in a subject would make it a path of several parts, each of which could be another
 * subject. */
static bool has_usable_subject(const struct issuer *issuer, const struct kv_jwt_token *token)
{
    bool is_missing = token->subject.bytes == NULL;
    return is_missing ? !issuer->needs_subject : kv_subject_is_usable(token->subject);
}

/* Returns: NULL if the token is valid; otherwise the rest of a sentence. */
static const char *fault_of(const struct issuer *issuer, const struct kv_jwt_token *token,
                            int64_t now_s)
{
    struct kv_jwt_key_set *keys = kv_jwt_source_keys(issuer->source);
    enum kv_jwt_verdict verdict =
        keys == NULL ? KV_JWT_UNKNOWN_KEY : kv_jwt_verify(token, &issuer->policy, keys, now_s);
    bool has_keys = keys != NULL;
    kv_jwt_key_set_unref(keys);
    if (verdict == KV_JWT_UNKNOWN_KEY)
        kv_jwt_source_miss(issuer->source);
    if (!has_keys)
        return "cannot be verified: the keys of its issuer have not been fetched yet";
    return verdict == KV_JWT_GOOD ? NULL : kv_jwt_verdict_text(verdict);
}

static enum kv_verdict_on_token judge(const struct issuer *issuer, const struct kv_jwt_token *token,
                                      int64_t now_s, struct kv_identity *ret,
                                      struct kv_error *reterr)
{
    if (!kv_slice_equals(token->issuer, issuer->policy.issuer)) {
        refuse(reterr, "is from an issuer that is not known here");
        return KV_TOKEN_UNRELATED; /* another one may be its issuer */
    }
    const char *fault = fault_of(issuer, token, now_s);
    if (fault != NULL)
        return refuse(reterr, fault);
    if (!has_usable_subject(issuer, token))
        return refuse(reterr, "has no `sub` that can be used: it is missing, empty, or has a `/`");
    identify(issuer, token, ret);
    return KV_TOKEN_VALID;
}

/* Other text is most likely a static token that is wrong, or was removed. */
static bool is_like_jwt(struct kv_slice text)
{
    size_t n_dots = 0;
    for (size_t i = 0; i < text.len; i++)
        n_dots += text.bytes[i] == '.';
    return n_dots == 2;
}

static enum kv_verdict_on_token issuer_verify(struct kv_authenticator *self, struct kv_slice text,
                                              int64_t now_s, struct kv_identity *ret,
                                              struct kv_error *reterr)
{
    const struct issuer *issuer = KV_CONTAINER(self, struct issuer, base);
    struct kv_jwt_token *token;
    if (!is_like_jwt(text))
        return KV_TOKEN_UNRELATED;
    enum kv_jwt_verdict verdict = kv_jwt_token_read(text, &token);
    if (verdict != KV_JWT_GOOD) {
        refuse(reterr, kv_jwt_verdict_text(verdict));
        return KV_TOKEN_UNRELATED;
    }
    enum kv_verdict_on_token result = judge(issuer, token, now_s, ret, reterr);
    kv_jwt_token_destroy(token);
    return result;
}

/* ---- creating ---- */

static void init_rights(struct rights *rights, const char *name, const struct kv_issuer_list *list,
                        const struct kv_issuer_list *at_most)
{
    rights->name = name;
    for (size_t i = 0; i < list->n; i++)
        add_copy(&rights->templates, list->texts[i]);
    kv_prefixes_init(&rights->at_most, at_most->texts, at_most->n);
}

static void fini_rights(struct rights *rights)
{
    fini_texts(&rights->templates);
    kv_prefixes_fini(&rights->at_most);
}

static bool have_subject(const struct texts *templates)
{
    for (size_t i = 0; i < templates->n; i++)
        if (kv_template_has_subject(templates->all[i]))
            return true;
    return false;
}

static void issuer_destroy(struct kv_authenticator *self)
{
    struct issuer *issuer = KV_CONTAINER(self, struct issuer, base);
    kv_jwt_source_unref(issuer->source);
    fini_rights(&issuer->read);
    fini_rights(&issuer->write);
    free(issuer->name);
    free(issuer->audience);
    free(issuer->claim);
    free(issuer->revoked);
    free(issuer);
}

static char *copy(struct kv_slice text)
{
    return text.len == 0 ? NULL : kv_strdup(text.bytes);
}

struct kv_authenticator *kv_issuer_create(const struct kv_issuer_config *config,
                                          struct kv_jwt_source *source)
{
    struct issuer *issuer = kv_calloc(1, sizeof(*issuer));
    issuer->base = (struct kv_authenticator){.verify = issuer_verify, .destroy = issuer_destroy};
    issuer->source = source;
    issuer->name = copy(config->policy.issuer);
    issuer->audience = copy(config->policy.audience);
    issuer->claim = copy(config->claim);
    issuer->revoked = copy(config->revoked);
    issuer->revoked_len = config->revoked.len;
    issuer->policy = (struct kv_jwt_policy){
        .issuer = {issuer->name, config->policy.issuer.len},
        .audience = {issuer->audience, config->policy.audience.len},
        .algorithms = config->policy.algorithms,
    };
    init_rights(&issuer->read, "read", &config->read, &config->at_most_read);
    init_rights(&issuer->write, "write", &config->write, &config->at_most_write);
    issuer->needs_subject =
        have_subject(&issuer->read.templates) || have_subject(&issuer->write.templates);
    return &issuer->base;
}
