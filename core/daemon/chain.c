/* Each policy has its own host, so that its log lines carry its name. */
#include "daemon/chain.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "conf/conf.h"

struct policy_host {
    struct kv_host base;
    char subject[64];
};

struct kv_chain {
    size_t n;
    struct policy_host *hosts;
    struct kv_ttl_link *links;
};

static int64_t now_ms(const struct kv_host *host)
{
    (void)host;
    return kv_clock_now_ms(&kv_clock_boot);
}

static int64_t wall_us(const struct kv_host *host)
{
    (void)host;
    return kv_wall_us();
}

static void log_line(const struct kv_host *base, enum kv_log_level level, const char *format, ...)
{
    const struct policy_host *host = KV_CONTAINER(base, const struct policy_host, base);
    va_list args;
    va_start(args, format);
    kv_vlog(level, host->subject, format, args);
    va_end(args);
}

static int open_policy(struct kv_conf *conf, const struct kv_configured_module *module,
                       struct policy_host *host, struct kv_ttl_link *link)
{
    const struct kv_module *identity = module->module->identity;
    struct kv_error error;
    host->base = (struct kv_host){
        .size = sizeof(host->base), .now_ms = now_ms, .wall_us = wall_us, .log = log_line};
    snprintf(host->subject, sizeof(host->subject), "ttl/%s", identity->name);
    link->ops = kv_module_ttl_ops(module->module);
    link->renews = (identity->capabilities & KV_TTL_RENEWS) != 0;
    if (link->ops->open(&host->base, module->options, &link->policy, &error) != 0)
        return kv_conf_fault(conf, module->block.at, "ttl policy %s: %s", identity->name,
                             error.text);
    return 0;
}

struct kv_chain *kv_chain_open(const struct kv_config *config)
{
    struct kv_chain *chain = kv_calloc(1, sizeof(*chain));
    chain->hosts = kv_calloc(config->n_ttl, sizeof(*chain->hosts));
    chain->links = kv_calloc(config->n_ttl, sizeof(*chain->links));
    for (; chain->n < config->n_ttl; chain->n++) {
        size_t i = chain->n;
        if (open_policy(config->conf, &config->ttl[i], &chain->hosts[i], &chain->links[i]) != 0) {
            kv_chain_close(chain);
            return NULL;
        }
    }
    return chain;
}

void kv_chain_close(struct kv_chain *chain)
{
    if (chain == NULL)
        return;
    while (chain->n-- > 0)
        chain->links[chain->n].ops->close(chain->links[chain->n].policy);
    free(chain->hosts);
    free(chain->links);
    free(chain);
}

const struct kv_ttl_link *kv_chain_links(const struct kv_chain *chain)
{
    return chain->links;
}
