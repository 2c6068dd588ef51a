#include "daemon/proxies.h"

#include "base/mem.h"
#include "conf/conf.h"
#include "daemon/given.h"
#include "daemon/schema.h"

static void read_one(struct kv_config *config, size_t i, struct kv_slice text)
{
    struct kv_address_range *range = &config->proxies[config->net.n_proxies];
    if (kv_slice_equals(text, KV_SLICE("unix")))
        config->net.trusts_unix = true;
    else if (kv_address_range_read(text, range))
        config->net.n_proxies++;
    else
        kv_conf_fault(config->conf, kv_conf_node_child(kv_given_node(config, "trusted_proxies"), i),
                      "trusted_proxies[%zu]: \"%s\" is not an address: it is like 192.0.2.1, "
                      "10.0.0.0/8 (without bits behind the first 8), 2001:db8::/32, or unix",
                      i, text.bytes);
}

void kv_proxies_read(struct kv_config *config)
{
    const struct kv_option_value *list = &config->values[CONFIG_PROXIES];
    config->proxies = kv_calloc(list->list.n, sizeof(*config->proxies));
    for (size_t i = 0; i < list->list.n; i++)
        if (list->list.items[i].is_given)
            read_one(config, i, list->list.items[i].string);
    config->net.proxies = config->proxies;
}
