#include "http/exchange.h"

#include <assert.h>
#include <stdlib.h>

#include "wire/json_string.h"

void kv_exchange_write_error(struct kv_exchange *exchange, struct kv_answer *answer)
{
    struct kv_buffer *out = &exchange->here->text;
    out->len = 0;
    kv_buffer_append(out, KV_SLICE("{\"error\":"));
    kv_json_append_string(out, kv_slice_of(answer->error));
    kv_buffer_append_char(out, '}');
    answer->text = kv_buffer_slice(out);
    answer->content = KV_CONTENT_JSON;
}

static void log_request(struct kv_exchange *exchange, const struct kv_answer *answer)
{
    int64_t began_ns = 0;
    const struct kv_request *request = exchange->carrier->asked(exchange, &began_ns);
    if (request == NULL)
        return;
    struct kv_methods_text method = kv_methods_text(request->method);
    const struct kv_logged_request logged = {
        .transport = "http",
        .method = request->method == KV_METHOD_OTHER ? NULL : method.text,
        .path = request->path,
        .status = answer->status,
        .bytes = kv_answer_body_len(answer),
        .began_ns = began_ns};
    kv_request_log_write(&logged, exchange->client);
}

void kv_exchange_log(struct kv_exchange *exchange, const struct kv_answer *answer)
{
    const struct kv_command *command = answer->command;
    if (command == NULL) {
        log_request(exchange, answer);
        return;
    }
    struct kv_logged_request logged = kv_logged_request_of("http", command);
    logged.status = answer->status;
    if (answer->content == KV_CONTENT_VALUE)
        logged.bytes = answer->item.value.len;
    else if (command->kind != KV_COMMAND_SET)
        logged.bytes = kv_answer_body_len(answer);
    kv_request_log_write(&logged, exchange->client);
}

static void free_text(void *owner, void *ref)
{
    (void)owner;
    free(ref);
}

/* Makes the text use no more memory than it needs. Takes it over. */
static struct kv_held hold(struct kv_buffer *text)
{
    char *bytes = realloc(text->bytes, text->len);
    if (bytes == NULL)
        bytes = text->bytes; /* it is unchanged */
    struct kv_held held = {.bytes = {bytes, text->len}, .ref = bytes, .release = free_text};
    *text = (struct kv_buffer){0};
    return held;
}

void kv_exchange_answer_with(struct kv_exchange *exchange, struct kv_answer answer,
                             struct kv_buffer *text)
{
    answer.content = KV_CONTENT_JSON;
    if (text->len <= KV_ANSWER_LARGEST_COPY) {
        answer.text = kv_buffer_slice(text);
        kv_exchange_answer(exchange, &answer);
        kv_buffer_fini(text);
        return;
    }
    struct kv_held body = hold(text);
    answer.body = &body;
    kv_exchange_answer(exchange, &answer);
    kv_held_release(&body);
}

void kv_exchange_answer_file(struct kv_exchange *exchange, struct kv_answer *answer)
{
    answer->is_of_now = true;
    answer->content =
        answer->status == 200 || answer->status == 206 ? KV_CONTENT_FILE : KV_CONTENT_NONE;
    if (answer->status == 412)
        answer->error = "the file has changed: it is not the one of the condition";
    kv_exchange_answer(exchange, answer);
    if (answer->body != NULL)
        kv_held_release(answer->body);
}

void kv_exchange_refuse(struct kv_exchange *exchange, struct kv_answer answer, const char *format,
                        ...)
{
    char error[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(error, sizeof(error), format, args);
    va_end(args);
    answer.error = error;
    kv_exchange_answer(exchange, &answer);
}

void kv_exchange_refuse_unready(struct kv_exchange *exchange)
{
    kv_exchange_refuse(exchange, (struct kv_answer){.status = 503, .retry_after_s = 1},
                       "the server is %s",
                       kv_http_is_draining(exchange->here) ? "shutting down" : "starting");
}

bool kv_exchange_begin_query(struct kv_exchange *exchange, const struct kv_query_form *form,
                             struct kv_slice text, struct kv_query *query)
{
    if (kv_query_begin(query, form, text, &exchange->here->decoded) == 0)
        return true;
    kv_exchange_refuse(exchange, (struct kv_answer){.status = 507},
                       "there is no memory to read the query");
    return false;
}

void kv_exchange_send(struct kv_exchange *exchange, struct kv_command *command,
                      kv_command_finished_fn finished)
{
    command->owner = exchange;
    command->finished = finished;
    kv_client_send(exchange->client, command);
}

void *kv_exchange_keep(struct kv_exchange *exchange, size_t size, void (*dispose)(void *memory))
{
    assert(exchange->carrier->keep != NULL && exchange->kept == NULL);
    exchange->kept = exchange->carrier->keep(exchange, size, dispose);
    memset(exchange->kept, 0, size);
    return exchange->kept;
}
