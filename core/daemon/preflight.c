/* Each part is opened separately, from a configuration that contains nothing else, so that one
 * failure does not hide the others. */
#include "daemon/preflight.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netdb.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/conf.h"
#include "daemon/access_rules.h"
#include "daemon/chain.h"
#include "daemon/listen_tls.h"
#include "daemon/outlets.h"
#include "daemon/page_folder.h"
#include "daemon/scripting.h"

static int result(const struct kv_config *config)
{
    return kv_conf_n_faults(config->conf) == 0 ? 0 : -1;
}

/* ---- modules ---- */

static void check_module(struct kv_config *config, struct kv_configured_module *module,
                         kv_check_fn check)
{
    size_t n_before = kv_conf_n_faults(config->conf);
    kv_conf_check_paths(config->conf, module->first_path, module->end_path);
    module->is_faulty = module->is_faulty || kv_conf_n_faults(config->conf) != n_before;
    if (kv_conf_take_findings(config->conf, &module->block, module->is_faulty, check,
                              module->options) != 0)
        module->is_faulty = true;
}

static void check_modules(struct kv_config *config)
{
    if (config->store.module != NULL)
        check_module(config, &config->store, kv_module_store_ops(config->store.module)->check);
    for (size_t i = 0; i < config->n_ttl; i++)
        if (config->ttl[i].module != NULL)
            check_module(config, &config->ttl[i], kv_module_ttl_ops(config->ttl[i].module)->check);
    for (size_t i = 0; i < config->n_sinks; i++)
        if (config->sinks[i].module.module != NULL)
            check_module(config, &config->sinks[i].module, config->sinks[i].config.ops->check);
}

/* ---- addresses ---- */

/* Whether the address belongs to this machine: tried with any port, as the configured one may be in
 * use. */
static int try_address(const struct addrinfo *found)
{
    int at = socket(found->ai_family, found->ai_socktype | SOCK_CLOEXEC, 0);
    int failed = at < 0 || bind(at, found->ai_addr, found->ai_addrlen) != 0 ? errno : 0;
    if (at >= 0)
        close(at);
    return failed;
}

static bool is_of_this_machine(const struct addrinfo *all)
{
    for (const struct addrinfo *found = all; found != NULL; found = found->ai_next)
        if (try_address(found) == EADDRNOTAVAIL)
            return false;
    return true;
}

static bool is_loopback(const struct addrinfo *found)
{
    const struct sockaddr_in *ipv4 = (const void *)found->ai_addr;
    const struct sockaddr_in6 *ipv6 = (const void *)found->ai_addr;
    return found->ai_family == AF_INET ? ntohl(ipv4->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET
                                       : IN6_IS_ADDR_LOOPBACK(&ipv6->sin6_addr);
}

/* Access for everybody must be configured explicitly. */
static void check_exposure(const struct kv_config *config, size_t i, const struct addrinfo *all)
{
    const struct kv_listen_address *address = &config->listen[i];
    if (kv_access_rules_are_configured(config))
        return;
    for (const struct addrinfo *found = all; found != NULL; found = found->ai_next)
        if (!is_loopback(found)) {
            kv_conf_fault(config->conf, address->at,
                          "listen[%zu].host: other machines can reach %s, and without `access` "
                          "everybody may read and write everything there. Either say who may do "
                          "what (access: {tokens: [...]}), or let everybody in on purpose "
                          "(access: {anonymous: {read: [\"\"], write: [\"\"]}})",
                          i, address->host);
            return;
        }
}

/* A failed look-up of a name may be temporary, so it is not a fault. */
static void check_address(const struct kv_config *config, size_t i)
{
    const struct kv_listen_address *address = &config->listen[i];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *all;
    int failed = getaddrinfo(address->host, "0", &hints, &all);
    if (failed == EAI_NONAME)
        kv_conf_fault(config->conf, address->at, "listen[%zu].host: there is no host \"%s\"", i,
                      address->host);
    if (failed != 0)
        return;
    if (is_of_this_machine(all))
        check_exposure(config, i, all);
    else
        kv_conf_fault(config->conf, address->at,
                      "listen[%zu].host: \"%s\" is not an address of this machine", i,
                      address->host);
    freeaddrinfo(all);
}

/* A folder has been noted already; a leftover socket will be replaced. */
static void check_unix_path(const struct kv_config *config, size_t i)
{
    const struct kv_listen_address *address = &config->listen[i];
    struct stat status;
    if (lstat(address->unix_path, &status) == 0 && !S_ISSOCK(status.st_mode) &&
        !S_ISDIR(status.st_mode))
        kv_conf_fault(config->conf, kv_conf_node_find(address->at, "unix"),
                      "listen[%zu].unix: %s: the path exists and is not a socket", i,
                      address->unix_path);
}

static void check_addresses(const struct kv_config *config)
{
    for (size_t i = 0; i < config->n_listen; i++)
        if (config->listen[i].unix_path != NULL)
            check_unix_path(config, i);
        else if (config->listen[i].host != NULL)
            check_address(config, i);
}

static void check_certificates(const struct kv_config *config)
{
    for (size_t i = 0; i < config->n_listen; i++)
        if (config->listen[i].tls.is_given)
            kv_tls_destroy(kv_listen_tls_open(config, i));
}

static void check_pages(const struct kv_config *config)
{
    struct kv_pages *pages;
    if (kv_page_folder_open(config, &pages) == 0)
        kv_pages_close(pages);
}

int kv_preflight(struct kv_config *config)
{
    kv_conf_check_paths(config->conf, 0, config->end_path);
    if (result(config) == 0)
        check_certificates(config);
    check_modules(config);
    check_addresses(config);
    check_pages(config);
    return result(config);
}

/* Modules without check(), and libraries, report in open() what no schema can check; scripts, when
 * they are compiled. */

static void open_policies(const struct kv_config *config)
{
    struct kv_config one = *config;
    one.n_ttl = 1;
    for (size_t i = 0; i < config->n_ttl; i++) {
        one.ttl = &config->ttl[i];
        if (one.ttl->module != NULL && !one.ttl->is_faulty)
            kv_chain_close(kv_chain_open(&one));
    }
}

static void open_sinks(const struct kv_config *config)
{
    struct kv_config one = *config;
    one.n_sinks = 1;
    for (size_t i = 0; i < config->n_sinks; i++) {
        one.sinks = &config->sinks[i];
        if (one.sinks->module.module != NULL && !one.sinks->module.is_faulty)
            kv_outlets_close(kv_outlets_open(&one));
    }
}

int kv_preflight_reloaded(struct kv_config *config, const struct kv_config *running)
{
    kv_preflight(config);
    open_policies(config);
    open_sinks(config);
    kv_scripting_check(config, running);
    return result(config);
}

int kv_preflight_thoroughly(struct kv_config *config)
{
    return kv_preflight_reloaded(config, NULL);
}
