/*
 * A connection of libh2o's request core, which replaces the one of its HTTP/1: a request is
 * collected in the channel's input, and served in place; the channel is not read until the answer
 * is written. When a write completes at once, the library is told only after it has returned from
 * making the write: in the stage.
 */
#include "http/h2o_gate.h"

#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"
#include "http/context.h"
#include "http/h2o_answer.h"
#include "http/h2o_head.h"
#include "wire/framing.h"
#include "wire/json_string.h"

enum {
    MOST_IOVECS = 16 /* of one write of the library */
};

static const struct kv_protocol nobody;

struct gate {
    h2o_conn_t library;
    h2o_req_t req;
    h2o_ostream_t response; /* of the request */
    struct kv_h2o_gates *gates;
    struct kv_connection *connection;
    struct kv_list in_all;
    struct kv_list in_written;
    struct kv_client *client;    /* NULL until the first request */
    struct kv_address forwarded; /* the client of a proxy's current request; none: not named */
    size_t unsent;               /* bytes of the answer's body, until it is sent */
    struct kv_framing framing;
    bool has_continued; /* 100 Continue has been sent */
    bool is_offered;    /* its head was served ahead of its body */
    bool lacks_body;    /* the library has the head without its body */
    bool is_serving;    /* the library has the request */
    bool has_head;      /* the response's head is written, or being written */
    bool is_last_write; /* of the response */
    struct kv_buffer refusal;
    kv_h2o_gate_left_fn on_left; /* when the head is written */
    void *leaver;
};

static struct kv_channel *channel_of(const struct gate *gate)
{
    return &gate->connection->channel;
}

static void close_connection(struct gate *gate)
{
    kv_connection_close(gate->connection);
}

/* ---- refusals ---- */

static struct kv_buffer describe(const struct kv_http_fault *fault)
{
    struct kv_buffer text = {0}, json = {0};
    kv_buffer_append(&text, kv_slice_of(fault->what));
    if (fault->at != SIZE_MAX)
        kv_buffer_printf(&text, ", at byte %zu of the request", fault->at);
    kv_buffer_append(&json, KV_SLICE("{\"error\":"));
    kv_json_append_string(&json, kv_buffer_slice(&text));
    kv_buffer_append_char(&json, '}');
    kv_buffer_fini(&text);
    return json;
}

static bool is_head(const struct gate *gate)
{
    size_t len;
    const char *input = kv_channel_input(channel_of(gate), &len);
    struct kv_slice method = kv_head_slice(input, gate->framing.head.method);
    return kv_slice_equals(method, KV_SLICE("HEAD"));
}

static void write_refusal(struct gate *gate)
{
    const struct kv_http_fault *fault = &gate->framing.fault;
    const struct kv_answer answer = {.status = fault->status, .content = KV_CONTENT_JSON};
    struct kv_buffer *out = &gate->refusal;
    struct kv_slice status = kv_status_text(fault->status);
    const char *date = kv_h2o_date(gate->gates->accept->ctx);
    struct kv_buffer json = describe(fault);
    char headers[KV_ANSWER_LONGEST_HEADERS];
    char *end = kv_answer_write_headers(headers, &answer, (struct kv_slice){0});
    kv_buffer_printf(out,
                     "HTTP/1.1 %.*s\r\nDate: %s\r\nConnection: close\r\nContent-Length: %zu\r\n",
                     (int)status.len, status.bytes, date, json.len);
    kv_buffer_append(out, (struct kv_slice){headers, (size_t)(end - headers)});
    kv_buffer_append(out, KV_SLICE("\r\n"));
    if (!is_head(gate))
        kv_buffer_append(out, kv_buffer_slice(&json));
    kv_buffer_fini(&json);
}

static void log_mistake(const struct gate *gate)
{
    char text[64];
    struct kv_address address = kv_connection_address(gate->connection);
    bool has_address = kv_address_print(&address, text, sizeof(text));
    kv_denials_log_mistake(gate->gates->here->access->denials, has_address ? text : NULL,
                           gate->framing.fault.what);
}

static void refuse(struct gate *gate)
{
    if (gate->framing.head.is_other_protocol)
        log_mistake(gate);
    write_refusal(gate);
    struct iovec bytes = {gate->refusal.bytes, gate->refusal.len};
    kv_channel_read(channel_of(gate), false);
    kv_connection_linger(gate->connection);
    if (kv_channel_write(channel_of(gate), &bytes, 1))
        close_connection(gate);
}

/* ---- requests ---- */

static bool expects_continue(const struct gate *gate)
{
    const struct kv_framing *framing = &gate->framing;
    return framing->has_head && framing->head.expects_continue &&
           framing->head.framing != KV_FRAMED_BY_NOTHING && !gate->has_continued;
}

/* Returns: whether all of it is written already. */
static bool meet_expectation(struct gate *gate)
{
    static char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
    struct iovec bytes = {text, sizeof(text) - 1};
    gate->has_continued = true;
    return kv_channel_write(channel_of(gate), &bytes, 1);
}

static void on_response(h2o_ostream_t *response, h2o_req_t *req, h2o_iovec_t *parts, size_t n,
                        h2o_send_state_t state);

static void serve(struct gate *gate)
{
    size_t len;
    char *input = kv_channel_input(channel_of(gate), &len);
    gate->is_serving = true;
    kv_channel_read(channel_of(gate), false);
    kv_h2o_head_read(&gate->req, &gate->framing.head, input, gate->framing.len);
    h2o_process_request(&gate->req);
}

/* Returns: as kv_framing_read(). */
static int read_framing(struct gate *gate)
{
    size_t len;
    char *input = kv_channel_input(channel_of(gate), &len);
    int got = kv_framing_read(&gate->framing, input, &len);
    kv_channel_cut(channel_of(gate), gate->framing.n_dropped, len - gate->framing.n_dropped);
    return got;
}

static void init_request(struct gate *gate)
{
    h2o_init_request(&gate->req, &gate->library, NULL);
    gate->response = (h2o_ostream_t){.do_send = on_response};
    gate->req._ostr_top = &gate->response;
    gate->is_serving = gate->lacks_body = gate->has_head = false;
}

/* Has the head served before its body has come, so that requests that will be refused anyway cost
 * no memory. Returns: whether it is being answered; then the rest of the request is not read. */
static bool serve_head(struct gate *gate)
{
    size_t len, head_len = gate->framing.head.len;
    char *input = kv_channel_input(channel_of(gate), &len);
    gate->is_offered = gate->is_serving = gate->lacks_body = true;
    kv_h2o_head_read(&gate->req, &gate->framing.head, input, head_len);
    h2o_process_request(&gate->req);
    if (gate->lacks_body) {
        gate->framing.len = head_len;
        kv_channel_read(channel_of(gate), false);
        return true;
    }
    h2o_dispose_request(&gate->req);
    init_request(gate);
    return false;
}

static bool is_to_be_offered(const struct gate *gate)
{
    return gate->framing.has_head && !gate->is_offered &&
           kv_access_is_configured(gate->gates->here->access);
}

static void collect(struct gate *gate)
{
    int got = read_framing(gate);
    if (got < 0) {
        refuse(gate);
        return;
    }
    if (got == 0 && is_to_be_offered(gate) && serve_head(gate))
        return;
    bool is_waiting = expects_continue(gate) && !meet_expectation(gate);
    if (got == 1 && !is_waiting)
        serve(gate);
    else
        kv_channel_read(channel_of(gate), !is_waiting);
}

/* ---- responses ---- */

/* iovecs: preceded by room for the head. */
static void write_iovecs(struct gate *gate, struct iovec *iovecs, size_t n)
{
    if (gate->has_head) {
        iovecs++;
    } else {
        h2o_iovec_t head = kv_h2o_head_write(&gate->req);
        iovecs[0] = (struct iovec){head.base, head.len};
        n++;
    }
    gate->has_head = true;
    if (n == 0 || kv_channel_write(channel_of(gate), iovecs, n))
        kv_list_append(&gate->gates->written, &gate->in_written);
}

static void on_response(h2o_ostream_t *response, h2o_req_t *req, h2o_iovec_t *parts, size_t n,
                        h2o_send_state_t state)
{
    struct gate *gate = KV_CONTAINER(response, struct gate, response);
    struct iovec iovecs[1 + MOST_IOVECS];
    assert(n <= MOST_IOVECS);
    for (size_t i = 0; i < n; i++)
        iovecs[1 + i] = (struct iovec){parts[i].base, parts[i].len};
    gate->is_last_write = !h2o_send_state_is_in_progress(state);
    if (state == H2O_SEND_STATE_ERROR)
        req->http1_is_persistent = 0;
    write_iovecs(gate, iovecs, n);
}

static void begin_request(struct gate *gate)
{
    init_request(gate);
    gate->has_continued = gate->is_offered = false;
    gate->unsent = 0;
    kv_framing_init(&gate->framing, gate->gates->accept->ctx->globalconf->max_request_entity_size);
}

/* Drops the request, and its part of the input. */
static void end_request(struct gate *gate)
{
    size_t len = gate->framing.len;
    h2o_dispose_request(&gate->req);
    begin_request(gate);
    kv_channel_consume(channel_of(gate), len);
}

static void begin_next(struct gate *gate)
{
    size_t len;
    kv_channel_input(channel_of(gate), &len);
    if (len != 0 && kv_channel_is_broken(channel_of(gate)))
        close_connection(gate); /* an answer cannot be written */
    else
        collect(gate);
}

static void destroy(void *user);

static void leave(struct gate *gate)
{
    struct kv_connection *connection = gate->connection;
    kv_h2o_gate_left_fn on_left = gate->on_left;
    gate->on_left = NULL;
    end_request(gate);
    kv_connection_serve(connection, &nobody, NULL);
    on_left(gate->leaver, connection, gate->client);
    destroy(gate);
}

static void on_part_written(struct gate *gate)
{
    bool is_persistent = gate->req.http1_is_persistent;
    if (gate->on_left != NULL) {
        leave(gate);
    } else if (!gate->is_last_write) {
        h2o_proceed_response(&gate->req);
    } else {
        end_request(gate);
        if (is_persistent)
            begin_next(gate);
        else
            close_connection(gate);
    }
}

/* ---- the channel ---- */

static void on_read(void *user, enum kv_channel_event event)
{
    if (event == KV_CHANNEL_READY)
        collect(user);
    else
        close_connection(user);
}

static void on_written(void *user, enum kv_channel_event event)
{
    struct gate *gate = user;
    if (event != KV_CHANNEL_READY || gate->framing.fault.status != 0)
        close_connection(gate);
    else if (gate->is_serving)
        on_part_written(gate);
    else
        collect(gate);
}

static void settle(struct kv_loop_stage *stage)
{
    struct kv_h2o_gates *gates = KV_CONTAINER(stage, struct kv_h2o_gates, stage);
    struct kv_list written; /* writes made meanwhile are handled next */
    kv_list_init(&written);
    KV_LIST_EACH(&gates->written, link, after)
    {
        kv_list_remove(link);
        kv_list_append(&written, link);
    }
    KV_LIST_EACH(&written, link, after)
    {
        kv_list_remove(link);
        on_part_written(KV_CONTAINER(link, struct gate, in_written));
    }
}

static int64_t stage_wake_at(struct kv_loop_stage *stage)
{
    const struct kv_h2o_gates *gates = KV_CONTAINER(stage, struct kv_h2o_gates, stage);
    return kv_list_is_empty(&gates->written) ? INT64_MAX : INT64_MIN;
}

/* ---- the library's side ---- */

static socklen_t get_no_address(h2o_conn_t *library, struct sockaddr *address)
{
    (void)library, (void)address;
    return 0;
}

static h2o_socket_t *get_socket(h2o_conn_t *library)
{
    return kv_connection_socket(KV_CONTAINER(library, struct gate, library)->connection);
}

static struct kv_address address_of(const void *owner)
{
    const struct gate *gate = owner;
    return kv_address_is_given(&gate->forwarded) ? gate->forwarded
                                                 : kv_connection_address(gate->connection);
}

struct kv_client *kv_h2o_gate_client(struct kv_connection *connection)
{
    struct gate *gate = connection->channel.user;
    const struct kv_http_context *here = gate->gates->here;
    if (gate->client == NULL) {
        gate->client = kv_client_create(here->keyspace_loop, gate, NULL, 0);
        kv_client_tell_address(gate->client, address_of);
        kv_client_limit(gate->client, &gate->unsent, here->config->limits.max_unsent_bytes);
    }
    return gate->client;
}

void kv_h2o_gate_forward(struct kv_connection *connection, const struct kv_address *client)
{
    struct gate *gate = connection->channel.user;
    gate->forwarded = *client;
    kv_client_tell_address(kv_h2o_gate_client(connection), address_of);
}

void kv_h2o_gate_answers(struct kv_connection *connection, size_t len)
{
    struct gate *gate = connection->channel.user;
    gate->unsent = len;
}

bool kv_h2o_gate_lacks_body(const struct kv_connection *connection)
{
    const struct gate *gate = connection->channel.user;
    return gate->lacks_body;
}

void kv_h2o_gate_await_body(struct kv_connection *connection)
{
    struct gate *gate = connection->channel.user;
    gate->lacks_body = false;
}

bool kv_h2o_gate_was_offered(const struct kv_connection *connection)
{
    const struct gate *gate = connection->channel.user;
    return gate->is_offered && !gate->lacks_body;
}

const struct kv_request_head *kv_h2o_gate_head(const struct kv_connection *connection)
{
    const struct gate *gate = connection->channel.user;
    return &gate->framing.head;
}

void kv_h2o_gate_leave(struct kv_connection *connection, kv_h2o_gate_left_fn on_left, void *user)
{
    struct gate *gate = connection->channel.user;
    struct iovec head;
    gate->on_left = on_left;
    gate->leaver = user;
    write_iovecs(gate, &head, 0);
}

void kv_h2o_gates_take_limits(struct kv_h2o_gates *gates)
{
    KV_LIST_EACH(&gates->all, link, after)
    {
        struct gate *gate = KV_CONTAINER(link, struct gate, in_all);
        if (gate->client != NULL)
            kv_client_change_limit(gate->client, gates->here->config->limits.max_unsent_bytes);
    }
}

void kv_h2o_gates_drain(struct kv_h2o_gates *gates, void (*end)(h2o_req_t *req))
{
    KV_LIST_EACH(&gates->all, link, after)
    {
        struct gate *gate = KV_CONTAINER(link, struct gate, in_all);
        if (gate->is_serving)
            end(&gate->req);
    }
}

void kv_h2o_gates_init(struct kv_h2o_gates *gates, struct kv_http_context *here,
                       h2o_accept_ctx_t *accept)
{
    gates->here = here;
    gates->accept = accept;
    gates->stage.settle = settle;
    gates->stage.wake_at = stage_wake_at;
    kv_list_init(&gates->all);
    kv_list_init(&gates->written);
    kv_loop_add_stage(here->loop, &gates->stage);
}

static void destroy(void *user)
{
    struct gate *gate = user;
    kv_list_remove(&gate->in_all);
    kv_list_remove(&gate->in_written);
    h2o_dispose_request(&gate->req);
    if (gate->client != NULL)
        kv_client_close(gate->client);
    if (gate->on_left != NULL)
        gate->on_left(gate->leaver, NULL, NULL);
    kv_buffer_fini(&gate->refusal);
    free(gate);
}

static size_t holds(const void *user)
{
    const struct gate *gate = user;
    return gate->client == NULL ? 0 : kv_client_holds(gate->client);
}

static void account(const void *user, struct kv_connection_account *ret)
{
    const struct gate *gate = user;
    ret->unsent = holds(user);
    if (gate->client != NULL)
        ret->name = gate->client->principal->name;
}

static struct gate *create(struct kv_h2o_gates *gates, struct kv_connection *connection)
{
    static const h2o_conn_callbacks_t callbacks = {
        .get_sockname = get_no_address, .get_peername = get_no_address, .get_socket = get_socket};
    struct gate *gate = kv_calloc(1, sizeof(*gate));
    gate->library = (h2o_conn_t){.ctx = gates->accept->ctx,
                                 .hosts = gates->accept->hosts,
                                 .connected_at = *h2o_get_timestamp(gates->accept->ctx, NULL, NULL),
                                 .callbacks = &callbacks};
    gate->gates = gates;
    gate->connection = connection;
    kv_list_append(&gates->all, &gate->in_all);
    kv_list_init(&gate->in_written);
    begin_request(gate);
    return gate;
}

void kv_h2o_gate_open(struct kv_h2o_gates *gates, struct kv_connection *connection,
                      struct kv_client *before)
{
    static const struct kv_protocol protocol = {.transport = KV_TRANSPORT_HTTP,
                                                .account = account,
                                                .on_read = on_read,
                                                .on_written = on_written,
                                                .on_closed = destroy,
                                                .holds = holds};
    struct gate *gate = create(gates, connection);
    kv_connection_serve(connection, &protocol, gate);
    if (before != NULL)
        kv_client_succeed(kv_h2o_gate_client(connection), before);
    begin_next(gate);
}
