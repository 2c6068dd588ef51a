#include "http/request.h"

#include <strings.h>

static const struct {
    struct kv_slice name;
    enum kv_method method;
} methods[] = {
    {{"GET", 3}, KV_METHOD_GET},         {{"HEAD", 4}, KV_METHOD_HEAD},
    {{"POST", 4}, KV_METHOD_POST},       {{"PUT", 3}, KV_METHOD_PUT},
    {{"PATCH", 5}, KV_METHOD_PATCH},     {{"DELETE", 6}, KV_METHOD_DELETE},
    {{"OPTIONS", 7}, KV_METHOD_OPTIONS},
};

enum {
    N_METHODS = sizeof(methods) / sizeof(methods[0])
};

enum kv_method kv_method_of(struct kv_slice name)
{
    for (size_t i = 0; i < N_METHODS; i++)
        if (kv_slice_equals(name, methods[i].name))
            return methods[i].method;
    return KV_METHOD_OTHER;
}

struct kv_methods_text kv_methods_text(uint32_t set)
{
    struct kv_methods_text names = {0};
    char *at = names.text;
    for (size_t i = 0; i < N_METHODS; i++)
        if ((set & methods[i].method) != 0)
            at += sprintf(at, "%s%s", at == names.text ? "" : ", ", methods[i].name.bytes);
    return names;
}

struct kv_slice kv_header_name(enum kv_header_id id)
{
    static const struct kv_slice names[KV_N_HEADERS] = {
        [KV_HEADER_AUTHORIZATION] = {"authorization", 13},
        [KV_HEADER_ORIGIN] = {"origin", 6},
        [KV_HEADER_IF_MATCH] = {"if-match", 8},
        [KV_HEADER_IF_NONE_MATCH] = {"if-none-match", 13},
        [KV_HEADER_UPGRADE] = {"upgrade", 7},
        [KV_HEADER_WEBSOCKET_KEY] = {"sec-websocket-key", 17},
        [KV_HEADER_WEBSOCKET_VERSION] = {"sec-websocket-version", 21},
        [KV_HEADER_WEBSOCKET_PROTOCOL] = {"sec-websocket-protocol", 22},
        [KV_HEADER_WEBSOCKET_EXTENSIONS] = {"sec-websocket-extensions", 24},
        [KV_HEADER_FETCH_SITE] = {"sec-fetch-site", 14},
        [KV_HEADER_CONTENT_TYPE] = {"content-type", 12},
        [KV_HEADER_LAST_EVENT_ID] = {"last-event-id", 13},
        [KV_HEADER_ACCEPT] = {"accept", 6},
        [KV_HEADER_COOKIE] = {"cookie", 6},
        [KV_HEADER_ACCEPT_ENCODING] = {"accept-encoding", 15},
        [KV_HEADER_IF_MODIFIED_SINCE] = {"if-modified-since", 17},
        [KV_HEADER_IF_UNMODIFIED_SINCE] = {"if-unmodified-since", 19},
        [KV_HEADER_RANGE] = {"range", 5},
        [KV_HEADER_IF_RANGE] = {"if-range", 8},
    };
    return names[id];
}

bool kv_request_next_header(const struct kv_request *request, enum kv_header_id id, size_t *at,
                            struct kv_slice *ret_value)
{
    while (*at < request->n_headers) {
        const struct kv_header *header = &request->headers[(*at)++];
        if (header->id == id) {
            *ret_value = header->value;
            return true;
        }
    }
    return false;
}

struct kv_slice kv_request_header(const struct kv_request *request, enum kv_header_id id)
{
    struct kv_slice value = {0};
    size_t at = 0;
    kv_request_next_header(request, id, &at, &value);
    return value;
}

size_t kv_request_count_header(const struct kv_request *request, enum kv_header_id id)
{
    struct kv_slice value;
    size_t n = 0;
    for (size_t at = 0; kv_request_next_header(request, id, &at, &value);)
        n++;
    return n;
}

bool kv_request_has_type(const struct kv_request *request, struct kv_slice type)
{
    struct kv_slice value = kv_request_header(request, KV_HEADER_CONTENT_TYPE);
    if (value.len < type.len || strncasecmp(value.bytes, type.bytes, type.len) != 0)
        return false;
    if (value.len == type.len)
        return true;
    char next = value.bytes[type.len];
    return next == ';' || next == ' ' || next == '\t';
}

bool kv_request_asks_for_websocket(const struct kv_request *request)
{
    struct kv_slice protocol = KV_SLICE("websocket");
    struct kv_slice upgrade = kv_request_header(request, KV_HEADER_UPGRADE);
    return request->method == KV_METHOD_GET && !request->is_http_1_0 &&
           upgrade.len == protocol.len &&
           strncasecmp(upgrade.bytes, protocol.bytes, protocol.len) == 0;
}
