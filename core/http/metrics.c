/* `GET /metrics`: the server's metrics, for a monitoring system. */
#include <string.h>

#include "http/resource.h"

static bool contains(struct kv_slice text, struct kv_slice part)
{
    return text.len != 0 && memmem(text.bytes, text.len, part.bytes, part.len) != NULL;
}

static bool takes_openmetrics(const struct kv_request *request)
{
    struct kv_slice accept;
    for (size_t at = 0; kv_request_next_header(request, KV_HEADER_ACCEPT, &at, &accept);)
        if (contains(accept, KV_SLICE("application/openmetrics-text")))
            return true;
    return false;
}

static void serve(struct kv_exchange *exchange, const struct kv_request *request)
{
    bool is_open = takes_openmetrics(request);
    struct kv_buffer *out = &exchange->here->text;
    out->len = 0;
    kv_metrics_write(exchange->here->metrics,
                     is_open ? KV_METRICS_OPENMETRICS : KV_METRICS_PROMETHEUS, out);
    kv_exchange_answer(exchange, &(struct kv_answer){.status = 200,
                                                     .content = is_open ? KV_CONTENT_OPENMETRICS
                                                                        : KV_CONTENT_METRICS,
                                                     .is_of_now = true,
                                                     .text = kv_buffer_slice(out)});
}

const struct kv_resource kv_resource_metrics = {.path = {"/metrics", 8},
                                                .methods = KV_METHODS_READING,
                                                .keeps = true,
                                                .admin = KV_ADMIN_METRICS,
                                                .serve = serve};
