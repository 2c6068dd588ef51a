/*
 * The server: on each loop a context for the resources and the two carriers. The fast path gets
 * every new connection, and hands it to libh2o when it has to.
 */
#include "http/http.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "http/fast.h"
#include "http/h2o_carrier.h"
#include "http/serve.h"

struct http_loop {
    struct kv_http_config config; /* of the whole server, but with lists and limits of its own: */
    struct kv_http_lists *lists;  /* NULL: those of the start */
    struct kv_http_context here;
    struct kv_h2o_loop h2o;
    struct kv_fast_loop fast;
};

struct kv_http {
    struct kv_http_config config;
    struct kv_net_service service;
    struct kv_refused_origins refused_origins;
    uint32_t n_loops;
    struct http_loop loops[];
};

static const char refusal[] = "HTTP/1.1 503 Service Unavailable\r\n"
                              "Content-Type: application/json\r\n"
                              "Connection: close\r\n"
                              "Retry-After: 1\r\n"
                              "Content-Length: 32\r\n\r\n"
                              "{\"error\":\"too many connections\"}";

static const char lateness[] = "HTTP/1.1 408 Request Timeout\r\n"
                               "Content-Type: application/json\r\n"
                               "Connection: close\r\n"
                               "Content-Length: 47\r\n\r\n"
                               "{\"error\":\"the request has not arrived in time\"}";

static const char overload[] = "HTTP/1.1 503 Service Unavailable\r\n"
                               "Content-Type: application/json\r\n"
                               "Connection: close\r\n"
                               "Retry-After: 1\r\n"
                               "Content-Length: 42\r\n\r\n"
                               "{\"error\":\"no memory is left for requests\"}";

static const char confusion[] = "HTTP/1.1 400 Bad Request\r\n"
                                "Content-Type: application/json\r\n"
                                "Connection: close\r\n"
                                "Content-Length: 41\r\n\r\n"
                                "{\"error\":\"the PROXY header is malformed\"}";

static const char clarity[] = "HTTP/1.1 400 Bad Request\r\n"
                              "Content-Type: application/json\r\n"
                              "Connection: close\r\n"
                              "Content-Length: 73\r\n\r\n"
                              "{\"error\":\"this port speaks TLS: begin addresses with https:// or "
                              "wss://\"}";

static const char haste[] = "HTTP/1.1 429 Too Many Requests\r\n"
                            "Content-Type: application/json\r\n"
                            "Connection: close\r\n"
                            "Retry-After: 1\r\n"
                            "Content-Length: 54\r\n\r\n"
                            "{\"error\":\"too many new connections from this address\"}";

static void log_haste(const struct kv_access_loop *access, const struct kv_address *address,
                      const char *why)
{
    char text[64];
    bool has_address = kv_address_print(address, text, sizeof(text));
    const struct kv_denied denied = {.address = has_address ? text : NULL};
    kv_denials_log_excess(access->denials, &denied, why);
}

/* Whether its address is within the rate of new connections. */
static bool may_open(struct kv_http_context *here, const struct kv_connection *connection)
{
    struct kv_excess excess;
    if (!here->access->is_metered || kv_connection_is_of_many(connection))
        return true;
    struct kv_address address = kv_connection_address(connection);
    struct kv_meter *meter = kv_access_meter_at(here->access, &address);
    bool may_open = kv_access_take(here->access, KV_METERED_CONNECTIONS, meter, NULL,
                                   kv_loop_now_ms(here->loop) * KV_NS_PER_MS, &excess);
    kv_meter_put(meter);
    if (!may_open)
        log_haste(here->access, &address, excess.why);
    return may_open;
}

static void open_connection(struct kv_net_service *service, uint32_t loop,
                            struct kv_connection *connection)
{
    struct kv_http *http = KV_CONTAINER(service, struct kv_http, service);
    struct kv_http_context *here = &http->loops[loop].here;
    if (!may_open(here, connection))
        kv_net_end_with(connection, (struct kv_slice){haste, sizeof(haste) - 1});
    else if (http->config.has_fast_path && !kv_connection_is_of_many(connection))
        kv_fast_open(&http->loops[loop].fast, connection);
    else
        kv_h2o_open(&http->loops[loop].h2o, connection, NULL);
}

static void init_loop(struct kv_http *http, uint32_t index, const struct kv_http_parts *parts)
{
    struct http_loop *loop = &http->loops[index];
    loop->config = http->config;
    loop->here = (struct kv_http_context){
        .config = &loop->config,
        .net = parts->net,
        .loop = parts->loops[index],
        .access = kv_access_on(parts->access, index),
        .keyspace = parts->keyspace,
        .keyspace_loop = kv_keyspace_on(parts->keyspace, index),
        .workers = parts->workers,
        .upgrade = parts->upgrade,
        .events = parts->events,
        .backups = parts->backups,
        .uploads = parts->uploads,
        .slow_log = parts->slow_log,
        .lot = kv_request_lot_of(parts->request_log, index),
        .readiness = parts->readiness,
        .metrics = parts->metrics,
        .pages = parts->pages,
        .loops = parts->loops,
        .n_loops = parts->n_loops,
        .index = index,
        .refused_origins = &http->refused_origins,
    };
    kv_h2o_loop_init(&loop->h2o, &loop->here, index);
    kv_fast_loop_init(&loop->fast, &loop->here, &loop->h2o);
}

struct kv_http *kv_http_create(const struct kv_http_config *config,
                               const struct kv_http_parts *parts)
{
    struct kv_http *http = kv_calloc(1, sizeof(*http) + parts->n_loops * sizeof(struct http_loop));
    kv_http_assert_guards();
    http->config = *config;
    http->n_loops = parts->n_loops;
    http->service = (struct kv_net_service){
        .open = open_connection,
        .refusal = {refusal, sizeof(refusal) - 1},
        .lateness = {lateness, sizeof(lateness) - 1},
        .overload = {overload, sizeof(overload) - 1},
        .confusion = {confusion, sizeof(confusion) - 1},
        .clarity = {clarity, sizeof(clarity) - 1},
    };
    kv_h2o_init();
    for (uint32_t i = 0; i < parts->n_loops; i++)
        init_loop(http, i, parts);
    kv_net_set_service(parts->net, &http->service);
    return http;
}

static uint64_t count_answers(const struct kv_http *http, size_t status)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < http->n_loops; i++)
        n += kv_counter_read(&http->loops[i].here.counts.answers[status]);
    return n;
}

void kv_http_collect(const struct kv_http *http, struct kv_metrics_text *text)
{
    static const struct kv_metric metric = {"kvserver_http_responses", KV_METRIC_COUNTER, NULL,
                                            "Responses to HTTP requests, by status"};
    char code[8];
    kv_metrics_begin(text, &metric);
    for (size_t status = 0; status < KV_HTTP_STATUSES; status++) {
        uint64_t n = count_answers(http, status);
        snprintf(code, sizeof(code), "%zu", status);
        if (n != 0)
            kv_metrics_sample(text, (struct kv_labels){{{"code", code}}}, n);
    }
}

void kv_http_take_lists(struct kv_http *http, uint32_t index, struct kv_http_lists *lists)
{
    struct http_loop *loop = &http->loops[index];
    kv_http_lists_free(loop->lists);
    loop->lists = lists;
    kv_http_lists_use(lists, &loop->config);
    loop->here.served_host = (struct kv_last_host){0}; /* it may not be listed now */
}

void kv_http_take_limits(struct kv_http *http, uint32_t index, const struct kv_http_limits *limits)
{
    struct http_loop *loop = &http->loops[index];
    loop->config.limits = *limits;
    kv_h2o_take_limits(&loop->h2o);
    kv_fast_take_limits(&loop->fast);
}

void kv_http_revise(struct kv_http *http, uint32_t loop)
{
    kv_fast_revise(&http->loops[loop].fast);
}

void kv_http_drain(struct kv_http *http, uint32_t loop)
{
    kv_h2o_drain(&http->loops[loop].h2o);
    kv_fast_drain(&http->loops[loop].fast);
}

void kv_http_destroy(struct kv_http *http)
{
    if (http == NULL)
        return;
    for (uint32_t i = 0; i < http->n_loops; i++) {
        struct http_loop *loop = &http->loops[i];
        kv_h2o_loop_fini(&loop->h2o);
        kv_http_lists_free(loop->lists);
        kv_buffer_fini(&loop->here.decoded);
        kv_buffer_fini(&loop->here.text);
    }
    free(http);
}
