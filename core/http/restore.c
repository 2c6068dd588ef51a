/*
 * `/admin/restore`: a backup is uploaded in parts (PUT), each after the previous one, and finished
 * (POST) or discarded (DELETE). core/admin handles the upload.
 */
#include <inttypes.h>

#include "http/resource.h"
#include "wire/query.h"

enum {
    RETRY_S = 1,
    LONGEST_PART = 1 << 20
};

static const struct kv_slice names[] = {{"offset", 6}};
static const struct kv_query_form form = {.names = names, .n_names = 1};
static const struct kv_query_form no_form = {.names = names, .n_names = 0};

/* Belongs to the exchange. */
struct waiting {
    struct kv_exchange *exchange;
    enum kv_upload_action action;
    bool is_under_way;
};

static void dispose(void *memory)
{
    struct waiting *waiting = memory;
    if (waiting->is_under_way)
        kv_uploads_forget(waiting->exchange->here->uploads);
}

/* ---- the request ---- */

static enum kv_upload_action action_of(const struct kv_request *request)
{
    if (request->method == KV_METHOD_PUT)
        return KV_UPLOAD_APPEND;
    return request->method == KV_METHOD_POST ? KV_UPLOAD_FINISH : KV_UPLOAD_DISCARD;
}

/* Returns: 0, or -1 and *reterr. */
static int read_offset(struct kv_query *query, bool has_offset, uint64_t *ret_offset,
                       struct kv_error *reterr)
{
    struct kv_slice value;
    int which;
    bool is_given = false;
    while ((which = kv_query_next(query, &value, reterr)) >= 0) {
        if (kv_query_read_number(names[0], value, 0, INT64_MAX, ret_offset, reterr) != 0)
            return -1;
        is_given = true;
    }
    if (which == KV_QUERY_END && has_offset && !is_given)
        return kv_error_set(reterr, "the parameter \"offset\" says where the part belongs");
    return which == KV_QUERY_END ? 0 : -1;
}

/* ---- the answer ---- */

static void on_done(void *owner, const struct kv_upload_outcome *outcome)
{
    struct waiting *waiting = owner;
    struct kv_exchange *exchange = waiting->exchange;
    struct kv_buffer text = {0};
    waiting->is_under_way = false;
    if (outcome->status != 200) {
        const struct kv_answer refusal = {.status = outcome->status,
                                          .retry_after_s = outcome->status == 503 ? RETRY_S : 0};
        kv_exchange_refuse(exchange, refusal, "%s", outcome->why.text);
        return;
    }
    if (waiting->action == KV_UPLOAD_APPEND)
        kv_buffer_printf(&text, "{\"length\":%" PRIu64 "}", outcome->len);
    else
        kv_buffer_printf(&text, "{\"waits\":%s}",
                         waiting->action == KV_UPLOAD_FINISH ? "true" : "false");
    kv_exchange_answer_with(exchange, (struct kv_answer){.status = 200, .is_of_now = true}, &text);
}

static void start(struct kv_exchange *exchange, const struct kv_upload_request *request)
{
    struct kv_http_context *here = exchange->here;
    struct waiting *waiting = kv_exchange_keep(exchange, sizeof(*waiting), dispose);
    waiting->exchange = exchange;
    waiting->action = request->action;
    waiting->is_under_way = kv_uploads_start(here->uploads, here->loop, request, on_done, waiting);
    if (!waiting->is_under_way)
        kv_exchange_refuse(exchange, (struct kv_answer){.status = 503, .retry_after_s = RETRY_S},
                           "another request for this path is under way");
}

static void serve_query(struct kv_exchange *exchange, const struct kv_request *request)
{
    struct kv_upload_request upload = {.action = action_of(request), .bytes = request->body};
    bool has_offset = upload.action == KV_UPLOAD_APPEND;
    struct kv_query query;
    struct kv_error error;
    if (!kv_exchange_begin_query(exchange, has_offset ? &form : &no_form, request->query, &query))
        return;
    if (read_offset(&query, has_offset, &upload.offset, &error) == 0)
        start(exchange, &upload);
    else
        kv_exchange_refuse(exchange, (struct kv_answer){.status = 400}, "%s", error.text);
}

static void serve(struct kv_exchange *exchange, const struct kv_request *request)
{
    struct kv_http_context *here = exchange->here;
    const char *why = kv_uploads_impossible(here->uploads);
    if (!kv_http_is_ready(here))
        kv_exchange_refuse_unready(exchange);
    else if (why != NULL)
        kv_exchange_refuse(exchange, (struct kv_answer){.status = 409}, "%s", why);
    else if (request->body.len > LONGEST_PART)
        kv_exchange_refuse(exchange, (struct kv_answer){.status = 413},
                           "a part of a backup has at most %d bytes", LONGEST_PART);
    else
        serve_query(exchange, request);
}

const struct kv_resource kv_resource_restore = {.path = {"/admin/restore", 14},
                                                .methods = KV_METHOD_PUT | KV_METHOD_POST |
                                                           KV_METHOD_DELETE,
                                                .keeps = true,
                                                .admin = KV_ADMIN_RESTORE,
                                                .serve = serve};
