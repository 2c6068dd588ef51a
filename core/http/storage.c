/*
 * `/storage/KEY`: a request becomes one command, whose outcome becomes the answer. The key and the
 * value are slices of the request until the end of the loop's turn; a command that takes longer has
 * copies.
 */
#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"
#include "http/body.h"
#include "http/resource.h"
#include "keyspace/admission.h"
#include "wire/etag.h"
#include "wire/key_path.h"

/* The state of a request with conditions, or with a long body. */
struct kept {
    struct kv_etags if_match;
    struct kv_etags if_none_match;
    bool is_on_worker; /* the body is being read by a worker */
};

static void dispose_kept(void *memory)
{
    struct kept *kept = memory;
    assert(!kept->is_on_worker);
    kv_etags_fini(&kept->if_match);
    kv_etags_fini(&kept->if_none_match);
}

static struct kept *keep(struct kv_exchange *exchange)
{
    if (exchange->kept == NULL)
        kv_exchange_keep(exchange, sizeof(struct kept), dispose_kept);
    return exchange->kept;
}

/* ---- outcomes ---- */

static void on_written(struct kv_command *command)
{
    struct kv_answer answer = kv_answer_of(command);
    answer.command = command;
    kv_exchange_answer(command->owner, &answer);
}

/* Returns: false if there is no memory for the text. */
static bool add_result(struct kv_exchange *exchange, const struct kv_command *command,
                       struct kv_answer *answer)
{
    struct kv_buffer *out = &exchange->here->text;
    out->len = 0;
    if (kv_buffer_try_reserve(out, command->value.len + KV_VALUE_HEAD.len + KV_VALUE_TAIL.len) ==
        NULL)
        return false;
    kv_buffer_append(out, KV_VALUE_HEAD);
    kv_buffer_append(out, command->value);
    kv_buffer_append(out, KV_VALUE_TAIL);
    answer->content = KV_CONTENT_JSON;
    answer->text = kv_buffer_slice(out);
    return true;
}

static void on_updated(struct kv_command *command)
{
    struct kv_exchange *exchange = command->owner;
    struct kv_answer answer = kv_answer_of(command);
    if (answer.status == 200 && command->item.revision != 0) {
        answer.content = KV_CONTENT_VALUE;
        answer.item = kv_command_take_item(command);
    } else if (answer.status == 200 && !add_result(exchange, command, &answer))
        answer = kv_answer_of_failure(KV_NOT_OPEN);
    answer.command = command;
    kv_exchange_answer(exchange, &answer);
}

static bool if_match_holds(const struct kept *kept, const struct kv_command *command)
{
    if (!kept->if_match.is_given || (command->status != KV_OK && command->status != KV_MISSING))
        return true;
    return command->status == KV_OK &&
           kv_etags_match_strongly(&kept->if_match, command->item.revision);
}

static struct kv_answer answer_on_conditions(const struct kept *kept, struct kv_command *command)
{
    if (!if_match_holds(kept, command))
        return kv_answer_of_failure(KV_CONDITION);
    struct kv_answer answer = kv_answer_of(command);
    if (answer.status == 200 && kv_etags_match_weakly(&kept->if_none_match, answer.revision)) {
        kv_keyspace_release(kv_keyspace_of(command->home), &answer.item);
        answer.status = 304;
        answer.content = KV_CONTENT_NONE;
    }
    return answer;
}

static void on_read(struct kv_command *command)
{
    struct kv_exchange *exchange = command->owner;
    struct kv_answer answer = exchange->kept == NULL
                                  ? kv_answer_of(command)
                                  : answer_on_conditions(exchange->kept, command);
    answer.is_of_now = true;
    answer.command = command;
    kv_exchange_answer(exchange, &answer);
}

/* ---- requests; each step returns false if it has already answered ---- */

static bool reads(const struct kv_request *request)
{
    return (request->method & KV_METHODS_READING) != 0;
}

static bool refuse_bad_key(struct kv_exchange *exchange, const struct kv_request *request,
                           const char *what, size_t offset)
{
    kv_exchange_refuse(exchange, (struct kv_answer){.status = 400, .is_of_now = reads(request)},
                       "the key in the path: %s at byte %zu", what, offset);
    return false;
}

static bool refuse_long_key(struct kv_exchange *exchange, const struct kv_request *request,
                            size_t len)
{
    kv_exchange_refuse(exchange, (struct kv_answer){.status = 414, .is_of_now = reads(request)},
                       "the key has %zu bytes, the limit is %zu", len,
                       exchange->here->config->limits.max_key_bytes);
    return false;
}

static inline bool read_key(struct kv_exchange *exchange, const struct kv_request *request,
                            struct kv_slice *ret_key)
{
    const char *what;
    size_t offset;
    if (kv_key_path_read(request->rest, &exchange->here->decoded, ret_key, &what, &offset) != 0)
        return refuse_bad_key(exchange, request, what, offset);
    if (ret_key->len > exchange->here->config->limits.max_key_bytes)
        return refuse_long_key(exchange, request, ret_key->len);
    return true;
}

static bool read_etags(struct kv_exchange *exchange, const struct kv_request *request,
                       enum kv_header_id header, struct kv_etags *ret_etags)
{
    struct kv_slice value, name = kv_header_name(header);
    for (size_t at = 0; kv_request_next_header(request, header, &at, &value);) {
        if (kv_etags_parse(value, ret_etags) == 0)
            continue;
        kv_exchange_refuse(exchange, (struct kv_answer){.status = 400},
                           "%.*s is malformed: it takes * or a list of entity tags in double "
                           "quotes",
                           (int)name.len, name.bytes);
        return false;
    }
    return true;
}

static bool read_conditions(struct kv_exchange *exchange, const struct kv_request *request)
{
    if (request->n_headers == 0)
        return true;
    struct kept *kept = keep(exchange);
    return read_etags(exchange, request, KV_HEADER_IF_MATCH, &kept->if_match) &&
           read_etags(exchange, request, KV_HEADER_IF_NONE_MATCH, &kept->if_none_match);
}

static void add_if_match(const struct kv_etags *etags, struct kv_command *command)
{
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

static bool add_write_conditions(struct kv_exchange *exchange, const struct kv_request *request,
                                 struct kv_command *command)
{
    if (!read_conditions(exchange, request))
        return false;
    const struct kept *kept = exchange->kept;
    if (kept == NULL)
        return true;
    add_if_match(&kept->if_match, command);
    if (!kept->if_none_match.is_given)
        return true;
    if (!kept->if_none_match.is_any) {
        kv_exchange_refuse(exchange, (struct kv_answer){.status = 400},
                           "if-none-match of a write takes * alone");
        return false;
    }
    command->cond |= KV_COND_ABSENT;
    return true;
}

/* Takes the command over. The key is lent for the turn, but the loop decodes the next key into the
 * same place. */
static inline void send_command(struct kv_exchange *exchange, struct kv_command *command,
                                struct kv_slice key, kv_command_finished_fn finished)
{
    bool is_decoded = key.bytes == exchange->here->decoded.bytes;
    command->key = key;
    if (!is_decoded || kv_command_keep_key(command) == 0) {
        kv_exchange_send(exchange, command, finished);
        return;
    }
    struct kv_answer full = kv_answer_of_failure(KV_FULL);
    kv_command_free(command);
    kv_exchange_answer(exchange, &full);
}

static void read_value(struct kv_exchange *exchange, const struct kv_request *request,
                       struct kv_slice key)
{
    if (read_conditions(exchange, request))
        send_command(exchange, kv_command_create(exchange->here->keyspace_loop, KV_COMMAND_GET),
                     key, on_read);
}

static void send_write(struct kv_exchange *exchange, const struct kv_request *request,
                       struct kv_command *command, struct kv_slice key)
{
    if (add_write_conditions(exchange, request, command))
        send_command(exchange, command, key, command->update == NULL ? on_written : on_updated);
    else
        kv_command_free(command);
}

static void delete_value(struct kv_exchange *exchange, const struct kv_request *request,
                         struct kv_slice key)
{
    send_write(exchange, request,
               kv_command_create(exchange->here->keyspace_loop, KV_COMMAND_DELETE), key);
}

static bool accept_body(struct kv_exchange *exchange, const struct kv_http_body *body)
{
    size_t most = exchange->here->config->limits.max_value_bytes;
    if (body->value.len <= most)
        return true;
    kv_exchange_refuse(exchange, (struct kv_answer){.status = 413},
                       "the value has %zu bytes, the limit is %zu", body->value.len, most);
    return false;
}

static enum kv_body_form form_of(const struct kv_request *request)
{
    if (request->method != KV_METHOD_PATCH)
        return KV_BODY_WRITE;
    return kv_request_has_type(request, KV_SLICE("application/merge-patch+json"))
               ? KV_BODY_MERGE_PATCH
               : KV_BODY_PATCH;
}

/* failed: the result of kv_http_body_read(); staged: taken over. */
static void send_body(struct kv_exchange *exchange, const struct kv_request *request,
                      struct kv_slice key, int failed, const struct kv_http_body *body,
                      const struct kv_error *error, struct kv_item *staged)
{
    if (failed != 0) {
        kv_exchange_refuse(exchange, (struct kv_answer){.status = 400}, "%s", error->text);
        return;
    }
    if (!accept_body(exchange, body))
        return;
    struct kv_command *command = kv_http_body_command(
        body, exchange->here->keyspace_loop, exchange->here->config->limits.max_value_bytes);
    if (staged->ref != NULL)
        kv_command_take_staged(command, staged);
    send_write(exchange, request, command, key);
}

/* A long body, on the worker. The exchange stays alive meanwhile: its carrier does not read a
 * connection that waits for an answer. */
struct reading {
    struct kv_job job;
    struct kv_exchange *exchange;
    struct kv_request request;
    uint32_t max_depth; /* copied from the loop's limits, which may change meanwhile */
    size_t max_value_bytes;
    struct kv_http_body body;
    struct kv_error error;
    int failed;
    struct kv_buffer decoded;
    struct kv_item staged;
    struct kv_charge charge; /* for the copy */
};

/* Copies a long value for the store, as this would take the loop as long as reading it. */
static void stage_value(struct reading *reading)
{
    struct kv_http_context *here = reading->exchange->here;
    const struct kv_http_body *body = &reading->body;
    struct kv_slice key;
    const char *what;
    size_t offset;
    if (reading->failed != 0 || body->form != KV_BODY_WRITE ||
        body->value.len < KV_WORKERS_LONG_TEXT || body->value.len > reading->max_value_bytes ||
        kv_key_path_read(reading->request.rest, &reading->decoded, &key, &what, &offset) != 0)
        return;
    reading->staged = kv_keyspace_stage(here->keyspace, key, body->value);
}

static void read_on_worker(struct kv_job *job)
{
    struct reading *reading = KV_CONTAINER(job, struct reading, job);
    reading->failed = kv_http_body_read(form_of(&reading->request), reading->request.body,
                                        reading->max_depth, &reading->body, &reading->error);
    stage_value(reading);
}

static void on_read_by_worker(struct kv_job *job)
{
    struct reading *reading = KV_CONTAINER(job, struct reading, job);
    struct kv_exchange *exchange = reading->exchange;
    struct kv_http_context *here = exchange->here;
    struct kv_slice key;
    keep(exchange)->is_on_worker = false;
    if (read_key(exchange, &reading->request, &key)) /* the loop has decoded other keys since */
        send_body(exchange, &reading->request, key, reading->failed, &reading->body,
                  &reading->error, &reading->staged);
    kv_keyspace_release(here->keyspace, &reading->staged);
    kv_charge_set(&reading->charge, 0);
    kv_buffer_fini(&reading->decoded);
    free(reading);
}

static void give_to_worker(struct kv_exchange *exchange, const struct kv_request *request)
{
    struct reading *reading = kv_calloc(1, sizeof(*reading));
    reading->exchange = exchange;
    reading->request = *request;
    reading->max_depth = exchange->here->config->limits.max_depth;
    reading->max_value_bytes = exchange->here->config->limits.max_value_bytes;
    reading->job.work = read_on_worker;
    reading->job.done = on_read_by_worker;
    reading->job.bytes = request->body.len;
    reading->charge.tally = kv_keyspace_tally(exchange->here->keyspace_loop);
    kv_charge_set(&reading->charge, request->body.len);
    keep(exchange)->is_on_worker = true;
    kv_workers_run(exchange->here->workers, exchange->here->loop, &reading->job);
}

static void write_value(struct kv_exchange *exchange, const struct kv_request *request,
                        struct kv_slice key)
{
    struct kv_http_body body;
    struct kv_error error;
    struct kv_item none = {0};
    if (request->body.len >= KV_WORKERS_LONG_TEXT) {
        give_to_worker(exchange, request);
        return;
    }
    int failed = kv_http_body_read(form_of(request), request->body,
                                   exchange->here->config->limits.max_depth, &body, &error);
    send_body(exchange, request, key, failed, &body, &error, &none);
}

static void serve(struct kv_exchange *exchange, const struct kv_request *request)
{
    struct kv_slice key;
    if (!read_key(exchange, request, &key))
        return;
    if (reads(request))
        read_value(exchange, request, key);
    else if (request->method == KV_METHOD_DELETE)
        delete_value(exchange, request, key);
    else
        write_value(exchange, request, key);
}

/* Of the kinds of command that the request may become, the one that needs the fewest rights. */
static enum kv_command_kind kind_of(const struct kv_request *request)
{
    if ((request->method & KV_METHODS_READING) != 0)
        return KV_COMMAND_GET;
    return request->method == KV_METHOD_PATCH ? KV_COMMAND_UPDATE : KV_COMMAND_SET;
}

static bool refuse(struct kv_exchange *exchange, const struct kv_request *request)
{
    struct kv_slice key;
    if (!read_key(exchange, request, &key))
        return true;
    struct kv_command *command = kv_command_create(exchange->here->keyspace_loop, kind_of(request));
    command->key = key;
    command->order = &exchange->client->order; /* for the log */
    command->status =
        kv_admission_judge(exchange->here->access, exchange->client->principal, command);
    kv_admission_leave(command);
    bool is_refused = command->status != KV_OK;
    if (is_refused) {
        struct kv_answer answer = kv_answer_of(command);
        kv_exchange_answer(exchange, &answer);
    }
    kv_command_free(command);
    return is_refused;
}

const struct kv_resource kv_resource_storage = {
    .path = {KV_STORAGE_PATH, sizeof(KV_STORAGE_PATH) - 1},
    .is_prefix = true,
    .methods = KV_METHODS_READING | KV_METHODS_WRITING,
    .serve = serve,
    .refuse = refuse,
};
