#include "daemon/listen_addresses.h"

#include <stdlib.h>
#include <sys/un.h>

#include "base/mem.h"
#include "daemon/addresses.h"
#include "daemon/given.h"
#include "daemon/listen_tls.h"
#include "daemon/schema.h"

/* Reads `0660`: three octal digits, with or without a leading zero. */
static uint32_t read_mode(struct kv_config *config, const struct kv_conf_node *at, size_t i,
                          struct kv_slice text)
{
    char *end;
    unsigned long mode = strtoul(text.bytes, &end, 8);
    if (text.len < 3 || text.len > 4 || *end != '\0' || mode > 0777)
        kv_conf_fault(config->conf, at,
                      "listen[%zu].mode: \"%s\" is not a valid file mode (example: \"0660\")", i,
                      text.bytes);
    return (uint32_t)mode;
}

static void read_unix(struct kv_config *config, size_t i, const struct kv_option_value *entry)
{
    struct kv_listen_address *address = &config->listen[i];
    const struct kv_conf_node *mode = kv_conf_node_find(address->at, "mode");
    address->unix_path = kv_given_field(entry, LISTEN_UNIX)->string.bytes;
    address->unix_mode = read_mode(config, mode, i, kv_given_field(entry, LISTEN_MODE)->string);
    if (address->unix_path[0] == '\0')
        kv_conf_fault(config->conf, kv_conf_node_find(address->at, "unix"),
                      "listen[%zu].unix: \"\" is not a path", i);
    if (strlen(address->unix_path) >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
        kv_conf_fault(config->conf, kv_conf_node_find(address->at, "unix"),
                      "listen[%zu].unix: %s is longer than the path of a socket may be", i,
                      address->unix_path);
    if (kv_given_field(entry, LISTEN_HOST)->is_given ||
        kv_given_field(entry, LISTEN_PORT)->is_given)
        kv_conf_fault(config->conf, address->at,
                      "listen[%zu]: it takes either `unix` or `host` and `port`", i);
    if (kv_given_field(entry, LISTEN_TLS)->is_given)
        kv_conf_fault(config->conf, kv_conf_node_find(address->at, "tls"),
                      "listen[%zu].tls: a Unix socket never leaves this machine, and has none", i);
}

static void read_address(struct kv_config *config, size_t i, const struct kv_option_value *entry)
{
    char path[64];
    snprintf(path, sizeof(path), "listen[%zu].host", i);
    const struct kv_conf_node *node = kv_conf_node_child(kv_given_node(config, "listen"), i);
    const struct kv_conf_node *host = kv_conf_node_find(node, "host");
    config->listen[i].at = node;
    if (kv_given_field(entry, LISTEN_UNIX)->is_given) {
        read_unix(config, i, entry);
        return;
    }
    if (kv_given_field(entry, LISTEN_MODE)->is_given)
        kv_conf_fault(config->conf, kv_conf_node_find(node, "mode"),
                      "listen[%zu].mode: only a Unix socket has one", i);
    config->listen[i].host = kv_host_read(config->conf, host == NULL ? node : host, path,
                                          kv_given_field(entry, LISTEN_HOST)->string);
    config->listen[i].port = (uint16_t)kv_given_field(entry, LISTEN_PORT)->integer;
    if (kv_given_field(entry, LISTEN_TLS)->is_given)
        kv_listen_tls_read(config, i, kv_given_field(entry, LISTEN_TLS));
}

static bool is_same_address(const struct kv_listen_address *a, const struct kv_listen_address *b)
{
    return a->host != NULL && b->host != NULL && strcmp(a->host, b->host) == 0 &&
           a->port == b->port && a->port != 0;
}

/* A socket that is listed twice is a path that is written twice, which is reported elsewhere. */
static void note_address_twice(struct kv_config *config, size_t i)
{
    const struct kv_listen_address *address = &config->listen[i];
    for (size_t k = 0; k < i; k++)
        if (is_same_address(&config->listen[k], address))
            kv_conf_fault(config->conf, address->at,
                          "listen[%zu]: %s port %u is listed already, as listen[%zu]", i,
                          address->host, address->port, k);
}

void kv_listen_addresses_read(struct kv_config *config)
{
    const struct kv_option_value *list = &config->values[CONFIG_LISTEN];
    config->n_listen = list->list.n;
    config->listen = kv_calloc(list->list.n, sizeof(*config->listen));
    for (size_t i = 0; i < list->list.n; i++) {
        read_address(config, i, &list->list.items[i]);
        note_address_twice(config, i);
    }
    const struct kv_conf_node *given = kv_given_node(config, "listen");
    if (given != NULL && kv_conf_node_size(given) == 0 &&
        (kv_conf_node_is_empty(given) || kv_conf_node_is_sequence(given)))
        kv_conf_fault(config->conf, given,
                      "listen: at least one address is expected, as {host: 127.0.0.1, port: 3000}");
}
