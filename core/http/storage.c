/*
 * /storage/:key: a request becomes one command, and the command's outcome the answer. The key and
 * the value are slices of the request until the end of the loop's turn; a command that takes
 * longer has its own copies (keyspace). A request whose connection is gone takes its answer with
 * it: the link between the two is cut from either side.
 */
#include "http/impl.h"

#include <assert.h>
#include <stdlib.h>

#include "http/answer.h"
#include "http/body.h"
#include "wire/etag.h"
#include "wire/key_path.h"

/* A long body on the worker. The request stays meanwhile: no answer has been given, and the library
 * does not look at a connection that waits for one. */
struct reading {
    struct kv_job job;
    struct exchange *exchange;
    struct kv_http_body body;
    struct kv_error error;
    int failed;
};

/* A request under way. In the request's pool. */
struct exchange {
    h2o_req_t *req;
    struct kv_http_loop *here;
    struct kv_command *command; /* NULL when it is finished, or was never sent */
    struct reading *reading;    /* NULL: none is on the worker */
    struct kv_slice key;        /* of the request's path, or of `decoded` */
    struct kv_buffer decoded;
    struct kv_etags if_match;
    struct kv_etags if_none_match;
};

static void dispose_exchange(void *memory)
{
    struct exchange *exchange = memory;
    assert(exchange->reading == NULL);
    if (exchange->command != NULL)
        exchange->command->owner = NULL;
    kv_buffer_fini(&exchange->decoded);
    kv_etags_fini(&exchange->if_match);
    kv_etags_fini(&exchange->if_none_match);
}

static struct exchange *create_exchange(struct kv_http_loop *here, h2o_req_t *req)
{
    struct exchange *exchange =
        h2o_mem_alloc_shared(&req->pool, sizeof(*exchange), dispose_exchange);
    *exchange = (struct exchange){.req = req, .here = here};
    return exchange;
}

/* Outcomes. */

/* The exchange of a finished command; NULL where its connection is gone. */
static struct exchange *exchange_of(struct kv_command *command)
{
    struct exchange *exchange = command->owner;
    if (exchange != NULL)
        exchange->command = NULL;
    return exchange;
}

static void reply(struct exchange *exchange, struct kv_http_answer answer)
{
    kv_http_reply(exchange->req, exchange->here->http->keyspace, &answer);
}

/* Whether the conditions let a GET's answer through as it is. */
static bool if_match_holds(const struct exchange *exchange, const struct kv_command *command)
{
    if (!exchange->if_match.is_given || (command->status != KV_OK && command->status != KV_MISSING))
        return true;
    return command->status == KV_OK &&
           kv_etags_match_strongly(&exchange->if_match, command->item.revision);
}

static void on_read(struct kv_command *command)
{
    struct exchange *exchange = exchange_of(command);
    if (exchange == NULL)
        return;
    if (!if_match_holds(exchange, command)) {
        reply(exchange, kv_http_answer_condition_failed());
        return;
    }
    struct kv_http_answer answer = kv_http_answer_to(command);
    if (answer.status == 200 && kv_etags_match_weakly(&exchange->if_none_match, answer.revision)) {
        kv_keyspace_release(exchange->here->http->keyspace, &answer.item);
        answer.status = 304;
    }
    reply(exchange, answer);
}

static void on_changed(struct kv_command *command)
{
    struct exchange *exchange = exchange_of(command);
    if (exchange != NULL)
        reply(exchange, kv_http_answer_to(command));
}

/* Requests. Each step returns false where it has already answered. */

static bool read_key(struct exchange *exchange, struct kv_slice escaped)
{
    const struct kv_http_config *config = &exchange->here->http->config;
    const char *what;
    size_t offset;
    if (kv_key_path_read(escaped, &exchange->decoded, &exchange->key, &what, &offset) != 0) {
        kv_http_reply_error(exchange->req, 400, "the key in the path: %s at byte %zu", what,
                            offset);
        return false;
    }
    if (exchange->key.len > config->max_key_bytes) {
        kv_http_reply_error(exchange->req, 414, "the key has %zu bytes, the limit is %zu",
                            exchange->key.len, config->max_key_bytes);
        return false;
    }
    return true;
}

static bool read_etags(struct exchange *exchange, const h2o_token_t *header,
                       struct kv_etags *ret_etags)
{
    const h2o_headers_t *headers = &exchange->req->headers;
    for (ssize_t at = -1; (at = h2o_find_header(headers, header, at)) != -1;) {
        const h2o_iovec_t *value = &headers->entries[at].value;
        if (kv_etags_parse((struct kv_slice){value->base, value->len}, ret_etags) != 0) {
            kv_http_reply_error(exchange->req, 400,
                                "%.*s is malformed: it takes * or a list of "
                                "entity tags in double quotes",
                                (int)header->buf.len, header->buf.base);
            return false;
        }
    }
    return true;
}

static void add_if_match(const struct exchange *exchange, struct kv_command *command)
{
    const struct kv_etags *etags = &exchange->if_match;
    if (!etags->is_given)
        return;
    if (etags->is_any) {
        command->cond |= KV_COND_PRESENT;
        return;
    }
    command->cond |= KV_COND_REVISION;
    command->if_revisions = etags->revisions;
    command->n_if_revisions = etags->n;
}

static bool read_write_conditions(struct exchange *exchange, struct kv_command *command)
{
    if (!read_etags(exchange, H2O_TOKEN_IF_MATCH, &exchange->if_match) ||
        !read_etags(exchange, H2O_TOKEN_IF_NONE_MATCH, &exchange->if_none_match))
        return false;
    add_if_match(exchange, command);
    if (!exchange->if_none_match.is_given)
        return true;
    if (!exchange->if_none_match.is_any) {
        kv_http_reply_error(exchange->req, 400, "if-none-match of a write takes * alone");
        return false;
    }
    command->cond |= KV_COND_ABSENT;
    return true;
}

static bool accept_body(const struct exchange *exchange, const struct kv_http_body *body)
{
    size_t max_bytes = exchange->here->http->config.max_value_bytes;
    if (body->value.len <= max_bytes)
        return true;
    kv_http_reply_error(exchange->req, 413, "the value has %zu bytes, the limit is %zu",
                        body->value.len, max_bytes);
    return false;
}

static void send_command(struct exchange *exchange, struct kv_command *command,
                         kv_command_finished_fn finished)
{
    command->key = exchange->key;
    command->owner = exchange;
    command->finished = finished;
    exchange->command = command;
    kv_keyspace_send(command);
}

static void serve_read(struct exchange *exchange)
{
    if (!read_etags(exchange, H2O_TOKEN_IF_MATCH, &exchange->if_match) ||
        !read_etags(exchange, H2O_TOKEN_IF_NONE_MATCH, &exchange->if_none_match))
        return;
    struct kv_command *command = kv_command_create(exchange->here->keyspace, KV_COMMAND_GET);
    send_command(exchange, command, on_read);
}

static void set_value(struct exchange *exchange, const struct kv_http_body *body)
{
    if (!accept_body(exchange, body))
        return;
    struct kv_command *command = kv_command_create(exchange->here->keyspace, KV_COMMAND_SET);
    kv_http_body_apply(body, command);
    if (read_write_conditions(exchange, command))
        send_command(exchange, command, on_changed);
    else
        kv_command_free(command);
}

/* failed: what kv_http_body_read() returned. */
static void serve_body(struct exchange *exchange, int failed, const struct kv_http_body *body,
                       const struct kv_error *error)
{
    if (failed != 0)
        kv_http_reply_error(exchange->req, 400, "%s", error->text);
    else
        set_value(exchange, body);
}

static int read_body(const struct exchange *exchange, struct kv_http_body *ret_body,
                     struct kv_error *reterr)
{
    struct kv_slice text = {exchange->req->entity.base, exchange->req->entity.len};
    return kv_http_body_read(text, exchange->here->http->config.max_depth, ret_body, reterr);
}

static void on_worker(struct kv_job *job)
{
    struct reading *reading = KV_CONTAINER(job, struct reading, job);
    reading->failed = read_body(reading->exchange, &reading->body, &reading->error);
}

static void on_body_read(struct kv_job *job)
{
    struct reading *reading = KV_CONTAINER(job, struct reading, job);
    reading->exchange->reading = NULL;
    serve_body(reading->exchange, reading->failed, &reading->body, &reading->error);
    free(reading);
}

static void read_on_worker(struct exchange *exchange)
{
    struct reading *reading = kv_calloc(1, sizeof(*reading));
    reading->exchange = exchange;
    reading->job.work = on_worker;
    reading->job.done = on_body_read;
    exchange->reading = reading;
    kv_http_compute(exchange->here, &reading->job);
}

static void serve_write(struct exchange *exchange)
{
    struct kv_http_body body;
    struct kv_error error;
    if (exchange->req->entity.len < KV_HTTP_LONG_TEXT)
        serve_body(exchange, read_body(exchange, &body, &error), &body, &error);
    else
        read_on_worker(exchange);
}

static void serve_delete(struct exchange *exchange)
{
    struct kv_command *command = kv_command_create(exchange->here->keyspace, KV_COMMAND_DELETE);
    if (read_write_conditions(exchange, command))
        send_command(exchange, command, on_changed);
    else
        kv_command_free(command);
}

static bool is_write(const h2o_req_t *req)
{
    return kv_http_method_is(req, KV_SLICE("POST")) || kv_http_method_is(req, KV_SLICE("PUT"));
}

static void serve_change(struct exchange *exchange)
{
    if (kv_http_refuse_origin(exchange->here, exchange->req, "write"))
        return;
    if (is_write(exchange->req))
        serve_write(exchange);
    else
        serve_delete(exchange);
}

static void serve_storage(struct kv_http_route *self, struct kv_http_loop *here, h2o_req_t *req,
                          struct kv_slice rest)
{
    bool reads =
        kv_http_method_is(req, KV_SLICE("GET")) || kv_http_method_is(req, KV_SLICE("HEAD"));
    bool changes = is_write(req) || kv_http_method_is(req, KV_SLICE("DELETE"));
    if (!reads && !changes) {
        kv_http_reply_not_allowed(req, self->methods);
        return;
    }
    struct exchange *exchange = create_exchange(here, req);
    if (!read_key(exchange, rest))
        return;
    if (reads)
        serve_read(exchange);
    else
        serve_change(exchange);
}

struct kv_http_route kv_http_storage_route = {
    .path = "/storage/",
    .methods = "GET, HEAD, POST, PUT, DELETE, OPTIONS",
    .serve = serve_storage,
};
