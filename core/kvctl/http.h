/*
 * Sends requests to a server, one after the other over one connection.
 */
#ifndef KV_KVCTL_HTTP_H
#define KV_KVCTL_HTTP_H

#include "kvctl/target.h"

struct kv_ctl_http;

/* target: lent until it is closed. Returns: NULL if libcurl does not work. Owns: the caller, by
 * kv_ctl_http_close(), which accepts NULL. */
struct kv_ctl_http *kv_ctl_http_open(const struct kv_ctl_target *target);
void kv_ctl_http_close(struct kv_ctl_http *http);

const struct kv_ctl_target *kv_ctl_http_target(const struct kv_ctl_http *http);

/* Gets a part of the body of a 200, as it arrives. Returns: whether to continue. */
typedef bool (*kv_ctl_body_fn)(void *context, struct kv_slice part);

struct kv_ctl_request {
    const char *method;
    struct kv_slice path;       /* with its query, escaped */
    struct kv_slice body;       /* lent; bytes NULL: none */
    const char *const *headers; /* further lines, NULL-terminated; or NULL */
    kv_ctl_body_fn on_body;     /* NULL: the body is collected */
    void *context;
    int64_t least_silence_ms; /* the minimum timeout, even if the target's is shorter */
};

/* All zero to begin with; may be reused. Owns: the body, by kv_ctl_answer_fini(). */
struct kv_ctl_answer {
    int status;
    struct kv_buffer body;
    uint64_t revision;  /* ETag; 0: none */
    int64_t ttl_ms;     /* KV-TTL; -1: none */
    bool is_sent;       /* some part of the request was sent */
    bool is_file_wrong; /* no request could be sent: a certificate or key cannot be used */
};

enum kv_ctl_outcome {
    KV_CTL_ANSWERED,
    KV_CTL_UNANSWERED,  /* no connection, or it was lost: *reterr */
    KV_CTL_INTERRUPTED, /* by a signal that was caught (interrupt.h) */
    KV_CTL_STOPPED      /* on_body() has stopped it */
};

enum kv_ctl_outcome kv_ctl_http_ask(struct kv_ctl_http *http, const struct kv_ctl_request *request,
                                    struct kv_ctl_answer *ret, struct kv_error *reterr);

void kv_ctl_answer_fini(struct kv_ctl_answer *answer);

/* Appends the text percent-encoded, except for characters without a special meaning in URLs. */
void kv_ctl_append_escaped(struct kv_buffer *out, struct kv_slice text);

/* Appends `/storage/KEY`. */
void kv_ctl_append_key_path(struct kv_buffer *out, struct kv_slice key);

#endif
