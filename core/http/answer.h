/*
 * What a command on /storage/ is answered, whoever writes it down: libh2o's way (reply.c) or the
 * front's (front.c).
 */
#ifndef KV_HTTP_ANSWER_H
#define KV_HTTP_ANSWER_H

#include "base/buffer.h"
#include "keyspace/keyspace.h"

struct kv_http_answer {
    int status;
    bool may_retry;      /* `Retry-After` */
    uint64_t revision;   /* `ETag`; 0: none */
    int64_t ttl_left_ms; /* `KV-TTL`; 0: none */
    const char *error;   /* the body is {"error":…}; NULL: it is none */
    struct kv_item item; /* the body is {"value":…}; revision 0: it is none. Owned */
};

/* The answer to a finished GET, SET or DELETE. It takes the item over; an error's text lives as
 * long as the command. */
struct kv_http_answer kv_http_answer_to(struct kv_command *command);

/* The answer where a condition failed that the keyspace does not know (If-Match of a GET). */
struct kv_http_answer kv_http_answer_condition_failed(void);

/* As a status line has it: the number, a space, the reason. */
struct kv_slice kv_http_status_text(int status);

/* Whether a response with this status, to whatever request, says how long its body is. */
static inline bool kv_http_has_length(int status)
{
    return status != 204 && status != 304;
}

#define KV_HTTP_VALUE_HEAD KV_SLICE("{\"value\":")
#define KV_HTTP_VALUE_TAIL KV_SLICE("}")

enum {
    KV_HTTP_LARGEST_COPY = 16384 /* longer values are sent from the store's memory */
};

/* `{"error":"<text>"}`. The text is UTF-8. */
void kv_http_append_error(struct kv_buffer *out, struct kv_slice text);

#endif
