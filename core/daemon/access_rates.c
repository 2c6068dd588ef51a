#include "daemon/access_rates.h"

#include "daemon/given.h"
#include "daemon/schema.h"

#define NS_PER_S INT64_C(1000000000)

enum {
    MOST = 1000000000 /* in a period */
};

static const struct kv_option_value *rates_of(const struct kv_config *config)
{
    return kv_given_field(&config->values[CONFIG_ACCESS], ACCESS_RATES);
}

/* Returns: 0 if it is not a period. */
static int64_t period_of(struct kv_slice unit)
{
    static const struct {
        const char *unit;
        int64_t seconds;
    } periods[] = {{"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}};
    for (size_t i = 0; i < KV_COUNT(periods); i++)
        if (kv_slice_equals(unit, kv_slice_of(periods[i].unit)))
            return periods[i].seconds * NS_PER_S;
    return 0;
}

/* Reads `1000/s`. Returns: false if it is not a rate. */
static bool read_rate(struct kv_slice text, struct kv_rate *ret)
{
    int64_t n = 0;
    size_t i = 0;
    for (; i < text.len && text.bytes[i] >= '0' && text.bytes[i] <= '9' && n <= MOST; i++)
        n = n * 10 + (text.bytes[i] - '0');
    if (i == text.len || text.bytes[i] != '/')
        return false;
    int64_t period_ns = period_of((struct kv_slice){text.bytes + i + 1, text.len - i - 1});
    if (n == 0 || n > MOST || period_ns == 0)
        return false;
    *ret = kv_rate_of(n, period_ns);
    return true;
}

static void check_rate(struct kv_config *config, int place, const char *name)
{
    struct kv_rate ignored;
    const struct kv_option_value *value = kv_given_field(rates_of(config), place);
    char path[64];
    if (!value->is_given || read_rate(value->string, &ignored))
        return;
    snprintf(path, sizeof(path), "access.rates.%s", name);
    kv_conf_fault(config->conf, kv_conf_node_at(kv_conf_root(config->conf), path),
                  "%s: a rate is expected, as 1000/s, 60/m, 100/h or 1000/d", path);
}

void kv_access_rates_check(struct kv_config *config)
{
    const struct kv_option_value *per = kv_given_field(rates_of(config), RATES_PER);
    check_rate(config, RATES_REQUESTS, "requests");
    check_rate(config, RATES_CONNECTIONS, "connections");
    if (per->is_given && per->list.n == 0)
        kv_conf_fault(config->conf, kv_conf_node_at(kv_conf_root(config->conf), "access.rates.per"),
                      "access.rates.per: an empty list limits nobody: token, address or both are "
                      "expected");
}

static bool is_per(const struct kv_config *config, int whom)
{
    const struct kv_option_value *per = kv_given_field(rates_of(config), RATES_PER);
    for (size_t i = 0; i < per->list.n; i++)
        if (per->list.items[i].integer == whom)
            return true;
    return !per->is_given;
}

void kv_access_rates_read(const struct kv_config *config, struct kv_rules *rules)
{
    const struct kv_option_value *rates = rates_of(config);
    const struct kv_option_value *limits = &config->values[CONFIG_LIMITS];
    rules->most_connections = (uint32_t)kv_given_field(limits, LIMIT_PER_TOKEN)->integer;
    rules->rates.by_token = is_per(config, RATES_PER_TOKEN);
    rules->rates.by_address = is_per(config, RATES_PER_ADDRESS);
    read_rate(kv_given_field(rates, RATES_REQUESTS)->string, &rules->rates.of[KV_METERED_REQUESTS]);
    read_rate(kv_given_field(rates, RATES_CONNECTIONS)->string,
              &rules->rates.of[KV_METERED_CONNECTIONS]);
}
