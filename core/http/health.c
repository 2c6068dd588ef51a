/* `/healthz`: whether the process is alive. `/readyz`: whether it can serve. */
#include "http/resource.h"
#include "keyspace/partitions.h"

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

static const char *store_of(const struct kv_http_context *here)
{
    if (!kv_keyspace_is_ready(here->keyspace))
        return "opening";
    return kv_keyspace_is_well(here->keyspace) ? "open" : "unavailable";
}

static const char *status_of(const struct kv_http_context *here)
{
    if (kv_http_is_draining(here))
        return "draining";
    if (!kv_keyspace_is_ready(here->keyspace))
        return "starting";
    return kv_keyspace_is_well(here->keyspace) ? "ready" : "unavailable";
}

static bool serves(const struct kv_http_context *here)
{
    return kv_http_is_ready(here) && kv_keyspace_is_well(here->keyspace);
}

static void describe_partitions(const struct kv_http_context *here, struct kv_buffer *out)
{
    const struct kv_store_link *store = kv_keyspace_store(here->keyspace);
    if (!kv_partitions_are_told(store))
        return;
    struct kv_partition_counts counts = kv_partitions_count(store);
    kv_buffer_printf(out, ",\"partitions\":{\"count\":%u,\"connected\":%u}", counts.n,
                     counts.n_connected);
}

/* Appended with `verbose`: its dependencies, without names, as anybody may ask. */
static void describe(struct kv_exchange *exchange)
{
    struct kv_http_context *here = exchange->here;
    struct kv_buffer text = {0};
    kv_buffer_printf(&text, "{\"status\":\"%s\",\"store\":\"%s\"", status_of(here), store_of(here));
    describe_partitions(here, &text);
    if (here->readiness != NULL)
        here->readiness->describe(here->readiness, &text);
    kv_buffer_append_char(&text, '}');
    struct kv_answer answer = {.status = 200, .is_of_now = true};
    if (!serves(here)) {
        answer.status = 503;
        answer.retry_after_s = 1;
    }
    kv_exchange_answer_with(exchange, answer, &text);
}

static void serve_readiness(struct kv_exchange *exchange, const struct kv_request *request)
{
    if (kv_slice_equals(request->query, KV_SLICE("verbose")))
        describe(exchange);
    else if (serves(exchange->here))
        answer_status(exchange, KV_SLICE("{\"status\":\"ready\"}"));
    else if (kv_http_is_ready(exchange->here))
        kv_exchange_refuse(exchange, (struct kv_answer){.status = 503, .retry_after_s = 1},
                           "the store cannot serve for now");
    else
        kv_exchange_refuse_unready(exchange);
}

const struct kv_resource kv_resource_health = {.path = {"/healthz", 8},
                                               .methods = KV_METHODS_READING,
                                               .is_open = true,
                                               .is_probe = true,
                                               .serve = serve_health};

const struct kv_resource kv_resource_readiness = {.path = {"/readyz", 7},
                                                  .methods = KV_METHODS_READING,
                                                  .is_open = true,
                                                  .is_probe = true,
                                                  .serve = serve_readiness};
