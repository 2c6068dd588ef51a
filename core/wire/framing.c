/* Faults have offsets into the bytes as the peer sent them; those of a chunked body count from the
 * end of the head. */
#include "wire/framing.h"

void kv_framing_init(struct kv_framing *framing, uint64_t max_body)
{
    *framing = (struct kv_framing){.max_body = max_body};
}

static int refuse(struct kv_framing *framing, int status, const char *what)
{
    framing->fault = (struct kv_http_fault){status, what, SIZE_MAX};
    return -1;
}

/* Checks what a complete head says about the body. Returns: 0, -1. */
static int judge_head(struct kv_framing *framing)
{
    const struct kv_request_head *head = &framing->head;
    uint64_t max_body = framing->max_body;
    bool has_body = head->framing != KV_FRAMED_BY_NOTHING;
    if (has_body && head->expects_other)
        return refuse(framing, 417, "the expectation is not known");
    if (head->body_len > max_body)
        return refuse(framing, 413, "the body is larger than this server takes");
    if (max_body > KV_REQUEST_HEAD_LONGEST_REWRITTEN)
        max_body = KV_REQUEST_HEAD_LONGEST_REWRITTEN;
    kv_chunked_init(&framing->chunked, max_body);
    framing->has_head = true;
    framing->len = head->len;
    return 0;
}

static int read_head(struct kv_framing *framing, char *bytes, size_t len)
{
    int got = kv_request_head_read(&framing->head, bytes, len);
    if (got < 0)
        framing->fault = framing->head.fault;
    return got == 1 ? judge_head(framing) : got;
}

static int read_fixed(struct kv_framing *framing, size_t len)
{
    size_t end = framing->head.len + (size_t)framing->head.body_len;
    framing->len = len < end ? len : end;
    return framing->len == end ? 1 : 0;
}

static int fail_in_chunks(struct kv_framing *framing)
{
    framing->fault = framing->chunked.fault;
    framing->fault.at += framing->head.len;
    return -1;
}

/* Moves the request up to the bytes that follow it, even if these are many. */
static void close_gap(struct kv_framing *framing, char *bytes, size_t gap)
{
    if (gap != 0)
        memmove(bytes + gap, bytes, framing->len);
    framing->n_dropped = gap;
}

/* Appends the data of the available chunks to the part of the request that is in plain form. */
static int read_chunks(struct kv_framing *framing, char *bytes, size_t *len)
{
    size_t n_read, n_written;
    char *at = bytes + framing->len;
    size_t n = *len - framing->len;
    int got = kv_chunked_read(&framing->chunked, at, at, n, &n_read, &n_written);
    framing->len += n_written;
    if (got < 0)
        return fail_in_chunks(framing);
    if (got == 0) {
        *len = framing->len;
        return 0;
    }
    kv_request_head_set_length(&framing->head, bytes, framing->chunked.n_data);
    close_gap(framing, bytes, n_read - n_written);
    return 1;
}

static int read_body(struct kv_framing *framing, char *bytes, size_t *len)
{
    if (framing->head.framing == KV_FRAMED_BY_CHUNKS)
        return read_chunks(framing, bytes, len);
    return read_fixed(framing, *len);
}

int kv_framing_read(struct kv_framing *framing, char *bytes, size_t *len)
{
    framing->n_dropped = 0;
    if (framing->fault.status != 0)
        return -1;
    if (framing->is_whole)
        return 1;
    if (!framing->has_head && read_head(framing, bytes, *len) < 0)
        return -1;
    int got = framing->has_head ? read_body(framing, bytes, len) : 0;
    framing->is_whole = got == 1;
    return got;
}
