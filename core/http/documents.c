/* `/openapi.yaml` and `/asyncapi.yaml`: what the server serves, for programs that read such things.
 */
#include "http/resource.h"
#include "web/web.h"

static void answer_document(struct kv_exchange *exchange, struct kv_slice document)
{
    kv_exchange_answer(
        exchange, &(struct kv_answer){.status = 200, .content = KV_CONTENT_YAML, .text = document});
}

static void serve_openapi(struct kv_exchange *exchange, const struct kv_request *request)
{
    (void)request;
    answer_document(exchange, kv_web_openapi);
}

static void serve_asyncapi(struct kv_exchange *exchange, const struct kv_request *request)
{
    (void)request;
    answer_document(exchange, kv_web_asyncapi);
}

const struct kv_resource kv_resource_openapi = {.path = {"/openapi.yaml", 13},
                                                .methods = KV_METHODS_READING,
                                                .is_open = true,
                                                .serve = serve_openapi};

const struct kv_resource kv_resource_asyncapi = {.path = {"/asyncapi.yaml", 14},
                                                 .methods = KV_METHODS_READING,
                                                 .is_open = true,
                                                 .serve = serve_asyncapi};
