/*
 * An answer of a resource, independent of the carrier that sends it.
 */
#ifndef KV_HTTP_ANSWER_H
#define KV_HTTP_ANSWER_H

#include "http/source.h"
#include "keyspace/keyspace.h"

enum kv_content {
    KV_CONTENT_NONE,
    KV_CONTENT_VALUE,       /* {"value":…} with the item's value */
    KV_CONTENT_JSON,        /* `text` */
    KV_CONTENT_PLAIN,       /* `text` */
    KV_CONTENT_FILE,        /* `file` describes it */
    KV_CONTENT_METRICS,     /* `text`, in the format of Prometheus */
    KV_CONTENT_OPENMETRICS, /* `text`, in the format of OpenMetrics */
    KV_CONTENT_LINES,       /* JSON, one value per line, sent as the lines become available */
    KV_CONTENT_EVENTS,      /* Server-Sent Events, sent as they happen */
};

/* The credentials that the client should send, by `WWW-Authenticate`. */
enum kv_challenge {
    KV_CHALLENGE_NONE,
    KV_CHALLENGE_TOKEN,     /* a token */
    KV_CHALLENGE_BAD_TOKEN, /* another one */
};

/* Headers about a file. */
struct kv_file_head {
    struct kv_slice type;
    struct kv_slice etag;     /* with its quotes */
    struct kv_slice encoding; /* `Content-Encoding`; empty: none */
    struct kv_slice lines;    /* more headers, each with its CRLF: at most KV_LONGEST_FILE_LINES */
    bool is_negotiated;       /* the answer depends on the request's `Accept-Encoding` */
    int64_t modified_s;       /* `Last-Modified`, since 1970; 0: none */
};

/* Plain data, except the item. */
struct kv_answer {
    int status;
    enum kv_content content;
    enum kv_challenge challenge;
    bool is_last;                    /* the connection is closed after it */
    uint32_t retry_after_s;          /* `Retry-After`; 0: none */
    bool demands_websocket;          /* `Upgrade` */
    bool takes_credentials;          /* CORS: pages may send cookies; set by the carrier */
    bool is_preflight;               /* CORS: lists the methods and headers that pages may send */
    bool is_of_now;                  /* `Cache-Control: no-cache` */
    uint32_t methods;                /* `Allow`: a set of enum kv_method; 0: none */
    uint64_t revision;               /* `ETag`; 0: none */
    int64_t ttl_left_ms;             /* `KV-TTL`; 0: none */
    const struct kv_file_head *file; /* NULL: the answer is not about a file */
    struct kv_slice location;        /* `Location`: at most KV_LONGEST_LOCATION; empty: none */
    const char *error;               /* UTF-8; not NULL: the content is {"error":…} */
    struct kv_slice text;     /* file, location, error and text are lent until the answer is sent */
    struct kv_source *source; /* of the body, instead of `text`; NULL: none */
    struct kv_held *body;     /* a long text instead of `text`, taken over; NULL: none */
    struct kv_item item;      /* owned; revision 0: none */
    const struct kv_command *command; /* the command whose outcome this is, for the access log: lent
                                         until the answer is sent; NULL: none */
};

/* The answer to a finished GET, SET, DELETE or UPDATE; for an UPDATE with a result, without the
 * result. Takes over the command's item; an error's text lives as long as the command. */
struct kv_answer kv_answer_of(struct kv_command *command);

/* The answer to a command that failed with this status (enum kv_command_status). */
struct kv_answer kv_answer_of_failure(int command_status);

/* The number, a space, and the reason, as in a status line. */
struct kv_slice kv_status_text(int status);

/* Whether a response with this status, to any request, has a Content-Length. */
static inline bool kv_status_has_length(int status)
{
    return status != 204 && status != 304;
}

#define KV_VALUE_HEAD KV_SLICE("{\"value\":")
#define KV_VALUE_TAIL KV_SLICE("}")

enum {
    KV_ANSWER_LARGEST_COPY = 16384, /* longer values are sent from the store's memory */
    KV_LONGEST_ORIGIN = 512,
    KV_LONGEST_LOCATION = 1024,
    KV_LONGEST_FILE_LINES = 768,
    KV_ANSWER_LONGEST_HEADERS =
        1024 + KV_LONGEST_ORIGIN + KV_LONGEST_LOCATION + KV_LONGEST_FILE_LINES,
};

static inline size_t kv_answer_body_len(const struct kv_answer *answer)
{
    if (answer->content == KV_CONTENT_VALUE)
        return KV_VALUE_HEAD.len + answer->item.value.len + KV_VALUE_TAIL.len;
    if (answer->source != NULL)
        return (size_t)answer->source->len;
    return answer->body != NULL ? answer->body->bytes.len : answer->text.len;
}

/* Writes the header lines of an answer, each with its CRLF, except for those that the carrier
 * writes (Date, Connection, Content-Length).
 * at: room for KV_ANSWER_LONGEST_HEADERS; allowed_origin: pages of this origin may read the answer;
 * empty for none. Returns: the end of the lines. */
char *kv_answer_write_headers(char *at, const struct kv_answer *answer,
                              struct kv_slice allowed_origin);

#endif
