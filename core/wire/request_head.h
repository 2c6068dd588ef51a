/*
 * The head of an HTTP/1 request: its request line and header lines (RFC 9112, sections 2 to 6),
 * read strictly wherever two readers could disagree on the resource, the host, or the end of the
 * body. As RFC 9112, section 2.2, allows, a line may end in LF alone, and one empty line may come
 * first.
 *
 * The head is read in place, line by line as it arrives, and is written to: values are moved to the
 * ends of their lines, so that no blanks follow them. Its parts are kept as offsets, as the bytes
 * may move while more of them arrive.
 */
#ifndef KV_WIRE_REQUEST_HEAD_H
#define KV_WIRE_REQUEST_HEAD_H

#include "wire/http_text.h"

enum {
    KV_REQUEST_HEAD_MOST_BYTES = 417792,
    KV_REQUEST_HEAD_MOST_HEADERS = 100
};

#define KV_REQUEST_HEAD_LONGEST_REWRITTEN UINT64_C(9999999999)

/* A part of the head: its offset, and its length. */
struct kv_head_part {
    size_t at;
    size_t len;
};

enum kv_request_framing {
    KV_FRAMED_BY_NOTHING, /* it has no body */
    KV_FRAMED_BY_LENGTH,
    KV_FRAMED_BY_CHUNKS,
};

struct kv_request_head {
    size_t len;     /* of the lines that have been read; of all lines once the head is complete */
    size_t scanned; /* no line ends between `len` and this offset */
    size_t n_headers;
    unsigned minor_version; /* of HTTP/1 */
    struct kv_head_part method;
    struct kv_head_part target;
    struct kv_head_part path; /* the target's path with its query; of a target in absolute form, the
                                 part after the authority, which may be empty */
    struct kv_head_part host; /* the target's authority, or else `Host` */
    enum kv_request_framing framing;
    uint64_t body_len;            /* by its Content-Length */
    struct kv_head_part encoding; /* the Transfer-Encoding line, from its name to its value */
    bool has_request_line;
    bool has_host;    /* there is a `Host` line */
    bool is_absolute; /* the target is in absolute form */
    bool says_close;  /* `Connection: close`, on any of its lines */
    bool says_keep_alive;
    bool expects_continue;
    bool expects_other;
    bool is_other_protocol; /* with a fault: it looks like TLS, or a PROXY header */
    struct kv_http_fault fault;
};

/* Continues reading. All zero: nothing has been read. bytes: the request from its first byte,
 * including everything that was there at the last call.
 * Returns: 1 if the head is complete, 0 if more is needed, -1 and `head->fault`. */
int kv_request_head_read(struct kv_request_head *head, char *bytes, size_t len);

/* Whether the connection stays open after the answer (RFC 9112, sections 6.1 and 9.3). */
bool kv_request_head_is_persistent(const struct kv_request_head *head);

/* Replaces the Transfer-Encoding of a complete head, whose body came in chunks, with a
 * Content-Length, for readers of the body without its chunks.
 * body_len: at most KV_REQUEST_HEAD_LONGEST_REWRITTEN. */
void kv_request_head_set_length(struct kv_request_head *head, char *bytes, uint64_t body_len);

static inline struct kv_slice kv_head_slice(const char *bytes, struct kv_head_part part)
{
    return (struct kv_slice){bytes + part.at, part.len};
}

#endif
