/* Outcomes of commands, as HTTP has them. */
#include "http/answer.h"

#include <assert.h>

#include "wire/json.h"

static int status_of_failure(int outcome)
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

static struct kv_http_answer answer_failure(const struct kv_command *command)
{
    int status = status_of_failure(command->status);
    return (struct kv_http_answer){
        .status = status,
        .may_retry = status == 503,
        .error =
            command->refusal != NULL ? command->refusal : kv_command_status_text(command->status),
    };
}

static struct kv_http_answer answer_found(struct kv_command *command)
{
    struct kv_item item = kv_command_take_item(command);
    return (struct kv_http_answer){
        .status = 200,
        .revision = item.revision,
        .ttl_left_ms = kv_keyspace_ttl_left_ms(kv_keyspace_of(command->home), item.deadline_ms),
        .item = item,
    };
}

struct kv_http_answer kv_http_answer_to(struct kv_command *command)
{
    bool is_done = command->status == KV_OK || command->status == KV_UNCHANGED;
    if (command->kind == KV_COMMAND_GET && is_done)
        return answer_found(command);
    if (command->kind == KV_COMMAND_GET && command->status == KV_MISSING)
        return (struct kv_http_answer){.status = 204};
    if (command->kind == KV_COMMAND_SET && is_done)
        return (struct kv_http_answer){.status = 202, .revision = command->revision};
    if (command->kind == KV_COMMAND_DELETE && (is_done || command->status == KV_MISSING))
        return (struct kv_http_answer){.status = 200};
    return answer_failure(command);
}

struct kv_http_answer kv_http_answer_condition_failed(void)
{
    return (struct kv_http_answer){.status = 412, .error = kv_command_status_text(KV_CONDITION)};
}

struct kv_slice kv_http_status_text(int status)
{
    switch (status) {
    case 200:
        return KV_SLICE("200 OK");
    case 202:
        return KV_SLICE("202 Accepted");
    case 204:
        return KV_SLICE("204 No Content");
    case 304:
        return KV_SLICE("304 Not Modified");
    case 400:
        return KV_SLICE("400 Bad Request");
    case 403:
        return KV_SLICE("403 Forbidden");
    case 404:
        return KV_SLICE("404 Not Found");
    case 405:
        return KV_SLICE("405 Method Not Allowed");
    case 412:
        return KV_SLICE("412 Precondition Failed");
    case 413:
        return KV_SLICE("413 Content Too Large");
    case 414:
        return KV_SLICE("414 URI Too Long");
    case 426:
        return KV_SLICE("426 Upgrade Required");
    case 503:
        return KV_SLICE("503 Service Unavailable");
    case 507:
        return KV_SLICE("507 Insufficient Storage");
    default:
        assert(!"a status that is not listed");
        return KV_SLICE("500 Error");
    }
}

void kv_http_append_error(struct kv_buffer *out, struct kv_slice text)
{
    kv_buffer_append(out, KV_SLICE("{\"error\":"));
    kv_json_append_string(out, text);
    kv_buffer_append_char(out, '}');
}
