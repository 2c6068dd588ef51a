/* Existing connections keep their certificates; later handshakes use the new files. */
#include "daemon/certificates.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "daemon/listen_tls.h"
#include "daemon/running.h"

static void warn_of_end(const struct kv_server *server, size_t i)
{
    struct kv_error text;
    if (kv_listen_tls_ends_soon(server->config, i, server->tls[i], &text))
        kv_log(KV_LOG_WARN, "server", "%s", text.text);
}

int kv_certificates_open(struct kv_server *server)
{
    const struct kv_config *config = server->config;
    server->tls = kv_calloc(config->n_listen, sizeof(struct kv_tls *));
    for (size_t i = 0; i < config->n_listen; i++) {
        if (!config->listen[i].tls.is_given)
            continue;
        server->tls[i] = kv_listen_tls_open(config, i);
        if (server->tls[i] == NULL)
            return -1;
        warn_of_end(server, i);
    }
    return 0;
}

void kv_certificates_close(struct kv_server *server)
{
    for (size_t i = 0; server->tls != NULL && i < server->config->n_listen; i++)
        kv_tls_destroy(server->tls[i]);
    free(server->tls);
}

bool kv_certificates_are_watched(const struct kv_server *server)
{
    for (size_t i = 0; i < server->config->n_listen; i++)
        if (server->tls[i] != NULL)
            return true;
    return false;
}

static void read_again(const struct kv_server *server, size_t i)
{
    struct kv_tls_fault fault;
    char path[64];
    if (kv_tls_reload(server->tls[i], kv_clock_now_ms(&kv_clock_boot), &fault) != 0) {
        kv_listen_tls_place(server->config, i, &fault, path);
        kv_log(KV_LOG_ERROR, "server", "%s: %s; keeping the certificates that were read before",
               path, fault.error.text);
        return;
    }
    kv_log(KV_LOG_INFO, "server", "listen[%zu].tls: the certificates have been read again", i);
    warn_of_end(server, i);
}

void kv_certificates_reload(const struct kv_server *server)
{
    for (size_t i = 0; i < server->config->n_listen; i++)
        if (server->tls[i] != NULL)
            read_again(server, i);
}

void kv_certificates_look(const struct kv_server *server)
{
    for (size_t i = 0; i < server->config->n_listen; i++)
        if (server->tls[i] != NULL &&
            kv_tls_is_due(server->tls[i], kv_clock_now_ms(&kv_clock_boot)))
            read_again(server, i);
}

void kv_certificates_collect(const struct kv_server *server, struct kv_metrics_text *text)
{
    static const struct kv_metric metric = {
        "kvserver_certificate_expiry_time_seconds", KV_METRIC_GAUGE, "seconds",
        "When the first of the certificates of an address expires, as seconds since 1970"};
    if (!kv_certificates_are_watched(server))
        return;
    kv_metrics_begin(text, &metric);
    for (size_t i = 0; i < server->config->n_listen; i++) {
        char address[32];
        snprintf(address, sizeof(address), "listen[%zu]", i);
        if (server->tls[i] != NULL)
            kv_metrics_sample(text, (struct kv_labels){{{"address", address}}},
                              (uint64_t)kv_tls_ends_at(server->tls[i]));
    }
}
