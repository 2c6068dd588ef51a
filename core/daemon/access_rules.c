/* A token's digest never appears in messages: what was written in its place may be the token
 * itself. */
#include "daemon/access_rules.h"

#include <stdlib.h>

#include "base/mem.h"
#include "daemon/access_rates.h"
#include "daemon/given.h"
#include "daemon/granted_prefixes.h"
#include "daemon/issuers.h"
#include "daemon/schema.h"
#include "wire/http_text.h"

enum {
    LONGEST_NAME = 128
};

static const struct kv_option_value *tokens_of(const struct kv_config *config)
{
    return kv_given_field(&config->values[CONFIG_ACCESS], ACCESS_TOKENS);
}

static const struct kv_option_value *token_of(const struct kv_config *config, size_t i)
{
    return &tokens_of(config)->list.items[i];
}

static struct kv_slice text_of(const struct kv_option_value *block, int place)
{
    return kv_given_field(block, place)->string;
}

bool kv_access_rules_are_configured(const struct kv_config *config)
{
    return config->values[CONFIG_ACCESS].is_given;
}

/* ---- faults ---- */

static const struct kv_conf_node *node_of(const struct kv_config *config, size_t i,
                                          const char *field)
{
    const struct kv_conf_node *tokens =
        kv_conf_node_find(kv_given_node(config, "access"), "tokens");
    const struct kv_conf_node *token = kv_conf_node_child(tokens, i);
    const struct kv_conf_node *found = kv_conf_node_find(token, field);
    return found == NULL ? token : found;
}

/* Names appear in logs and errors. */
static bool is_name(struct kv_slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if (kv_http_is_control(text.bytes[i]) || text.bytes[i] == '\t')
            return false;
    return text.len != 0 && text.len <= LONGEST_NAME;
}

static bool is_given(const struct kv_config *config, size_t i, int place)
{
    return kv_given_field(token_of(config, i), place)->is_given;
}

/* Returns: the index of the first token with the same text there; i if there is none. */
static size_t find_earlier(const struct kv_config *config, size_t i, int place)
{
    size_t k = 0;
    while (k < i && !kv_slice_equals(text_of(token_of(config, k), place),
                                     text_of(token_of(config, i), place)))
        k++;
    return k;
}

static void check_name(struct kv_config *config, size_t i)
{
    struct kv_slice name = text_of(token_of(config, i), TOKEN_NAME);
    const struct kv_conf_node *at = node_of(config, i, "name");
    if (!is_given(config, i, TOKEN_NAME))
        return; /* the fault has been noted */
    if (!is_name(name))
        kv_conf_fault(config->conf, at,
                      "access.tokens[%zu].name: a text of 1 to %d bytes without control characters "
                      "is expected",
                      i, LONGEST_NAME);
    else if (find_earlier(config, i, TOKEN_NAME) != i)
        kv_conf_fault(config->conf, at,
                      "access.tokens[%zu].name: \"%s\" is the name of tokens[%zu]", i, name.bytes,
                      find_earlier(config, i, TOKEN_NAME));
}

static void check_digest(struct kv_config *config, size_t i)
{
    unsigned char digest[KV_TOKEN_DIGEST];
    const struct kv_conf_node *at = node_of(config, i, "sha256");
    if (!is_given(config, i, TOKEN_SHA256))
        return;
    if (!kv_token_read_digest(text_of(token_of(config, i), TOKEN_SHA256), digest))
        kv_conf_fault(config->conf, at,
                      "access.tokens[%zu].sha256: 64 hexadecimal digits are expected, as "
                      "kvserver --hash-token prints them",
                      i);
    else if (find_earlier(config, i, TOKEN_SHA256) != i)
        kv_conf_fault(config->conf, at, "access.tokens[%zu].sha256: tokens[%zu] has the same token",
                      i, find_earlier(config, i, TOKEN_SHA256));
}

static bool asks_for_certificates(const struct kv_config *config)
{
    for (size_t i = 0; i < config->n_listen; i++)
        if (config->listen[i].tls.is_given && config->listen[i].tls.config.client_ca != NULL)
            return true;
    return false;
}

static void check_certificate(struct kv_config *config, size_t i)
{
    const struct kv_conf_node *at = node_of(config, i, "certificate");
    if (!is_given(config, i, TOKEN_CERTIFICATE))
        return;
    if (text_of(token_of(config, i), TOKEN_CERTIFICATE).len == 0)
        kv_conf_fault(config->conf, at,
                      "access.tokens[%zu].certificate: the name that the client's certificate has "
                      "is expected",
                      i);
    else if (find_earlier(config, i, TOKEN_CERTIFICATE) != i)
        kv_conf_fault(config->conf, at, "access.tokens[%zu].certificate: it is that of tokens[%zu]",
                      i, find_earlier(config, i, TOKEN_CERTIFICATE));
    else if (!asks_for_certificates(config))
        kv_conf_fault(config->conf, at,
                      "access.tokens[%zu].certificate: no address of `listen` asks clients for "
                      "certificates (tls.client_ca)",
                      i);
}

static void check_proof(struct kv_config *config, size_t i)
{
    if (token_of(config, i)->is_given && !is_given(config, i, TOKEN_SHA256) &&
        !is_given(config, i, TOKEN_CERTIFICATE))
        kv_conf_fault(config->conf, node_of(config, i, "name"),
                      "access.tokens[%zu]: `sha256` (of a token, as kvserver --hash-token prints "
                      "it) or `certificate` is expected",
                      i);
    check_digest(config, i);
    check_certificate(config, i);
}

static void check_cookie(struct kv_config *config)
{
    const struct kv_option_value *access = &config->values[CONFIG_ACCESS];
    struct kv_slice cookie = text_of(access, ACCESS_COOKIE);
    if (cookie.len != 0 && !kv_http_is_token(cookie))
        kv_conf_fault(config->conf, kv_conf_node_find(kv_given_node(config, "access"), "cookie"),
                      "access.cookie: \"%s\" is no name of a cookie", cookie.bytes);
}

struct kv_slice kv_access_revoked(const struct kv_config *config)
{
    return text_of(&config->values[CONFIG_ACCESS], ACCESS_REVOKED);
}

/* In a volatile store it would be lost with a restart, and the tokens would be valid again. */
void kv_access_revoked_check(struct kv_config *config)
{
    const struct kv_option_value *value =
        kv_given_field(&config->values[CONFIG_ACCESS], ACCESS_REVOKED);
    const struct kv_loaded_module *store = config->store.module;
    const struct kv_conf_node *at = kv_conf_node_find(kv_given_node(config, "access"), "revoked");
    if (!value->is_given)
        return;
    if (value->string.len < 2 || value->string.bytes[value->string.len - 1] != '/')
        kv_conf_fault(config->conf, at,
                      "access.revoked: a prefix that ends in a / is expected, as auth/revoked/");
    else if (store != NULL && (store->identity->capabilities & KV_STORE_DURABLE) == 0)
        kv_conf_fault(config->conf, at,
                      "access.revoked: the store %s is not durable, so revoked tokens would be "
                      "valid again after a restart",
                      store->identity->name);
}

/* If the entries were removed or commented out, everybody would be let in. */
static void refuse_empty_block(struct kv_config *config)
{
    const struct kv_conf_node *access = kv_given_node(config, "access");
    if (access != NULL)
        kv_conf_fault(config->conf, access,
                      "access: it is empty: write {} to let nobody in, or remove the key "
                      "to let everybody in");
}

void kv_access_rules_check(struct kv_config *config)
{
    if (!kv_access_rules_are_configured(config)) {
        refuse_empty_block(config);
        return;
    }
    for (size_t i = 0; i < tokens_of(config)->list.n; i++) {
        check_name(config, i);
        check_proof(config, i);
    }
    kv_issuers_check(config);
    kv_granted_prefixes_check(config);
    check_cookie(config);
    kv_access_rates_check(config);
}

/* ---- the rules ---- */

/* Owns: the caller. */
static struct kv_slice *texts_of(const struct kv_option_value *list)
{
    struct kv_slice *texts = kv_calloc(list->list.n + 1, sizeof(*texts));
    for (size_t i = 0; i < list->list.n; i++)
        texts[i] = list->list.items[i].string;
    return texts;
}

/* revoked: the prefix of revocations. */
static void read_grants(const struct kv_option_value *read, const struct kv_option_value *write,
                        struct kv_slice revoked, struct kv_grants *ret)
{
    struct kv_slice *readable = texts_of(read), *writable = texts_of(write);
    kv_prefixes_init(&ret->read, readable, read->list.n);
    kv_prefixes_init(&ret->write, writable, write->list.n);
    kv_prefixes_init_within(&ret->revoke, writable, write->list.n, revoked);
    free(readable);
    free(writable);
}

static uint32_t read_admin(const struct kv_option_value *list)
{
    uint32_t rights = 0;
    for (size_t i = 0; i < list->list.n; i++)
        rights |= 1u << list->list.items[i].integer;
    return rights;
}

static struct kv_slice copy(struct kv_slice text)
{
    struct kv_slice none = {0};
    if (text.len == 0)
        return none;
    return (struct kv_slice){kv_memdup(text.bytes, text.len), text.len};
}

static void read_token(const struct kv_option_value *entry, struct kv_slice revoked,
                       struct kv_token_rule *rule)
{
    rule->name = copy(text_of(entry, TOKEN_NAME));
    rule->has_digest = kv_token_read_digest(text_of(entry, TOKEN_SHA256), rule->digest);
    rule->certificate = copy(text_of(entry, TOKEN_CERTIFICATE));
    read_grants(kv_given_field(entry, TOKEN_READ), kv_given_field(entry, TOKEN_WRITE), revoked,
                &rule->grants);
    rule->grants.admin = read_admin(kv_given_field(entry, TOKEN_ADMIN));
}

struct kv_rules *kv_access_rules_create(const struct kv_config *config, struct kv_slice revoked,
                                        struct kv_jwt_sources *sources)
{
    const struct kv_option_value *access = &config->values[CONFIG_ACCESS];
    const struct kv_option_value *anonymous = kv_given_field(access, ACCESS_ANONYMOUS);
    struct kv_rules *rules = kv_rules_create(tokens_of(config)->list.n, kv_issuers_count(config));
    rules->are_configured = kv_access_rules_are_configured(config);
    read_grants(kv_given_field(anonymous, ANONYMOUS_READ),
                kv_given_field(anonymous, ANONYMOUS_WRITE), revoked, &rules->anonymous);
    rules->cookie = copy(text_of(access, ACCESS_COOKIE));
    for (size_t i = 0; i < rules->n_tokens; i++)
        read_token(token_of(config, i), revoked, &rules->tokens[i]);
    kv_issuers_create(config, revoked, sources, rules);
    kv_access_rates_read(config, rules);
    return rules;
}
