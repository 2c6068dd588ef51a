/* `/healthz`: the process lives. `/readyz`: it serves. */
#include "http/resource.h"

static void answer_status(struct kv_exchange *exchange, struct kv_slice json)
{
    kv_exchange_answer(
        exchange, &(struct kv_answer){.status = 200, .content = KV_CONTENT_JSON, .text = json});
}

static void serve_health(struct kv_exchange *exchange, const struct kv_request *request)
{
    (void)request;
    answer_status(exchange, KV_SLICE("{\"status\":\"ok\"}"));
}

static void serve_readiness(struct kv_exchange *exchange, const struct kv_request *request)
{
    (void)request;
    if (kv_http_is_ready(exchange->here))
        answer_status(exchange, KV_SLICE("{\"status\":\"ready\"}"));
    else
        kv_exchange_refuse_unready(exchange);
}

const struct kv_resource kv_resource_health = {
    .path = {"/healthz", 8}, .methods = KV_METHODS_READING, .is_open = true, .serve = serve_health};

const struct kv_resource kv_resource_readiness = {.path = {"/readyz", 7},
                                                  .methods = KV_METHODS_READING,
                                                  .is_open = true,
                                                  .serve = serve_readiness};
