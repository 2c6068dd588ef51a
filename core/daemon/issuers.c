/* An entry has either public keys or a secret, which determines its defaults. */
#include "daemon/issuers.h"

#include <stdlib.h>

#include "access/issuer.h"
#include "access/template.h"
#include "base/log.h"
#include "base/mem.h"
#include "daemon/given.h"
#include "daemon/schema.h"

static const struct kv_option_value *issuers_of(const struct kv_config *config)
{
    return kv_given_field(&config->values[CONFIG_ACCESS], ACCESS_JWT);
}

static const struct kv_option_value *issuer_of(const struct kv_config *config, size_t i)
{
    return &issuers_of(config)->list.items[i];
}

static struct kv_slice text_of(const struct kv_option_value *issuer, int place)
{
    return kv_given_field(issuer, place)->string;
}

static bool is_given(const struct kv_option_value *issuer, int place)
{
    return kv_given_field(issuer, place)->is_given;
}

size_t kv_issuers_count(const struct kv_config *config)
{
    return issuers_of(config)->list.n;
}

/* ---- faults ---- */

static const struct kv_conf_node *entry_node(const struct kv_config *config, size_t i)
{
    return kv_conf_node_child(kv_conf_node_find(kv_given_node(config, "access"), "jwt"), i);
}

/* The place of a path below the entry, or of the entry if the path is not given. */
static const struct kv_conf_node *node_of(const struct kv_config *config, size_t i,
                                          const char *path)
{
    const struct kv_conf_node *found = kv_conf_node_at(entry_node(config, i), path);
    return found == NULL ? entry_node(config, i) : found;
}

static void fault(struct kv_config *config, size_t i, const char *path, const char *what)
{
    kv_conf_fault(config->conf, node_of(config, i, path), "access.jwt[%zu].%s: %s", i, path, what);
}

static void check_issuer(struct kv_config *config, size_t i)
{
    struct kv_slice name = text_of(issuer_of(config, i), JWT_ISSUER);
    if (is_given(issuer_of(config, i), JWT_ISSUER) && name.len == 0)
        fault(config, i, "issuer", "the `iss` of its tokens is expected");
    for (size_t k = 0; name.len != 0 && k < i; k++)
        if (kv_slice_equals(text_of(issuer_of(config, k), JWT_ISSUER), name))
            kv_conf_fault(config->conf, node_of(config, i, "issuer"),
                          "access.jwt[%zu].issuer: it is that of access.jwt[%zu]", i, k);
}

/* An empty one would require that tokens have no audience. */
static void check_audience(struct kv_config *config, size_t i)
{
    if (is_given(issuer_of(config, i), JWT_AUDIENCE) &&
        text_of(issuer_of(config, i), JWT_AUDIENCE).len == 0)
        fault(config, i, "audience",
              "it is empty: name what the tokens are made for, or remove the key to take tokens "
              "without `aud`");
}

static void check_algorithms(struct kv_config *config, size_t i)
{
    const struct kv_option_value *issuer = issuer_of(config, i);
    const struct kv_option_value *list = kv_given_field(issuer, JWT_ALGORITHMS);
    bool has_secret = is_given(issuer, JWT_SECRET);
    if (list->is_given && list->list.n == 0)
        fault(config, i, "algorithms", "an empty list refuses every token");
    for (size_t k = 0; k < list->list.n; k++)
        if ((list->list.items[k].integer == KV_JWT_HS256) != has_secret) {
            fault(config, i, "algorithms",
                  has_secret ? "a secret is for HS256 only"
                             : "HS256 needs `secret`: whoever knows its key can make tokens");
            return;
        }
}

/* The absolute path of the file; a URL is unchanged. */
static struct kv_slice place_of_keys(const struct kv_config *config, size_t i)
{
    struct kv_slice keys = text_of(issuer_of(config, i), JWT_KEYS);
    return kv_jwt_place_is_url(keys) || keys.len == 0 ? keys
                                                      : kv_file_path_resolve(config->conf, keys);
}

static void check_file(struct kv_config *config, size_t i)
{
    struct kv_slice path = place_of_keys(config, i);
    struct kv_jwt_key_set *set = NULL;
    struct kv_buffer notes = {0};
    struct kv_error error;
    if (kv_jwt_file_read(path.bytes, &set, &notes, &error) != 0)
        kv_conf_fault(config->conf, node_of(config, i, "keys"), "access.jwt[%zu].keys: %s: %s", i,
                      path.bytes, error.text);
    kv_jwt_key_set_unref(set);
    kv_buffer_fini(&notes);
}

static void check_url(struct kv_config *config, size_t i)
{
    struct kv_slice url = text_of(issuer_of(config, i), JWT_KEYS);
    if (!kv_slice_has_prefix(url, KV_SLICE("https://")))
        fault(config, i, "keys",
              "a file or an https URL is expected: keys that came over another "
              "protocol could be anybody's");
    else if (memchr(url.bytes, '@', strcspn(url.bytes + 8, "/?#") + 8) != NULL)
        fault(config, i, "keys", "a login in the URL is not supported");
}

static void check_secret(struct kv_config *config, size_t i)
{
    struct kv_jwt_key_set *set = NULL;
    struct kv_error error;
    if (kv_jwt_key_set_from_secret(text_of(issuer_of(config, i), JWT_SECRET), &set, &error) != 0)
        fault(config, i, "secret", error.text);
    kv_jwt_key_set_unref(set);
}

/* Whether its text has a fault, such as a variable that is not set: then it counts as not given. */
static bool is_faulty(const struct kv_config *config, size_t i, const char *path)
{
    return kv_conf_node_is_faulty(kv_conf_node_at(entry_node(config, i), path));
}

static void check_keys(struct kv_config *config, size_t i)
{
    const struct kv_option_value *issuer = issuer_of(config, i);
    bool has_keys = is_given(issuer, JWT_KEYS), has_secret = is_given(issuer, JWT_SECRET);
    if (is_faulty(config, i, "keys") || is_faulty(config, i, "secret"))
        return;
    if (has_keys == has_secret)
        fault(config, i, has_keys ? "secret" : "keys",
              has_keys ? "either `keys` or `secret` is expected, not both"
                       : "`keys` (a JWK Set: a file or an https URL) or `secret` is expected");
    else if (has_secret)
        check_secret(config, i);
    else if (kv_jwt_place_is_url(text_of(issuer, JWT_KEYS)))
        check_url(config, i);
    else
        check_file(config, i);
    if (is_given(issuer, JWT_CA_FILE) && !kv_jwt_place_is_url(text_of(issuer, JWT_KEYS)))
        fault(config, i, "ca_file", "it is for a URL of `keys` only");
}

static const struct kv_option_value *prefixes_of(const struct kv_option_value *issuer, int block,
                                                 int right)
{
    return kv_given_field(kv_given_field(issuer, block), right);
}

static void check_templates(struct kv_config *config, size_t i, int right, const char *name)
{
    const struct kv_option_value *list = prefixes_of(issuer_of(config, i), JWT_GRANTS, right);
    for (size_t k = 0; k < list->list.n; k++) {
        char path[64];
        struct kv_error error;
        snprintf(path, sizeof(path), "grants.%s[%zu]", name, k);
        if (kv_template_check(list->list.items[k].string, &error) != 0)
            fault(config, i, path, error.text);
    }
}

static void check_claim(struct kv_config *config, size_t i)
{
    const struct kv_option_value *issuer = issuer_of(config, i);
    bool has_claim = is_given(issuer, JWT_CLAIM), has_most = is_given(issuer, JWT_AT_MOST);
    if (has_claim && text_of(issuer, JWT_CLAIM).len == 0)
        fault(config, i, "claim", "the name of a claim is expected");
    if (has_claim && !has_most)
        fault(config, i, "claim", "`at_most` is needed: it says what a token may grant itself");
    if (has_most && !has_claim)
        fault(config, i, "at_most", "it has no effect without `claim`");
}

void kv_issuers_check(struct kv_config *config)
{
    for (size_t i = 0; i < kv_issuers_count(config); i++) {
        if (!issuer_of(config, i)->is_given)
            continue; /* its fault has been noted */
        check_issuer(config, i);
        check_audience(config, i);
        check_algorithms(config, i);
        check_keys(config, i);
        check_templates(config, i, ANONYMOUS_READ, "read");
        check_templates(config, i, ANONYMOUS_WRITE, "write");
        check_claim(config, i);
    }
}

/* ---- creating the issuers ---- */

static uint32_t read_algorithms(const struct kv_option_value *issuer)
{
    const struct kv_option_value *list = kv_given_field(issuer, JWT_ALGORITHMS);
    uint32_t algorithms = 0;
    if (is_given(issuer, JWT_SECRET))
        return kv_jwt_bit(KV_JWT_HS256);
    for (size_t i = 0; i < list->list.n; i++)
        algorithms |= kv_jwt_bit((enum kv_jwt_algorithm)list->list.items[i].integer);
    return list->is_given ? algorithms
                          : ((1u << KV_JWT_N_ALGORITHMS) - 1) & ~kv_jwt_bit(KV_JWT_HS256);
}

/* Owns: the caller, only the array. */
static struct kv_issuer_list read_list(const struct kv_option_value *issuer, int block, int right)
{
    const struct kv_option_value *list = prefixes_of(issuer, block, right);
    struct kv_slice *texts = kv_calloc(list->list.n, sizeof(*texts));
    for (size_t i = 0; i < list->list.n; i++)
        texts[i] = list->list.items[i].string;
    return (struct kv_issuer_list){texts, list->list.n};
}

static void free_list(struct kv_issuer_list list)
{
    free((void *)(uintptr_t)list.texts);
}

static struct kv_jwt_policy read_policy(const struct kv_option_value *issuer)
{
    return (struct kv_jwt_policy){.issuer = text_of(issuer, JWT_ISSUER),
                                  .audience = text_of(issuer, JWT_AUDIENCE),
                                  .algorithms = read_algorithms(issuer)};
}

static struct kv_authenticator *create(const struct kv_config *config, size_t i,
                                       struct kv_slice revoked, struct kv_jwt_sources *sources)
{
    const struct kv_option_value *issuer = issuer_of(config, i);
    const struct kv_jwt_place place = {.keys = place_of_keys(config, i),
                                       .ca_file = text_of(issuer, JWT_CA_FILE),
                                       .secret = text_of(issuer, JWT_SECRET)};
    const struct kv_issuer_config parts = {
        .policy = read_policy(issuer),
        .read = read_list(issuer, JWT_GRANTS, ANONYMOUS_READ),
        .write = read_list(issuer, JWT_GRANTS, ANONYMOUS_WRITE),
        .claim = text_of(issuer, JWT_CLAIM),
        .revoked = revoked,
        .at_most_read = read_list(issuer, JWT_AT_MOST, ANONYMOUS_READ),
        .at_most_write = read_list(issuer, JWT_AT_MOST, ANONYMOUS_WRITE),
    };
    struct kv_authenticator *created =
        kv_issuer_create(&parts, kv_jwt_sources_get(sources, &place));
    free_list(parts.read);
    free_list(parts.write);
    free_list(parts.at_most_read);
    free_list(parts.at_most_write);
    return created;
}

void kv_issuers_create(const struct kv_config *config, struct kv_slice revoked,
                       struct kv_jwt_sources *sources, struct kv_rules *rules)
{
    for (size_t i = 0; i < rules->n_authenticators; i++)
        rules->authenticators[i] = create(config, i, revoked, sources);
}

static bool have_subject(const struct kv_option_value *list)
{
    for (size_t i = 0; i < list->list.n; i++)
        if (kv_template_has_subject(list->list.items[i].string))
            return true;
    return false;
}

bool kv_issuers_find_secret(const struct kv_config *config, struct kv_mintable *ret)
{
    for (size_t i = 0; i < kv_issuers_count(config); i++) {
        const struct kv_option_value *issuer = issuer_of(config, i);
        if (!is_given(issuer, JWT_SECRET))
            continue;
        *ret = (struct kv_mintable){
            .secret = text_of(issuer, JWT_SECRET),
            .policy = read_policy(issuer),
            .needs_subject = have_subject(prefixes_of(issuer, JWT_GRANTS, ANONYMOUS_READ)) ||
                             have_subject(prefixes_of(issuer, JWT_GRANTS, ANONYMOUS_WRITE))};
        return true;
    }
    return false;
}
