/* Each part is opened by itself, from a configuration that has nothing else, so that one that
 * cannot be does not hide the others. */
#include "daemon/preflight.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/conf.h"
#include "daemon/chain.h"
#include "daemon/outlets.h"
#include "daemon/scripting.h"

static int result(const struct kv_config *config)
{
    return kv_conf_n_faults(config->conf) == 0 ? 0 : -1;
}

static void check_paths(const struct kv_config *config, const struct kv_configured_module *module)
{
    kv_conf_check_paths(config->conf, module->first_path, module->end_path);
}

int kv_preflight_paths(const struct kv_config *config)
{
    kv_conf_check_paths(config->conf, 0, config->end_path);
    check_paths(config, &config->store);
    for (size_t i = 0; i < config->n_ttl; i++)
        check_paths(config, &config->ttl[i]);
    for (size_t i = 0; i < config->n_sinks; i++)
        check_paths(config, &config->sinks[i].module);
    return result(config);
}

/* Policies and sinks say in their open() what no schema can, and scripts when they are compiled. */

static void open_policies(const struct kv_config *config)
{
    struct kv_config one = *config;
    one.n_ttl = 1;
    for (size_t i = 0; i < config->n_ttl; i++) {
        one.ttl = &config->ttl[i];
        if (one.ttl->module != NULL)
            kv_chain_close(kv_chain_open(&one));
    }
}

static void open_sinks(const struct kv_config *config)
{
    struct kv_config one = *config;
    one.n_sinks = 1;
    for (size_t i = 0; i < config->n_sinks; i++) {
        one.sinks = &config->sinks[i];
        if (one.sinks->module.module != NULL)
            kv_outlets_close(kv_outlets_open(&one));
    }
}

static bool is_readable(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && !S_ISDIR(status.st_mode) &&
           faccessat(AT_FDCWD, path, R_OK, AT_EACCESS) == 0;
}

/* One that cannot be read is noted already. */
static void load_scripts(const struct kv_config *config)
{
    struct kv_config one = *config;
    one.n_scripts = 1;
    for (size_t i = 0; i < config->n_scripts; i++) {
        one.scripts = &config->scripts[i];
        one.configured_scripts = &config->configured_scripts[i];
        if (is_readable(one.scripts->file))
            kv_scripts_destroy(kv_scripting_load(&one, 1));
    }
}

/* Whether the address is one of this machine: with any port, as the right one may be in use. */
static int try_address(const struct addrinfo *found)
{
    int at = socket(found->ai_family, found->ai_socktype | SOCK_CLOEXEC, 0);
    int failed = at < 0 || bind(at, found->ai_addr, found->ai_addrlen) != 0 ? errno : 0;
    if (at >= 0)
        close(at);
    return failed;
}

/* That a name cannot be looked up just now is no fault of the configuration. */
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
    for (const struct addrinfo *found = all; found != NULL; found = found->ai_next)
        if (try_address(found) == EADDRNOTAVAIL)
            kv_conf_fault(config->conf, address->at,
                          "listen[%zu].host: \"%s\" is not an address of this machine", i,
                          address->host);
    freeaddrinfo(all);
}

/* A folder is noted already; a socket that was left behind is replaced. */
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

int kv_preflight(const struct kv_config *config)
{
    kv_preflight_paths(config);
    open_policies(config);
    open_sinks(config);
    load_scripts(config);
    for (size_t i = 0; i < config->n_listen; i++)
        if (config->listen[i].unix_path != NULL)
            check_unix_path(config, i);
        else if (config->listen[i].host != NULL)
            check_address(config, i);
    return result(config);
}
