/* Converts outcomes of commands to statuses, bodies and headers of HTTP. */
#include "http/answer.h"

#include <assert.h>

#include "base/buffer.h"
#include "base/digits.h"
#include "http/request.h"
#include "protocol/outcome.h"
#include "wire/http_date.h"

static enum kv_challenge challenge_of(int outcome)
{
    if (outcome == KV_UNIDENTIFIED)
        return KV_CHALLENGE_TOKEN;
    return outcome == KV_EXPIRED ? KV_CHALLENGE_BAD_TOKEN : KV_CHALLENGE_NONE;
}

struct kv_answer kv_answer_of_failure(int command_status)
{
    int status = kv_outcome_status(command_status);
    return (struct kv_answer){
        .status = status,
        .challenge = challenge_of(command_status),
        .retry_after_s = status == 503,
        .error = kv_command_status_text(command_status),
    };
}

/* Rounded up. */
static uint32_t seconds_of(int64_t ms)
{
    return ms > (int64_t)UINT32_MAX * 1000 ? UINT32_MAX : (uint32_t)((ms + 999) / 1000);
}

static struct kv_answer answer_failure(const struct kv_command *command)
{
    struct kv_answer answer = kv_answer_of_failure(command->status);
    if (command->refusal != NULL)
        answer.error = command->refusal;
    answer.status = kv_outcome_status_of(command);
    if (command->retry_after_ms != 0)
        answer.retry_after_s = seconds_of(command->retry_after_ms);
    return answer;
}

static struct kv_answer answer_found(struct kv_command *command)
{
    struct kv_item item = kv_command_take_item(command);
    return (struct kv_answer){
        .status = 200,
        .content = KV_CONTENT_VALUE,
        .revision = item.revision,
        .ttl_left_ms = kv_keyspace_ttl_left_ms(kv_keyspace_of(command->home), item.deadline_ms),
        .item = item,
    };
}

struct kv_answer kv_answer_of(struct kv_command *command)
{
    bool is_done = command->status == KV_OK || command->status == KV_UNCHANGED;
    if (command->kind == KV_COMMAND_GET && is_done)
        return answer_found(command);
    if (command->kind == KV_COMMAND_GET && command->status == KV_MISSING)
        return (struct kv_answer){.status = 204};
    if (command->kind == KV_COMMAND_SET && is_done)
        return (struct kv_answer){.status = 202, .revision = command->revision};
    if (command->kind == KV_COMMAND_DELETE && (is_done || command->status == KV_MISSING))
        return (struct kv_answer){.status = 200};
    if (command->kind == KV_COMMAND_UPDATE && command->status == KV_MISSING)
        return (struct kv_answer){.status = 404, .error = kv_command_status_text(KV_MISSING)};
    if (command->kind == KV_COMMAND_UPDATE && is_done)
        return (struct kv_answer){.status = command->update->compute == NULL ? 202 : 200,
                                  .revision = command->revision};
    return answer_failure(command);
}

struct kv_slice kv_status_text(int status)
{
    switch (status) {
    case 200:
        return KV_SLICE("200 OK");
    case 202:
        return KV_SLICE("202 Accepted");
    case 204:
        return KV_SLICE("204 No Content");
    case 308:
        return KV_SLICE("308 Permanent Redirect");
    case 206:
        return KV_SLICE("206 Partial Content");
    case 304:
        return KV_SLICE("304 Not Modified");
    case 400:
        return KV_SLICE("400 Bad Request");
    case 401:
        return KV_SLICE("401 Unauthorized");
    case 403:
        return KV_SLICE("403 Forbidden");
    case 404:
        return KV_SLICE("404 Not Found");
    case 405:
        return KV_SLICE("405 Method Not Allowed");
    case 409:
        return KV_SLICE("409 Conflict");
    case 412:
        return KV_SLICE("412 Precondition Failed");
    case 413:
        return KV_SLICE("413 Content Too Large");
    case 414:
        return KV_SLICE("414 URI Too Long");
    case 416:
        return KV_SLICE("416 Range Not Satisfiable");
    case 417:
        return KV_SLICE("417 Expectation Failed");
    case 422:
        return KV_SLICE("422 Unprocessable Content");
    case 426:
        return KV_SLICE("426 Upgrade Required");
    case 429:
        return KV_SLICE("429 Too Many Requests");
    case 500:
        return KV_SLICE("500 Internal Server Error");
    case 503:
        return KV_SLICE("503 Service Unavailable");
    case 504:
        return KV_SLICE("504 Gateway Timeout");
    case 507:
        return KV_SLICE("507 Insufficient Storage");
    default:
        assert(!"a status that is not listed");
        return KV_SLICE("500 Error");
    }
}

/* Headers. */

static char *put_number(char *at, uint64_t number)
{
    return kv_put(at + kv_digits_write(at, number), KV_SLICE("\r\n"));
}

static char *put_date(char *at, int64_t seconds)
{
    char date[KV_HTTP_DATE_LEN + 1];
    kv_http_date_write(date, seconds);
    return kv_put(kv_put(kv_put(at, KV_SLICE("last-modified: ")), kv_slice_of(date)),
                  KV_SLICE("\r\n"));
}

static char *put_etag(char *at, uint64_t revision)
{
    at = kv_put(at, KV_SLICE("etag: \""));
    return kv_put(at + kv_digits_write(at, revision), KV_SLICE("\"\r\n"));
}

static char *put_origin(char *at, struct kv_slice allowed_origin, bool takes_credentials)
{
    at = kv_put(kv_put(at, KV_SLICE("access-control-allow-origin: ")), allowed_origin);
    if (takes_credentials)
        at = kv_put(at, KV_SLICE("\r\naccess-control-allow-credentials: true"));
    return kv_put(at, KV_SLICE("\r\naccess-control-expose-headers: ETag, KV-TTL\r\n"));
}

static char *put_methods(char *at, struct kv_slice name, uint32_t methods)
{
    struct kv_methods_text names = kv_methods_text(methods);
    return kv_put(kv_put(kv_put(at, name), kv_slice_of(names.text)), KV_SLICE("\r\n"));
}

static char *put_preflight(char *at, uint32_t methods)
{
    at = put_methods(at, KV_SLICE("access-control-allow-methods: "), methods);
    return kv_put(at,
                  KV_SLICE("access-control-allow-headers: Authorization, Content-Type, If-Match, "
                           "If-None-Match\r\n"
                           "access-control-max-age: 86400\r\n"));
}

static char *put_challenge(char *at, enum kv_challenge challenge)
{
    return challenge == KV_CHALLENGE_TOKEN
               ? kv_put(at, KV_SLICE("www-authenticate: Bearer\r\n"))
               : kv_put(at, KV_SLICE("www-authenticate: Bearer error=\"invalid_token\"\r\n"));
}

static char *put_line(char *at, struct kv_slice name, struct kv_slice value)
{
    return kv_put(kv_put(kv_put(at, name), value), KV_SLICE("\r\n"));
}

/* Browsers must use the declared type of a file, and not guess it. */
static char *put_file(char *at, const struct kv_file_head *file, bool has_body)
{
    assert(file->lines.len <= KV_LONGEST_FILE_LINES);
    at = put_line(at, KV_SLICE("etag: "), file->etag);
    if (file->lines.len != 0)
        at = kv_put(at, file->lines);
    at = kv_put(at, KV_SLICE("x-content-type-options: nosniff\r\n"));
    if (file->modified_s != 0)
        at = put_date(at, file->modified_s);
    if (file->encoding.len != 0 && has_body)
        at = put_line(at, KV_SLICE("content-encoding: "), file->encoding);
    return has_body ? put_line(at, KV_SLICE("content-type: "), file->type) : at;
}

/* The less frequent headers. */
static char *put_rare(char *at, const struct kv_answer *answer, struct kv_slice allowed_origin)
{
    if (allowed_origin.len != 0)
        at = put_origin(at, allowed_origin, answer->takes_credentials);
    if (answer->methods != 0)
        at = put_methods(at, KV_SLICE("allow: "), answer->methods);
    if (answer->is_preflight && allowed_origin.len != 0)
        at = put_preflight(at, answer->methods);
    if (answer->challenge != KV_CHALLENGE_NONE)
        at = put_challenge(at, answer->challenge);
    if (answer->demands_websocket)
        at = kv_put(at, KV_SLICE("upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"));
    if (answer->location.len != 0)
        at = put_line(at, KV_SLICE("location: "), answer->location);
    if (answer->retry_after_s != 0)
        at = put_number(kv_put(at, KV_SLICE("retry-after: ")), answer->retry_after_s);
    return at;
}

static char *put_content_type(char *at, enum kv_content content)
{
    switch (content) {
    case KV_CONTENT_NONE:
    case KV_CONTENT_FILE:
        return at;
    case KV_CONTENT_PLAIN:
        return kv_put(at, KV_SLICE("content-type: text/plain; charset=utf-8\r\n"));
    case KV_CONTENT_EVENTS:
        return kv_put(at, KV_SLICE("content-type: text/event-stream\r\ncache-control: no-store\r\n"
                                   "x-accel-buffering: no\r\n"));
    case KV_CONTENT_METRICS:
        return kv_put(at, KV_SLICE("content-type: text/plain; version=0.0.4; charset=utf-8\r\n"));
    case KV_CONTENT_OPENMETRICS:
        return kv_put(at, KV_SLICE("content-type: application/openmetrics-text; version=1.0.0; "
                                   "charset=utf-8\r\n"));
    case KV_CONTENT_LINES:
        return kv_put(at, KV_SLICE("content-type: application/x-ndjson\r\n"
                                   "cache-control: no-store\r\n"));
    default:
        return kv_put(at, KV_SLICE("content-type: application/json\r\n"));
    }
}

/* Every answer has `Vary`: a cache must not use one page's answer for another. */
char *kv_answer_write_headers(char *at, const struct kv_answer *answer,
                              struct kv_slice allowed_origin)
{
    assert(allowed_origin.len <= KV_LONGEST_ORIGIN);
    bool is_negotiated = answer->file != NULL && answer->file->is_negotiated;
    at = kv_put(at, is_negotiated ? KV_SLICE("vary: Origin, Accept-Encoding\r\n")
                                  : KV_SLICE("vary: Origin\r\n"));
    at = put_rare(at, answer, allowed_origin);
    if (answer->is_of_now)
        at = kv_put(at, KV_SLICE("cache-control: no-cache\r\n"));
    if (answer->revision != 0)
        at = put_etag(at, answer->revision);
    if (answer->ttl_left_ms != 0)
        at = put_number(kv_put(at, KV_SLICE("KV-TTL: ")), (uint64_t)answer->ttl_left_ms);
    if (answer->file != NULL)
        at = put_file(at, answer->file, answer->content == KV_CONTENT_FILE);
    return put_content_type(at, answer->content);
}
