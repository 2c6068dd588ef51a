#include "options.h"

#include <stdlib.h>
#include <sys/un.h>

const struct kv_option redis_tls_options[N_REDIS_TLS_OPTIONS] = {
    [REDIS_TLS_CA] = {.name = "ca",
                      .type = KV_OPTION_PATH,
                      .flags = KV_OPTION_READS,
                      .doc = "CA certificates to trust; setting it turns TLS on"},
    [REDIS_TLS_CERT] = {.name = "cert",
                        .type = KV_OPTION_PATH,
                        .flags = KV_OPTION_READS,
                        .doc = "a client certificate, with its intermediates"},
    [REDIS_TLS_KEY] = {.name = "key", .type = KV_OPTION_PATH, .flags = KV_OPTION_READS},
    [REDIS_TLS_NAME] = {.name = "name",
                        .type = KV_OPTION_STRING,
                        .doc = "what Redis's certificate must be valid for, instead of `host`"},
};

const struct kv_option redis_node_option = {.type = KV_OPTION_STRING};

bool redis_address_parse(struct kv_slice text, struct kv_slice *ret_host, int *ret_port)
{
    const char *colon = memrchr(text.bytes, ':', text.len);
    if (colon == NULL || colon == text.bytes)
        return false;
    char *end;
    long port = strtol(colon + 1, &end, 10);
    *ret_host = (struct kv_slice){text.bytes, (size_t)(colon - text.bytes)};
    if (ret_host->len > 2 && ret_host->bytes[0] == '[' && colon[-1] == ']')
        *ret_host = (struct kv_slice){text.bytes + 1, ret_host->len - 2};
    *ret_port = (int)port;
    return *end == '\0' && end != colon + 1 && port > 0 && port < 65536 &&
           ret_host->len < REDIS_LONGEST_HOST;
}

/* ---- checking ---- */

void redis_options_check_list(const struct kv_option_value *list, const char *name,
                              const struct kv_faults *faults)
{
    for (size_t i = 0; i < list->list.n; i++) {
        char option[32];
        struct kv_slice host;
        int port;
        snprintf(option, sizeof(option), "%s[%zu]", name, i);
        if (!redis_address_parse(list->list.items[i].string, &host, &port))
            faults->add(faults, option, "an address is expected, as 127.0.0.1:7000");
    }
}

static void check_sentinels(const struct kv_option_value *options, const struct kv_faults *faults)
{
    static const char *const dependents[N_REDIS_OPTIONS] = {
        [REDIS_MASTER] = "master",
        [REDIS_SENTINEL_USER] = "sentinel_user",
        [REDIS_SENTINEL_PASSWORD] = "sentinel_password",
    };
    bool has_sentinels = options[REDIS_SENTINELS].list.n != 0;
    bool has_address = options[REDIS_HOST].is_given || options[REDIS_PORT].is_given ||
                       options[REDIS_UNIX].string.len != 0;
    redis_options_check_list(&options[REDIS_SENTINELS], "sentinels", faults);
    if (has_sentinels && has_address)
        faults->add(faults, "sentinels", "it cannot be combined with `host`, `port` or `unix`");
    if (has_sentinels && options[REDIS_MASTER].string.len == 0)
        faults->add(faults, "master", "the name of the master at the sentinels is expected");
    for (int i = 0; i < N_REDIS_OPTIONS && !has_sentinels; i++)
        if (dependents[i] != NULL && options[i].string.len != 0)
            faults->add(faults, dependents[i], "it needs `sentinels`");
    if (options[REDIS_SENTINEL_USER].string.len != 0 &&
        options[REDIS_SENTINEL_PASSWORD].string.len == 0)
        faults->add(faults, "sentinel_user", "it needs a `sentinel_password`");
}

static void check_tls(const struct kv_option_value *options, const struct kv_faults *faults)
{
    const struct kv_option_value *tls = options[REDIS_TLS].list.items;
    bool has_ca = tls[REDIS_TLS_CA].string.len != 0;
    bool has_cert = tls[REDIS_TLS_CERT].string.len != 0;
    bool has_key = tls[REDIS_TLS_KEY].string.len != 0;
    if (has_cert && !has_key)
        faults->add(faults, "tls.cert", "it needs a `key`");
    if (has_key && !has_cert)
        faults->add(faults, "tls.key", "it needs a `cert`");
    if (!has_ca && (has_cert || has_key || tls[REDIS_TLS_NAME].string.len != 0))
        faults->add(faults, "tls", "it needs a `ca`");
    if (has_ca && options[REDIS_UNIX].string.len != 0)
        faults->add(faults, "tls", "Redis has no TLS at a Unix socket");
}

void redis_options_check(const struct kv_option_value *options, const struct kv_faults *faults)
{
    bool has_address = options[REDIS_HOST].is_given || options[REDIS_PORT].is_given;
    if (options[REDIS_UNIX].string.len != 0 && has_address)
        faults->add(faults, "unix", "it stands in place of `host` and `port`, which are given");
    if (options[REDIS_UNIX].string.len >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
        faults->add(faults, "unix", "it is longer than the path of a socket may be");
    if (options[REDIS_USER].string.len != 0 && options[REDIS_PASSWORD].string.len == 0)
        faults->add(faults, "user", "it needs a `password`");
    check_tls(options, faults);
    check_sentinels(options, faults);
}

void redis_address_write_text(struct address *address)
{
    bool is_ipv6 = strchr(address->host.bytes, ':') != NULL;
    if (address->unix_path.len != 0)
        snprintf(address->text, sizeof(address->text), "%s", address->unix_path.bytes);
    else
        snprintf(address->text, sizeof(address->text), is_ipv6 ? "[%s]:%d" : "%s:%d",
                 address->host.bytes, address->port);
}

void redis_options_read(const struct kv_option_value *options, struct address *ret_address)
{
    const struct kv_option_value *tls = options[REDIS_TLS].list.items;
    struct kv_slice name = tls[REDIS_TLS_NAME].string;
    *ret_address = (struct address){
        .host = options[REDIS_HOST].string,
        .port = (int)options[REDIS_PORT].integer,
        .unix_path = options[REDIS_UNIX].string,
        .tls = {.ca = tls[REDIS_TLS_CA].string,
                .cert = tls[REDIS_TLS_CERT].string,
                .key = tls[REDIS_TLS_KEY].string,
                .name = name.len != 0 ? name : options[REDIS_HOST].string},
    };
    redis_address_write_text(ret_address);
}
