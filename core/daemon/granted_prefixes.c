/* Prefixes are literal: the warnings are for users who expect patterns or paths of HTTP. */
#include "daemon/granted_prefixes.h"

#include "daemon/given.h"
#include "daemon/schema.h"

/* A prefix, and its place. */
struct granted {
    const struct kv_config *config;
    const char *path; /* `access.anonymous.read[0]` */
    struct kv_slice text;
    const struct kv_conf_node *at;
};

typedef void (*visit_fn)(const struct granted *granted, void *user);

struct visitor {
    const struct kv_config *config;
    visit_fn visit;
    void *user;
};

static void visit_list(const struct visitor *visitor, const struct kv_option_value *list,
                       const char *path)
{
    for (size_t i = 0; i < list->list.n; i++) {
        char item[128];
        snprintf(item, sizeof(item), "%s[%zu]", path, i);
        const struct granted granted = {
            .config = visitor->config,
            .path = item,
            .text = list->list.items[i].string,
            .at = kv_conf_node_at(kv_conf_root(visitor->config->conf), item)};
        if (list->list.items[i].is_given)
            visitor->visit(&granted, visitor->user);
    }
}

/* read, write: indexes in the block. */
static void visit_block(const struct visitor *visitor, const struct kv_option_value *block,
                        const char *path, int read, int write)
{
    char list[96];
    snprintf(list, sizeof(list), "%s.read", path);
    visit_list(visitor, kv_given_field(block, read), list);
    snprintf(list, sizeof(list), "%s.write", path);
    visit_list(visitor, kv_given_field(block, write), list);
}

static void visit_tokens(const struct visitor *visitor, const struct kv_option_value *tokens)
{
    for (size_t i = 0; i < tokens->list.n; i++) {
        char path[64];
        snprintf(path, sizeof(path), "access.tokens[%zu]", i);
        if (tokens->list.items[i].is_given)
            visit_block(visitor, &tokens->list.items[i], path, TOKEN_READ, TOKEN_WRITE);
    }
}

static void visit_issuers(const struct visitor *visitor, const struct kv_option_value *issuers)
{
    for (size_t i = 0; i < issuers->list.n; i++) {
        const struct kv_option_value *issuer = &issuers->list.items[i];
        char path[64];
        if (!issuer->is_given)
            continue;
        snprintf(path, sizeof(path), "access.jwt[%zu].grants", i);
        visit_block(visitor, kv_given_field(issuer, JWT_GRANTS), path, ANONYMOUS_READ,
                    ANONYMOUS_WRITE);
        snprintf(path, sizeof(path), "access.jwt[%zu].at_most", i);
        visit_block(visitor, kv_given_field(issuer, JWT_AT_MOST), path, ANONYMOUS_READ,
                    ANONYMOUS_WRITE);
    }
}

static void visit_all(const struct visitor *visitor)
{
    const struct kv_option_value *access = &visitor->config->values[CONFIG_ACCESS];
    visit_block(visitor, kv_given_field(access, ACCESS_ANONYMOUS), "access.anonymous",
                ANONYMOUS_READ, ANONYMOUS_WRITE);
    visit_tokens(visitor, kv_given_field(access, ACCESS_TOKENS));
    visit_issuers(visitor, kv_given_field(access, ACCESS_JWT));
}

/* ---- faults ---- */

/* The empty prefix covers every key: it has to be written explicitly. */
static void check(const struct granted *granted, void *user)
{
    const char *source = kv_conf_node_source(granted->at);
    (void)user;
    if (granted->text.len == 0 && source != NULL)
        kv_conf_fault(granted->config->conf, granted->at,
                      "%s: %s is empty, and an empty prefix is every key; if that is meant, write "
                      "\"\"",
                      granted->path, source);
}

void kv_granted_prefixes_check(struct kv_config *config)
{
    visit_all(&(struct visitor){.config = config, .visit = check});
}

/* ---- warnings ---- */

struct telling {
    void (*tell)(void *user, const char *text);
    void *user;
};

/* Returns: NULL if there is no doubt. */
static const char *doubt_of(struct kv_slice text)
{
    if (text.len != 0 && memchr(text.bytes, '*', text.len) != NULL)
        return "a prefix is no pattern: the * stands for itself (public/ is every key that "
               "begins with public/, and \"\" is every key)";
    if (kv_slice_has_prefix(text, KV_SLICE("/storage/")) ||
        kv_slice_has_prefix(text, KV_SLICE("storage/")))
        return "prefixes are of keys, without the /storage/ of HTTP paths";
    if (kv_slice_has_prefix(text, KV_SLICE("http://")) ||
        kv_slice_has_prefix(text, KV_SLICE("https://")))
        return "prefixes are of keys, not of URLs";
    if (kv_slice_has_prefix(text, KV_SLICE("/")))
        return "prefixes are of keys, and the key of /storage/a is a, without a leading slash";
    return NULL;
}

static void warn(const struct granted *granted, void *user)
{
    const struct telling *telling = user;
    const char *doubt = doubt_of(granted->text);
    struct kv_buffer text = {0};
    if (doubt == NULL)
        return;
    kv_conf_append_place(granted->config->conf, granted->at, &text);
    kv_buffer_printf(&text, ": %s: \"%.*s\": %s", granted->path, (int)granted->text.len,
                     granted->text.bytes, doubt);
    kv_buffer_append_char(&text, '\0');
    telling->tell(telling->user, text.bytes);
    kv_buffer_fini(&text);
}

void kv_granted_prefixes_warn(const struct kv_config *config,
                              void (*tell)(void *user, const char *text), void *user)
{
    struct telling telling = {tell, user};
    visit_all(&(struct visitor){.config = config, .visit = warn, .user = &telling});
}
