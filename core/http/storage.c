/*
 * /storage/:key: a request becomes one command, and the command's outcome the answer. The key and
 * the value are slices of the request until the end of the loop's turn; a command that takes
 * longer has its own copies (keyspace). A request whose connection is gone takes its answer with
 * it: the link between the two is cut from either side.
 */
#include "http/impl.h"

#include <assert.h>

#include "wire/etag.h"
#include "wire/json.h"
#include "wire/key_path.h"
#include "wire/ttl.h"

/* What a body says, or what is wrong with it. Slices of the body. */
struct reading {
    struct kv_slice value;
    bool ttl_is_given;
    int64_t ttl_ms;
    bool is_bad;
};

/* A request under way. In the request's pool. While its body is being read on the worker the
 * request stays: no answer has been given, and the library does not look at a connection that waits
 * for one. */
struct exchange {
    h2o_req_t *req;
    struct kv_job job;
    struct reading reading;
    bool is_reading; /* on the worker */
    struct kv_http_loop *here;
    struct kv_command *command; /* NULL when it is finished, or was never sent */
    struct kv_buffer key;
    struct kv_etags if_match;
    struct kv_etags if_none_match;
    struct kv_error error; /* last: not zeroed */
};

static void dispose_exchange(void *memory)
{
    struct exchange *exchange = memory;
    assert(!exchange->is_reading);
    if (exchange->command != NULL)
        exchange->command->owner = NULL;
    kv_buffer_fini(&exchange->key);
    kv_etags_fini(&exchange->if_match);
    kv_etags_fini(&exchange->if_none_match);
}

static struct exchange *create_exchange(struct kv_http_loop *here, h2o_req_t *req)
{
    struct exchange *exchange =
        h2o_mem_alloc_shared(&req->pool, sizeof(*exchange), dispose_exchange);
    memset(exchange, 0, offsetof(struct exchange, error));
    exchange->req = req;
    exchange->here = here;
    return exchange;
}

/* Outcomes. */

static int status_of(int outcome)
{
    switch (outcome) {
    case KV_CONDITION:
        return 412;
    case KV_FULL:
        return 507;
    case KV_TOO_BIG:
        return 413;
    case KV_REFUSED:
        return 403;
    default:
        return 503;
    }
}

static void reply_failure(const struct exchange *exchange, const struct kv_command *command)
{
    h2o_req_t *req = exchange->req;
    int status = status_of(command->status);
    if (status == 503)
        h2o_add_header(&req->pool, &req->res.headers, H2O_TOKEN_RETRY_AFTER, NULL, H2O_STRLIT("1"));
    const char *text =
        command->refusal != NULL ? command->refusal : kv_command_status_text(command->status);
    kv_http_reply_error(req, status, "%s", text);
}

/* The exchange of a finished command; NULL where its connection is gone. */
static struct exchange *exchange_of(struct kv_command *command)
{
    struct exchange *exchange = command->owner;
    if (exchange != NULL)
        exchange->command = NULL;
    return exchange;
}

static void add_time_left(const struct exchange *exchange, int64_t deadline_ms)
{
    if (deadline_ms == KV_NEVER)
        return;
    int64_t left = deadline_ms - kv_keyspace_now_ms(exchange->here->http->keyspace);
    char text[24];
    int len = snprintf(text, sizeof(text), "%lld", (long long)(left < 1 ? 1 : left));
    h2o_mem_pool_t *pool = &exchange->req->pool;
    h2o_iovec_t copy = h2o_strdup(pool, text, (size_t)len);
    h2o_add_header_by_str(pool, &exchange->req->res.headers, H2O_STRLIT("kv-ttl"), 0, "KV-TTL",
                          copy.base, copy.len);
}

static void reply_found(struct exchange *exchange, struct kv_command *command)
{
    struct kv_item item = kv_command_take_item(command);
    kv_http_add_etag(exchange->req, item.revision);
    add_time_left(exchange, item.deadline_ms);
    if (kv_etags_match_weakly(&exchange->if_none_match, item.revision)) {
        kv_keyspace_release(exchange->here->http->keyspace, &item);
        kv_http_reply_empty(exchange->req, 304);
        return;
    }
    kv_http_reply_item(exchange->req, exchange->here->http->keyspace, &item);
}

static bool if_match_holds(const struct exchange *exchange, const struct kv_command *command)
{
    if (!exchange->if_match.is_given)
        return true;
    return command->status == KV_OK &&
           kv_etags_match_strongly(&exchange->if_match, command->item.revision);
}

static void on_read(struct kv_command *command)
{
    struct exchange *exchange = exchange_of(command);
    if (exchange == NULL)
        return;
    bool is_there = command->status == KV_OK;
    if ((is_there || command->status == KV_MISSING) && !if_match_holds(exchange, command))
        kv_http_reply_error(exchange->req, 412, "%s", kv_command_status_text(KV_CONDITION));
    else if (is_there)
        reply_found(exchange, command);
    else if (command->status == KV_MISSING)
        kv_http_reply_empty(exchange->req, 204);
    else
        reply_failure(exchange, command);
}

static void on_written(struct kv_command *command)
{
    struct exchange *exchange = exchange_of(command);
    if (exchange == NULL)
        return;
    if (command->status != KV_OK && command->status != KV_UNCHANGED) {
        reply_failure(exchange, command);
        return;
    }
    kv_http_add_etag(exchange->req, command->revision);
    kv_http_reply_empty(exchange->req, 202);
}

static void on_deleted(struct kv_command *command)
{
    struct exchange *exchange = exchange_of(command);
    if (exchange == NULL)
        return;
    if (command->status == KV_OK || command->status == KV_MISSING)
        kv_http_reply_empty(exchange->req, 200);
    else
        reply_failure(exchange, command);
}

/* Requests. Each step returns false where it has already answered. */

static bool read_key(struct exchange *exchange, struct kv_slice escaped)
{
    const struct kv_http_config *config = &exchange->here->http->config;
    const char *what;
    size_t offset;
    if (kv_key_path_decode(escaped, &exchange->key, &what, &offset) != 0) {
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

static int read_members(struct kv_slice body, uint32_t max_depth, struct reading *reading,
                        struct kv_error *reterr)
{
    struct kv_json_field fields[] = {{.name = KV_SLICE("value")}, {.name = KV_SLICE("ttl")}};
    struct kv_json_error bad;
    if (kv_json_read_object(body, max_depth, fields, 2, &bad) != 0)
        return kv_json_error_tell(&bad, reterr);
    reading->value = fields[0].value;
    reading->ttl_is_given = fields[1].value.bytes != NULL;
    if (reading->value.bytes == NULL)
        return kv_error_set(reterr, "the body has no member \"value\"");
    return reading->ttl_is_given ? kv_ttl_parse(fields[1].value, &reading->ttl_ms, reterr) : 0;
}

/* Threads: any. */
static void read_body(struct exchange *exchange)
{
    struct kv_slice body = {exchange->req->entity.base, exchange->req->entity.len};
    uint32_t max_depth = exchange->here->http->config.max_depth + 1;
    exchange->reading.is_bad =
        read_members(body, max_depth, &exchange->reading, &exchange->error) != 0;
}

static bool accept_reading(const struct exchange *exchange)
{
    const struct reading *reading = &exchange->reading;
    size_t max_bytes = exchange->here->http->config.max_value_bytes;
    if (reading->is_bad) {
        kv_http_reply_error(exchange->req, 400, "%s", exchange->error.text);
        return false;
    }
    if (reading->value.len > max_bytes) {
        kv_http_reply_error(exchange->req, 413, "the value has %zu bytes, the limit is %zu",
                            reading->value.len, max_bytes);
        return false;
    }
    return true;
}

static void send_command(struct exchange *exchange, struct kv_command *command,
                         kv_command_finished_fn finished)
{
    command->key = kv_buffer_slice(&exchange->key);
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

static void write_reading(struct exchange *exchange)
{
    if (!accept_reading(exchange))
        return;
    struct kv_command *command = kv_command_create(exchange->here->keyspace, KV_COMMAND_SET);
    command->value = exchange->reading.value;
    command->ttl_is_given = exchange->reading.ttl_is_given;
    command->ttl_ms = exchange->reading.ttl_ms;
    if (read_write_conditions(exchange, command))
        send_command(exchange, command, on_written);
    else
        kv_command_free(command);
}

static void on_worker(struct kv_job *job)
{
    read_body(KV_CONTAINER(job, struct exchange, job));
}

static void on_body_read(struct kv_job *job)
{
    struct exchange *exchange = KV_CONTAINER(job, struct exchange, job);
    exchange->is_reading = false;
    write_reading(exchange);
}

static void serve_write(struct exchange *exchange)
{
    if (exchange->req->entity.len < KV_HTTP_LONG_TEXT) {
        read_body(exchange);
        write_reading(exchange);
        return;
    }
    exchange->is_reading = true;
    exchange->job.work = on_worker;
    exchange->job.done = on_body_read;
    kv_http_compute(exchange->here, &exchange->job);
}

static void serve_delete(struct exchange *exchange)
{
    struct kv_command *command = kv_command_create(exchange->here->keyspace, KV_COMMAND_DELETE);
    if (read_write_conditions(exchange, command))
        send_command(exchange, command, on_deleted);
    else
        kv_command_free(command);
}

static bool is_write(const h2o_req_t *req)
{
    return kv_http_method_is(req, KV_SLICE("POST")) || kv_http_method_is(req, KV_SLICE("PUT"));
}

static void serve_change(struct exchange *exchange)
{
    if (!kv_http_origin_is_allowed(exchange->here, exchange->req))
        kv_http_reply_error(exchange->req, 403, "pages of this origin may not write");
    else if (is_write(exchange->req))
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
