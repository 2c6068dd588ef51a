#include "options.h"

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
