/*
 * An exchange lives in its request's pool. The pool ends with the answer, or with the connection,
 * whose client then drops the commands (h2o_gate.c).
 */
#include "http/h2o_carrier.h"

#include "base/mem.h"
#include "http/h2o_answer.h"
#include "http/h2o_request.h"
#include "http/serve.h"
#include "wire/forwarded_for.h"

enum {
    BODY_OVERHEAD = 1 << 20 /* allowance of a body besides its value */
};

struct h2o_exchange {
    struct kv_exchange exchange;
    h2o_generator_t generator; /* for a body that comes in parts */
    struct kv_source *source;  /* of that body */
    struct kv_h2o_loop *loop;
    h2o_req_t *req;
    struct kv_request request;
    int64_t began_ns; /* the turn in which it came */
};

static struct h2o_exchange *self_of(struct kv_exchange *exchange)
{
    return KV_CONTAINER(exchange, struct h2o_exchange, exchange);
}

/* After the current answer the connection is closed. Later input stays unread. */
static void end_with_answer(h2o_req_t *req)
{
    req->http1_is_persistent = 0;
    kv_connection_linger(kv_h2o_connection_of(req));
}

/* The previous part has been written. */
static void on_proceed(h2o_generator_t *generator, h2o_req_t *req)
{
    struct kv_source *source = KV_CONTAINER(generator, struct h2o_exchange, generator)->source;
    (void)req;
    source->pull(source);
}

static void give_part(struct kv_source *source, bool is_there)
{
    struct h2o_exchange *self = KV_CONTAINER(source->carrier, struct h2o_exchange, generator);
    kv_h2o_answer_go_on(self->req, source, is_there);
}

static void take_source(struct h2o_exchange *self, struct kv_source *source)
{
    self->generator = (h2o_generator_t){.proceed = on_proceed};
    self->source = source;
    source->give = give_part;
    source->carrier = &self->generator;
}

/* The bytes of the body that are in memory at a time. */
static size_t bytes_held(const struct kv_answer *answer)
{
    size_t len = kv_answer_body_len(answer);
    return answer->source != NULL && answer->source->largest_part < len
               ? answer->source->largest_part
               : len;
}

static void answer(struct kv_exchange *exchange, struct kv_answer *to_send)
{
    to_send->takes_credentials = exchange->takes_credentials;
    h2o_req_t *req = self_of(exchange)->req;
    if (to_send->is_last || kv_h2o_gate_lacks_body(kv_h2o_connection_of(req)))
        end_with_answer(req);
    if (!exchange->is_head)
        kv_h2o_gate_answers(kv_h2o_connection_of(req), bytes_held(to_send));
    if (to_send->source != NULL)
        take_source(self_of(exchange), to_send->source);
    kv_h2o_answer_send(req, exchange->here->keyspace, to_send, exchange->allowed_origin,
                       exchange->is_head);
}

static void *keep(struct kv_exchange *exchange, size_t size, void (*dispose)(void *memory))
{
    return h2o_mem_alloc_shared(&self_of(exchange)->req->pool, size, dispose);
}

static void on_head_sent(void *user, struct kv_connection *connection, struct kv_client *client)
{
    struct kv_handover *handover = user;
    kv_list_remove(&handover->link);
    handover->open(handover, connection, client);
}

/* Adds a header, unless its value is empty. */
static void add_copied(h2o_req_t *req, struct kv_slice lower, const char *name,
                       struct kv_slice value)
{
    if (value.len == 0)
        return;
    h2o_iovec_t copy = h2o_strdup(&req->pool, value.bytes, value.len);
    h2o_add_header_by_str(&req->pool, &req->res.headers, lower.bytes, lower.len, 0, name, copy.base,
                          copy.len);
}

/* Takes the addresses of a line from its end. Returns: whether the line before it counts as well:
 * all addresses in this one are those of trusted proxies. */
static bool search_forwarded(const struct kv_net *net, struct kv_slice line,
                             struct kv_address *found)
{
    struct kv_address next;
    while (line.len != 0) {
        if (!kv_forwarded_for_take_last(&line, &next))
            return false;
        *found = next;
        if (!kv_net_trusts(net, &next))
            return false;
    }
    return true;
}

/* The last address that is not a trusted proxy's, over all lines: a proxy may add one of its own.
 * Returns: none if there is no address. */
static struct kv_address forwarded_for(const struct kv_http_context *here, const h2o_req_t *req)
{
    struct kv_address found = {0};
    for (size_t i = req->headers.size; i > 0; i--) {
        const h2o_header_t *header = &req->headers.entries[i - 1];
        struct kv_slice line = {header->value.base, header->value.len};
        if (header->name == &H2O_TOKEN_X_FORWARDED_FOR->buf &&
            !search_forwarded(here->net, line, &found))
            break;
    }
    return found;
}

/* The connection now belongs to one client, and counts for its address. Returns: whether it may;
 * otherwise the exchange has been answered. */
static bool claim(struct kv_exchange *exchange)
{
    h2o_req_t *req = self_of(exchange)->req;
    struct kv_connection *connection = kv_h2o_connection_of(req);
    if (!kv_connection_is_of_many(connection))
        return true;
    struct kv_address client = forwarded_for(exchange->here, req);
    if (kv_connection_claim(connection, &client))
        return true;
    kv_exchange_refuse(exchange, (struct kv_answer){.status = 503, .retry_after_s = 1},
                       "too many connections");
    return false;
}

static const struct kv_request *asked(struct kv_exchange *exchange, int64_t *ret_began_ns)
{
    const struct h2o_exchange *self = self_of(exchange);
    *ret_began_ns = self->began_ns;
    return &self->request;
}

/* Logs a request whose connection is about to be handed over. */
static void log_handover(struct kv_exchange *exchange, int status)
{
    if (kv_request_lot_draw(&exchange->here->lot))
        kv_exchange_log(exchange, &(struct kv_answer){.status = status});
}

static void upgrade(struct kv_exchange *exchange, const struct kv_upgrade_answer *to_say,
                    struct kv_handover *handover)
{
    struct h2o_exchange *self = self_of(exchange);
    h2o_req_t *req = self->req;
    if (!claim(exchange)) {
        handover->open(handover, NULL, NULL);
        return;
    }
    log_handover(exchange, 101);
    req->res.status = 101;
    req->res.reason = "Switching Protocols";
    h2o_add_header(&req->pool, &req->res.headers, H2O_TOKEN_UPGRADE, NULL, H2O_STRLIT("websocket"));
    add_copied(req, KV_SLICE("sec-websocket-accept"), "Sec-WebSocket-Accept", to_say->accept);
    add_copied(req, KV_SLICE("sec-websocket-protocol"), "Sec-WebSocket-Protocol", to_say->protocol);
    add_copied(req, KV_SLICE("sec-websocket-extensions"), "Sec-WebSocket-Extensions",
               to_say->extensions);
    kv_list_append(&self->loop->handovers, &handover->link);
    kv_h2o_gate_leave(kv_h2o_connection_of(req), on_head_sent, handover);
}

static void hand_over(struct kv_exchange *exchange, const struct kv_answer *answer,
                      struct kv_handover *handover)
{
    struct h2o_exchange *self = self_of(exchange);
    struct kv_answer head = *answer;
    head.takes_credentials = exchange->takes_credentials;
    if (!claim(exchange)) {
        handover->open(handover, NULL, NULL);
        return;
    }
    log_handover(exchange, head.status);
    kv_list_append(&self->loop->handovers, &handover->link);
    self->req->http1_is_persistent = 0; /* its body ends with the connection */
    kv_h2o_answer_begin(self->req, &head, exchange->allowed_origin, false);
    kv_h2o_gate_leave(kv_h2o_connection_of(self->req), on_head_sent, handover);
}

static const struct kv_carrier carrier = {
    .answer = answer, .keep = keep, .upgrade = upgrade, .hand_over = hand_over, .asked = asked};

static struct kv_exchange *create_exchange(struct kv_h2o_loop *loop, h2o_req_t *req,
                                           const struct kv_request *request)
{
    struct h2o_exchange *self = h2o_mem_alloc_pool(&req->pool, sizeof(*self));
    *self = (struct h2o_exchange){
        .exchange = {.carrier = &carrier,
                     .here = loop->here,
                     .client = kv_h2o_gate_client(kv_h2o_connection_of(req)),
                     .is_head = request->method == KV_METHOD_HEAD,
                     .is_counted = kv_h2o_gate_was_offered(kv_h2o_connection_of(req))},
        .loop = loop,
        .req = req,
        .request = *request,
        .began_ns = *kv_loop_began_ns(loop->here->loop),
    };
    return &self->exchange;
}

/* Each request from a proxy may come from another client, unless a PROXY header has named the
 * client: then a client could make up the header. */
static void forward(struct kv_h2o_loop *loop, h2o_req_t *req)
{
    struct kv_connection *connection = kv_h2o_connection_of(req);
    if (!kv_connection_is_of_many(connection))
        return;
    struct kv_address client = forwarded_for(loop->here, req);
    kv_h2o_gate_forward(connection, &client);
}

static int on_request(h2o_handler_t *super, h2o_req_t *req)
{
    struct kv_h2o_loop *loop = KV_CONTAINER(req->conn->ctx, struct kv_h2o_loop, context);
    struct kv_request request;
    (void)super;
    const struct kv_request_head *head = kv_h2o_gate_head(kv_h2o_connection_of(req));
    req->http1_is_persistent = kv_request_head_is_persistent(head);
    if (kv_http_is_draining(loop->here))
        end_with_answer(req);
    kv_connection_touch(kv_h2o_connection_of(req));
    forward(loop, req);
    kv_h2o_request_read(req, head, &request);
    request.is_unix = kv_h2o_connection_of(req)->is_unix;
    request.certificate = kv_connection_certificate(kv_h2o_connection_of(req));
    struct kv_exchange *exchange = create_exchange(loop, req, &request);
    if (!kv_h2o_gate_lacks_body(kv_h2o_connection_of(req)))
        kv_http_serve(exchange, &request);
    else if (!kv_http_refuse(exchange, &request))
        kv_h2o_gate_await_body(kv_h2o_connection_of(req));
    return 0;
}

void kv_h2o_open(struct kv_h2o_loop *loop, struct kv_connection *connection,
                 struct kv_client *before)
{
    kv_h2o_gate_open(&loop->gates, connection, before);
}

void kv_h2o_drain(struct kv_h2o_loop *loop)
{
    kv_h2o_gates_drain(&loop->gates, end_with_answer);
}

void kv_h2o_init(void)
{
    h2o_socket_buffer_mmap_settings.threshold = SIZE_MAX; /* no files: they would block the loop */
}

static void limit_bodies(struct kv_h2o_loop *loop)
{
    loop->conf.max_request_entity_size = loop->here->config->limits.max_value_bytes + BODY_OVERHEAD;
}

void kv_h2o_take_limits(struct kv_h2o_loop *loop)
{
    limit_bodies(loop);
    kv_h2o_gates_take_limits(&loop->gates);
}

static void init_conf(struct kv_h2o_loop *loop)
{
    h2o_globalconf_t *conf = &loop->conf;
    h2o_config_init(conf);
    h2o_hostconf_t *host =
        h2o_config_register_host(conf, h2o_iovec_init(H2O_STRLIT("default")), 65535);
    h2o_pathconf_t *path = h2o_config_register_path(host, "/", 0);
    h2o_create_handler(path, sizeof(h2o_handler_t))->on_req = on_request;
    conf->server_name = (h2o_iovec_t){NULL, 0};
    limit_bodies(loop);
}

void kv_h2o_loop_init(struct kv_h2o_loop *loop, struct kv_http_context *here, uint32_t index)
{
    loop->here = here;
    loop->index = index;
    init_conf(loop);
    h2o_context_init(&loop->context, kv_loop_evloop(here->loop), &loop->conf);
    loop->accept = (h2o_accept_ctx_t){.ctx = &loop->context, .hosts = loop->conf.hosts};
    kv_list_init(&loop->handovers);
    kv_h2o_gates_init(&loop->gates, here, &loop->accept);
}

void kv_h2o_loop_fini(struct kv_h2o_loop *loop)
{
    KV_LIST_EACH(&loop->handovers, link, after)
    on_head_sent(KV_CONTAINER(link, struct kv_handover, link), NULL, NULL);
    h2o_context_dispose(&loop->context);
    h2o_config_dispose(&loop->conf);
}
