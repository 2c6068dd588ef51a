/* `cert` and `key` are the first certificate, followed by those under `certificates`. */
#include "daemon/listen_tls.h"

#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "daemon/given.h"
#include "daemon/schema.h"

enum {
    SOON_S = 14 * 24 * 3600
};

static const struct kv_conf_node *tls_node(const struct kv_config *config, size_t i)
{
    return kv_conf_node_find(config->listen[i].at, "tls");
}

static const char *given_path(const struct kv_option_value *value)
{
    return value->string.len == 0 ? NULL : value->string.bytes;
}

static void add_certificate(struct kv_listen_tls *tls, const struct kv_option_value *cert,
                            const struct kv_option_value *key)
{
    tls->certificates[tls->config.n_certificates++] =
        (struct kv_tls_certificate){given_path(cert), given_path(key)};
}

static void read_first(struct kv_config *config, size_t i, const struct kv_option_value *block)
{
    const struct kv_option_value *cert = kv_given_field(block, TLS_CERT);
    const struct kv_option_value *key = kv_given_field(block, TLS_KEY);
    if (given_path(cert) != NULL && given_path(key) != NULL)
        add_certificate(&config->listen[i].tls, cert, key);
    else if (given_path(cert) != NULL)
        kv_conf_fault(config->conf, tls_node(config, i),
                      "listen[%zu].tls.key: the file of the certificate's key is expected", i);
    else if (given_path(key) != NULL)
        kv_conf_fault(config->conf, tls_node(config, i),
                      "listen[%zu].tls.cert: the file of the key's certificate is expected", i);
    else if (kv_given_field(block, TLS_CERTIFICATES)->list.n == 0)
        kv_conf_fault(config->conf, tls_node(config, i),
                      "listen[%zu].tls: a certificate is expected, as {cert: server.pem, "
                      "key: server.key}",
                      i);
}

static void read_clients(struct kv_config *config, size_t i, const struct kv_option_value *block)
{
    const struct kv_option_value *auth = kv_given_field(block, TLS_CLIENT_AUTH);
    struct kv_tls_config *tls = &config->listen[i].tls.config;
    const struct kv_conf_node *client_ca = kv_conf_node_find(tls_node(config, i), "client_ca");
    tls->client_ca = given_path(kv_given_field(block, TLS_CLIENT_CA));
    if (client_ca != NULL && tls->client_ca == NULL) /* for example if a variable is empty */
        kv_conf_fault(
            config->conf, client_ca,
            "listen[%zu].tls.client_ca: a file is expected; without it no client is asked "
            "for a certificate",
            i);
    if (tls->client_ca != NULL)
        tls->client_auth = auth->integer == 0 ? KV_TLS_CLIENTS_REQUIRED : KV_TLS_CLIENTS_OPTIONAL;
    else if (auth->is_given)
        kv_conf_fault(config->conf, kv_conf_node_find(tls_node(config, i), "client_auth"),
                      "listen[%zu].tls.client_auth: it needs client_ca, the file of those who sign "
                      "clients' certificates",
                      i);
}

void kv_listen_tls_read(struct kv_config *config, size_t i, const struct kv_option_value *block)
{
    const struct kv_option_value *more = kv_given_field(block, TLS_CERTIFICATES);
    struct kv_listen_tls *tls = &config->listen[i].tls;
    tls->certificates = kv_calloc(more->list.n + 1, sizeof(*tls->certificates));
    tls->config.certificates = tls->certificates;
    tls->is_given = true;
    read_first(config, i, block);
    tls->n_listed_from = tls->config.n_certificates;
    for (size_t k = 0; k < more->list.n; k++)
        add_certificate(tls, kv_given_field(&more->list.items[k], CERTIFICATE_CERT),
                        kv_given_field(&more->list.items[k], CERTIFICATE_KEY));
    read_clients(config, i, block);
}

const struct kv_conf_node *kv_listen_tls_place(const struct kv_config *config, size_t i,
                                               const struct kv_tls_fault *fault,
                                               char path[static 64])
{
    static const char *const names[] = {
        [KV_TLS_CERT] = "cert", [KV_TLS_KEY] = "key", [KV_TLS_CLIENT_CA] = "client_ca"};
    const struct kv_conf_node *node = tls_node(config, i);
    size_t first = config->listen[i].tls.n_listed_from;
    const char *name = names[fault->file];
    if (fault->file == KV_TLS_CLIENT_CA || fault->certificate < first) {
        snprintf(path, 64, "listen[%zu].tls.%s", i, name);
        return kv_conf_node_find(node, name);
    }
    size_t k = fault->certificate - first;
    snprintf(path, 64, "listen[%zu].tls.certificates[%zu].%s", i, k, name);
    return kv_conf_node_find(kv_conf_node_child(kv_conf_node_find(node, "certificates"), k), name);
}

static bool is_complete(const struct kv_tls_config *config)
{
    for (size_t i = 0; i < config->n_certificates; i++)
        if (config->certificates[i].cert == NULL || config->certificates[i].key == NULL)
            return false;
    return config->n_certificates != 0;
}

struct kv_tls *kv_listen_tls_open(const struct kv_config *config, size_t i)
{
    struct kv_tls_fault fault;
    char path[64];
    if (!is_complete(&config->listen[i].tls.config))
        return NULL;
    struct kv_tls *tls =
        kv_tls_create(&config->listen[i].tls.config, kv_clock_now_ms(&kv_clock_boot), &fault);
    if (tls == NULL) {
        const struct kv_conf_node *node = kv_listen_tls_place(config, i, &fault, path);
        kv_conf_fault(config->conf, node, "%s: %s", path, fault.error.text);
    }
    return tls;
}

bool kv_listen_tls_ends_soon(const struct kv_config *config, size_t i, const struct kv_tls *tls,
                             struct kv_error *ret_text)
{
    char date[32] = "";
    struct tm parts;
    time_t now = time(NULL);
    time_t ends_at = (time_t)kv_tls_ends_at(tls);
    if (ends_at - now > SOON_S || gmtime_r(&ends_at, &parts) == NULL)
        return false;
    strftime(date, sizeof(date), "%Y-%m-%d %H:%M UTC", &parts);
    kv_error_set(ret_text, "listen[%zu].tls: %s: the certificate %s on %s", i,
                 config->listen[i].tls.certificates[kv_tls_ends_first(tls)].cert,
                 ends_at <= now ? "expired" : "expires", date);
    return true;
}

void kv_listen_tls_fini(struct kv_listen_address *address)
{
    free(address->tls.certificates);
}
