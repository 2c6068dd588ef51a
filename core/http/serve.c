#include "http/serve.h"

#include <assert.h>

#include "http/identify.h"
#include "http/origin.h"
#include "http/web_files.h"

enum {
    LONGEST_HOST_SHOWN = 255
};

static const struct kv_resource *const resources[] = {
    &kv_resource_storage,   &kv_resource_list,    &kv_resource_batch,   &kv_resource_websocket,
    &kv_resource_readiness, &kv_resource_health,  &kv_resource_root,    &kv_resource_events,
    &kv_resource_metrics,   &kv_resource_backup,  &kv_resource_clients, &kv_resource_slow_log,
    &kv_resource_restore,   &kv_resource_cluster,
};

static bool is_for_operators(const struct kv_resource *resource)
{
    return kv_slice_has_prefix(resource->path, KV_SLICE("/admin/")) ||
           kv_slice_equals(resource->path, KV_SLICE("/metrics"));
}

void kv_http_assert_guards(void)
{
    for (size_t i = 0; i < sizeof(resources) / sizeof(resources[0]); i++)
        assert(!is_for_operators(resources[i]) ||
               (resources[i]->admin != 0 && !resources[i]->is_open));
}

static bool leads_to(const struct kv_resource *resource, struct kv_slice path)
{
    bool has_length =
        resource->is_prefix ? path.len >= resource->path.len : path.len == resource->path.len;
    return has_length && memcmp(path.bytes, resource->path.bytes, resource->path.len) == 0;
}

static bool has_pages(const struct kv_http_context *here, struct kv_slice path)
{
    return here->pages != NULL && path.bytes[0] == '/';
}

/* Returns: NULL if there is nothing at this path. */
static const struct kv_resource *look_up(const struct kv_http_context *here, struct kv_slice path)
{
    if (path.len == 1 && has_pages(here, path)) /* it may have an index */
        return &kv_resource_pages;
    for (size_t i = 0; i < sizeof(resources) / sizeof(resources[0]); i++)
        if (leads_to(resources[i], path))
            return resources[i];
    const struct kv_resource *web_file = kv_http_find_web_file(here, path);
    return web_file == NULL && has_pages(here, path) ? &kv_resource_pages : web_file;
}

/* Most requests are for keys: comparing with a constant is fast. */
static inline const struct kv_resource *find(const struct kv_http_context *here,
                                             struct kv_slice path)
{
    return kv_slice_has_prefix(path, KV_SLICE(KV_STORAGE_PATH)) ? &kv_resource_storage
                                                                : look_up(here, path);
}

static inline bool is_served(const struct kv_resource *resource, const struct kv_request *request)
{
    return resource != NULL && (request->method & resource->methods) != 0;
}

/* The action of the request that not every page may do, in words; NULL: none. */
static const char *guarded_action(const struct kv_resource *resource,
                                  const struct kv_request *request)
{
    if ((request->method & KV_METHODS_READING) == 0)
        return "write";
    if (resource->upgrades && kv_request_asks_for_websocket(request))
        return "open a WebSocket";
    if (resource->admin != 0) /* reading it costs the server, whoever sees the answer */
        return "use a path for operators";
    return NULL;
}

/* Whether a page of another origin sends it without an Origin, as for an image or a link. */
static bool is_of_unnamed_page(const struct kv_request *request)
{
    struct kv_slice site = kv_request_header(request, KV_HEADER_FETCH_SITE);
    return kv_request_count_header(request, KV_HEADER_ORIGIN) == 0 &&
           (kv_slice_equals(site, KV_SLICE("cross-site")) ||
            kv_slice_equals(site, KV_SLICE("same-site")));
}

/* Counts the request for its address, even if it is refused later, as it has been read. Probes are
 * not counted, as a busy server still has to answer them. Returns: false if the request has been
 * refused. */
static inline bool count(const struct kv_resource *resource, struct kv_exchange *exchange)
{
    struct kv_excess excess;
    if (!exchange->here->access->is_metered || exchange->is_counted ||
        (resource != NULL && resource->is_probe) ||
        kv_client_count_arrival(exchange->client, &excess))
        return true;
    kv_http_refuse_excess(exchange, &excess);
    return false;
}

/* Counts the request for its token, once that is known. */
static inline bool count_identified(struct kv_exchange *exchange)
{
    struct kv_excess excess;
    if (!exchange->here->access->is_metered || exchange->is_counted ||
        kv_client_count_identified(exchange->client, &excess))
        return true;
    kv_http_refuse_excess(exchange, &excess);
    return false;
}

static void refuse_origin(struct kv_exchange *exchange, struct kv_slice origin, const char *action)
{
    struct kv_http_context *here = exchange->here;
    kv_refused_origins_log(here->refused_origins, kv_loop_now_ms(here->loop), origin, action);
    kv_exchange_refuse(exchange, (struct kv_answer){.status = 403},
                       "pages of %s may not %s: the server's `origins` does not list it",
                       kv_origin_text(origin).text, action);
}

/* Answers `OPTIONS *`. */
static void answer_for_server(struct kv_exchange *exchange)
{
    uint32_t methods = KV_METHODS_READING | KV_METHODS_WRITING | KV_METHOD_OPTIONS;
    kv_exchange_answer(exchange, &(struct kv_answer){.status = 204, .methods = methods});
}

static const char *what_is_missing(struct kv_slice path)
{
    return kv_http_is_console(path)
               ? "there is no such file of a console; `console: true` switches the console on"
               : "there is nothing at this path: keys are under " KV_STORAGE_PATH;
}

/* Answers requests that do not reach a resource. A separate function, so that all others cost
 * less. */
__attribute__((noinline)) static void answer_for(const struct kv_resource *resource,
                                                 struct kv_exchange *exchange,
                                                 const struct kv_request *request)
{
    uint32_t methods = resource == NULL ? 0 : resource->methods | KV_METHOD_OPTIONS;
    if (kv_slice_equals(request->path, KV_SLICE("*")))
        answer_for_server(exchange);
    else if (resource == NULL)
        kv_exchange_refuse(exchange, (struct kv_answer){.status = 404}, "%s",
                           what_is_missing(request->path));
    else if (request->method == KV_METHOD_OPTIONS)
        kv_exchange_answer(
            exchange, &(struct kv_answer){.status = 204, .methods = methods, .is_preflight = true});
    else
        kv_exchange_refuse(exchange, (struct kv_answer){.status = 405, .methods = methods},
                           "this path takes %s", kv_methods_text(methods).text);
}

/* Returns: false if it has been refused. */
static bool admit_unnamed_page(const struct kv_resource *resource, struct kv_exchange *exchange,
                               const struct kv_request *request)
{
    bool is_refused =
        is_served(resource, request) && resource->admin != 0 && is_of_unnamed_page(request);
    if (is_refused && count(resource, exchange))
        kv_exchange_refuse(exchange, (struct kv_answer){.status = 403},
                           "pages of other sites may not use a path for operators");
    return !is_refused;
}

/* Checks the origin of a request. Comes before the request is counted, so that the page may read a
 * refusal for its rate. Returns: false if the request has been refused. */
static bool admit_origin(const struct kv_resource *resource, struct kv_exchange *exchange,
                         const struct kv_request *request)
{
    struct kv_slice refused;
    if (!kv_origin_is_refused(exchange->here->config, request, &refused)) {
        exchange->allowed_origin = kv_request_header(request, KV_HEADER_ORIGIN);
        exchange->takes_credentials =
            exchange->here->access->rules->cookie.len != 0 &&
            kv_origin_is_named(exchange->here->config, exchange->allowed_origin);
        return admit_unnamed_page(resource, exchange, request);
    }
    const char *action = is_served(resource, request) ? guarded_action(resource, request) : NULL;
    if (action != NULL && count(resource, exchange))
        refuse_origin(exchange, refused, action);
    return action == NULL;
}

static inline bool is_host_served(struct kv_http_context *here, const struct kv_request *request)
{
    return kv_last_host_is(&here->served_host, request->host) || request->is_unix ||
           kv_net_is_exposed(here->net) ||
           kv_host_is_served(here->config, &here->served_host, request->host);
}

static void refuse_host(struct kv_exchange *exchange, struct kv_slice host)
{
    int shown = host.len > LONGEST_HOST_SHOWN ? LONGEST_HOST_SHOWN : (int)host.len;
    kv_exchange_refuse(exchange, (struct kv_answer){.status = 403},
                       "the Host %.*s is not this machine: the server's `hosts` does not list it",
                       shown, host.bytes);
}

static bool may_administer(const struct kv_principal *principal, uint32_t rights)
{
    return principal->is_unlimited || (principal->grants->admin & rights) == rights;
}

static void refuse_administration(struct kv_exchange *exchange, uint32_t rights)
{
    char text[64];
    snprintf(text, sizeof(text), "this path needs the right `%s`",
             kv_admin_right_names[__builtin_ctz(rights)]);
    kv_http_refuse_right(exchange, text);
}

/* Checks the client's rights; rights over keys are checked with each command. Returns: false if the
 * request has been refused. */
static inline bool admit_client(const struct kv_resource *resource, struct kv_exchange *exchange,
                                const struct kv_request *request)
{
    if (!kv_http_identify(exchange, request) || !count_identified(exchange))
        return false;
    if (resource->admin == 0 || may_administer(exchange->client->principal, resource->admin))
        return true;
    refuse_administration(exchange, resource->admin);
    return false;
}

/* The checks that are common to all requests. Returns: the resource to serve it; NULL if it has
 * been answered, or has left the carrier. */
static inline const struct kv_resource *admit(struct kv_exchange *exchange,
                                              struct kv_request *request)
{
    const struct kv_resource *resource = find(exchange->here, request->path);
    if (resource != NULL && resource->keeps && exchange->carrier->keep == NULL) {
        exchange->carrier->leave(exchange);
        return NULL;
    }
    if (!is_host_served(exchange->here, request)) {
        if (count(resource, exchange))
            refuse_host(exchange, request->host);
        return NULL;
    }
    if (request->n_headers != 0 && !admit_origin(resource, exchange, request))
        return NULL;
    if (!count(resource, exchange))
        return NULL;
    if (!is_served(resource, request)) {
        answer_for(resource, exchange, request);
        return NULL;
    }
    if (!resource->is_open && !admit_client(resource, exchange, request))
        return NULL;
    size_t len = resource->path.len;
    request->rest = (struct kv_slice){request->path.bytes + len, request->path.len - len};
    return resource;
}

void kv_http_serve(struct kv_exchange *exchange, struct kv_request *request)
{
    const struct kv_resource *resource = admit(exchange, request);
    if (resource != NULL)
        resource->serve(exchange, request);
}

/* Requests for open resources are answered at once: they need no body. */
static bool refuse(const struct kv_resource *resource, struct kv_exchange *exchange,
                   const struct kv_request *request)
{
    if (resource->is_open)
        resource->serve(exchange, request);
    else if (kv_principal_may_nothing(exchange->client->principal))
        kv_http_refuse_right(exchange, kv_command_status_text(KV_FORBIDDEN));
    else
        return resource->refuse != NULL && resource->refuse(exchange, request);
    return true;
}

bool kv_http_refuse(struct kv_exchange *exchange, struct kv_request *request)
{
    const struct kv_resource *resource = admit(exchange, request);
    return resource == NULL || refuse(resource, exchange, request);
}
