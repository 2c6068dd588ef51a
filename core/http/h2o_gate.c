/*
 * While the library waits for a request it has no part of one in hand, and the socket is the
 * gate's: it collects the request in the socket's input, and then lends the socket to the library.
 * What has come behind the request is held back, so the library finds nothing more when it has
 * answered, and starts to read: before the loop polls sockets the next time, the gate takes the
 * socket back.
 *
 * That the library has gone on to its next request is seen by the end of the last one's pool. The
 * library closes the connection, as one whose peer has closed it.
 */
#include "http/h2o_gate.h"

#include <assert.h>
#include <h2o/http1.h>
#include <stdlib.h>

#include "base/mem.h"
#include "http/context.h"
#include "http/h2o_answer.h"
#include "net/intake.h"
#include "wire/framing.h"
#include "wire/json_string.h"

static const struct kv_protocol nobody;

struct gate {
    struct kv_h2o_gates *gates;
    struct kv_connection *connection;
    struct kv_list in_answered;
    struct kv_client *client; /* NULL until the first request */
    size_t unsent;            /* bytes of the answer's body, until it is sent */
    void *library; /* its connection, and what it reads with; while the socket is the gate's */
    h2o_socket_cb library_on_read;
    h2o_buffer_t *held; /* input behind the request that is being served */
    struct kv_framing framing;
    bool has_continued; /* the request's expectation has been met */
    struct kv_buffer refusal;
};

static h2o_socket_t *sock_of(const struct gate *gate)
{
    return kv_connection_socket(gate->connection);
}

static struct kv_channel *channel_of(const struct gate *gate)
{
    return &gate->connection->channel;
}

static void lend_to_library(struct gate *gate, const char *err)
{
    h2o_socket_t *sock = sock_of(gate);
    kv_channel_read(channel_of(gate), false);
    sock->data = gate->library;
    h2o_socket_read_start(sock, gate->library_on_read);
    gate->library_on_read(sock, err);
}

static void close_connection(struct gate *gate)
{
    lend_to_library(gate, h2o_socket_error_closed);
}

/* Input. */

static void swap_input(struct gate *gate)
{
    h2o_buffer_t *input = sock_of(gate)->input;
    sock_of(gate)->input = gate->held;
    gate->held = input;
}

static void append(h2o_buffer_t **buffer, const char *bytes, size_t len)
{
    h2o_iovec_t room = h2o_buffer_reserve(buffer, len);
    memcpy(room.base, bytes, len);
    (*buffer)->size += len;
}

/* Takes what is behind the request out of the socket's input. The shorter of the two is copied: so
 * no more is copied than is served, however much is held back. */
static void hold_back(struct gate *gate)
{
    h2o_buffer_t **input = &sock_of(gate)->input;
    size_t len = gate->framing.len;
    size_t n_behind = (*input)->size - len;
    assert(gate->held->size == 0);
    if (n_behind > len) {
        swap_input(gate);
        append(&sock_of(gate)->input, gate->held->bytes, len);
        h2o_buffer_consume(&gate->held, len);
    } else if (n_behind != 0) {
        append(&gate->held, (*input)->bytes + len, n_behind);
        (*input)->size = len;
    }
}

/* Refusals. */

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
    struct kv_slice method = kv_head_slice(sock_of(gate)->input->bytes, gate->framing.head.method);
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

static void refuse(struct gate *gate)
{
    write_refusal(gate);
    struct iovec bytes = {gate->refusal.bytes, gate->refusal.len};
    kv_channel_read(channel_of(gate), false);
    kv_connection_linger(gate->connection);
    if (kv_channel_write(channel_of(gate), &bytes, 1))
        close_connection(gate);
}

/* Requests. */

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

static void collect(struct gate *gate)
{
    h2o_buffer_t **input = &sock_of(gate)->input;
    int got = kv_framing_read(&gate->framing, (*input)->bytes, &(*input)->size);
    h2o_buffer_consume(input, gate->framing.n_dropped);
    if (got < 0) {
        refuse(gate);
        return;
    }
    bool is_waiting = expects_continue(gate) && !meet_expectation(gate);
    kv_channel_read(channel_of(gate), !is_waiting);
    if (got == 1 && !is_waiting) {
        hold_back(gate);
        lend_to_library(gate, NULL);
    }
}

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
    if (event == KV_CHANNEL_READY && gate->framing.fault.status == 0)
        collect(gate);
    else
        close_connection(gate);
}

/* The library's side. */

/* The library has begun to read, and does nothing else. */
static void take_back(struct gate *gate)
{
    h2o_socket_t *sock = sock_of(gate);
    assert(sock->input->size == 0);
    kv_intake_trim(&sock->input);
    gate->library = sock->data;
    gate->library_on_read = sock->_cb.read;
    kv_channel_attach(channel_of(gate), gate, on_read, on_written);
    kv_framing_init(&gate->framing, gate->gates->accept->ctx->globalconf->max_request_entity_size);
    gate->has_continued = false;
    swap_input(gate);
    if (sock->input->size != 0 && kv_channel_is_broken(channel_of(gate)))
        close_connection(gate); /* the library does not look whether an answer could be written */
    else
        collect(gate);
}

static void on_answered(void *memory)
{
    struct gate *gate = *(struct gate **)memory;
    gate->unsent = 0;
    kv_list_append(&gate->gates->answered, &gate->in_answered);
}

const struct kv_request_head *kv_h2o_gate_serve(struct kv_connection *connection, h2o_req_t *req)
{
    struct gate *gate = connection->channel.user;
    struct gate **link = h2o_mem_alloc_shared(&req->pool, sizeof(struct gate *), on_answered);
    *link = gate;
    return &gate->framing.head;
}

static void settle(struct kv_loop_stage *stage)
{
    struct kv_h2o_gates *gates = KV_CONTAINER(stage, struct kv_h2o_gates, stage);
    KV_LIST_EACH(&gates->answered, link, after)
    {
        kv_list_remove(link);
        take_back(KV_CONTAINER(link, struct gate, in_answered));
    }
}

struct kv_client *kv_h2o_gate_client(struct kv_connection *connection)
{
    struct gate *gate = connection->channel.user;
    const struct kv_http_context *here = gate->gates->here;
    if (gate->client == NULL) {
        gate->client = kv_client_create(here->keyspace_loop, gate, NULL, 0);
        kv_client_limit(gate->client, &gate->unsent, here->config->max_unsent_bytes);
    }
    return gate->client;
}

void kv_h2o_gate_answers(struct kv_connection *connection, size_t len)
{
    struct gate *gate = connection->channel.user;
    gate->unsent = len;
}

void kv_h2o_gates_init(struct kv_h2o_gates *gates, struct kv_http_context *here,
                       h2o_accept_ctx_t *accept)
{
    gates->here = here;
    gates->accept = accept;
    gates->stage.settle = settle;
    kv_list_init(&gates->answered);
    kv_loop_add_stage(here->loop, &gates->stage);
}

static void destroy(void *user)
{
    struct gate *gate = user;
    kv_list_remove(&gate->in_answered);
    if (gate->client != NULL)
        kv_client_close(gate->client);
    h2o_buffer_dispose(&gate->held);
    kv_buffer_fini(&gate->refusal);
    free(gate);
}

static size_t holds(const void *user)
{
    const struct gate *gate = user;
    return gate->client == NULL ? 0 : kv_client_holds(gate->client);
}

void kv_h2o_gate_open(struct kv_h2o_gates *gates, struct kv_connection *connection)
{
    static const struct kv_protocol protocol = {
        .on_read = on_read, .on_written = on_written, .on_closed = destroy, .holds = holds};
    struct gate *gate = kv_calloc(1, sizeof(*gate));
    gate->gates = gates;
    gate->connection = connection;
    kv_list_init(&gate->in_answered);
    h2o_buffer_init(&gate->held, &h2o_socket_buffer_prototype);
    swap_input(gate);
    kv_connection_serve(connection, &protocol, gate);
    h2o_http1_accept(gates->accept, sock_of(gate),
                     *h2o_get_timestamp(gates->accept->ctx, NULL, NULL));
    take_back(gate);
}

struct kv_connection *kv_h2o_gate_leave(h2o_socket_t *sock, size_t request_len)
{
    struct kv_connection *connection = kv_connection_of_socket(sock);
    struct gate *gate = connection->channel.user;
    h2o_buffer_consume(&sock->input, request_len);
    if (gate->held->size != 0)
        append(&sock->input, gate->held->bytes, gate->held->size);
    destroy(gate);
    kv_connection_serve(connection, &nobody, NULL);
    return connection;
}
