/*
 * Where requests end: in any pieces, the same bytes yield the same requests and the same fault; and
 * the rewritten form of a request is read as the same request, unchanged.
 *
 * The first byte of an input is the length of the pieces; the rest is the data of a connection.
 */
#include <stdlib.h>

#include "base/buffer.h"
#include "fuzz.h"
#include "wire/framing.h"

enum {
    LIMIT = 500
};

/* The available data, in a block of exactly its size, and the result: each request in plain form
 * with the properties of its head, then the fault. */
struct outcome {
    char *bytes;
    size_t len;
    struct kv_buffer log;
    bool is_over;
};

static void set_input(struct outcome *outcome, struct kv_slice kept, struct kv_slice added)
{
    char *bytes = malloc(kept.len + added.len);
    if (kept.len != 0)
        memcpy(bytes, kept.bytes, kept.len);
    if (added.len != 0)
        memcpy(bytes + kept.len, added.bytes, added.len);
    free(outcome->bytes);
    outcome->bytes = bytes;
    outcome->len = kept.len + added.len;
}

static void drop(struct outcome *outcome, size_t len)
{
    assert(len <= outcome->len);
    set_input(outcome, (struct kv_slice){outcome->bytes + len, outcome->len - len},
              (struct kv_slice){NULL, 0});
}

static bool is_within(struct kv_head_part part, size_t len)
{
    return part.at <= len && part.len <= len - part.at;
}

static void check(const struct kv_framing *framing, size_t len)
{
    const struct kv_request_head *head = &framing->head;
    assert(framing->len <= len);
    assert(head->len <= KV_REQUEST_HEAD_MOST_BYTES);
    assert(head->n_headers <= KV_REQUEST_HEAD_MOST_HEADERS);
    assert(is_within(head->method, head->len) && is_within(head->target, head->len));
    assert(is_within(head->path, head->len) && is_within(head->host, head->len));
    assert(head->body_len <= LIMIT && framing->len == head->len + head->body_len);
}

static void check_plain_form(const struct outcome *outcome, const struct kv_framing *framing)
{
    struct kv_framing again;
    size_t len = framing->len;
    char *copy = malloc(len);
    memcpy(copy, outcome->bytes, len);
    kv_framing_init(&again, LIMIT);
    assert(kv_framing_read(&again, copy, &len) == 1);
    assert(len == framing->len && again.len == framing->len);
    assert(again.head.body_len == framing->head.body_len);
    assert(again.head.host.at == framing->head.host.at);
    assert(again.head.path.at == framing->head.path.at);
    assert(memcmp(copy, outcome->bytes, len) == 0);
    free(copy);
}

static void note_request(struct outcome *outcome, struct kv_framing *framing)
{
    bool stays = kv_request_head_is_persistent(&framing->head);
    check(framing, outcome->len);
    check_plain_form(outcome, framing);
    kv_buffer_printf(&outcome->log, "%zu %d ", framing->len, stays);
    kv_buffer_append(&outcome->log, (struct kv_slice){outcome->bytes, framing->len});
    drop(outcome, framing->len);
    kv_framing_init(framing, LIMIT);
}

static void note_fault(struct outcome *outcome, const struct kv_http_fault *fault)
{
    assert(fault->status == 400 || fault->status == 413 || fault->status == 417);
    kv_buffer_printf(&outcome->log, "%d %s %zu", fault->status, fault->what, fault->at);
    outcome->is_over = true;
}

static void give(struct outcome *outcome, struct kv_framing *framing, struct kv_slice piece)
{
    int got = 1;
    set_input(outcome, (struct kv_slice){outcome->bytes, outcome->len}, piece);
    while (got == 1 && outcome->len != 0) {
        size_t before = outcome->len;
        got = kv_framing_read(framing, outcome->bytes, &outcome->len);
        assert(outcome->len <= before);
        if (got == 1) {
            drop(outcome, framing->n_dropped);
            note_request(outcome, framing);
        } else if (got < 0)
            note_fault(outcome, &framing->fault);
    }
}

static struct kv_buffer read_all(struct kv_slice bytes, size_t piece)
{
    struct outcome outcome = {0};
    struct kv_framing framing;
    kv_framing_init(&framing, LIMIT);
    while (bytes.len > 0 && !outcome.is_over) {
        size_t len = piece != 0 && piece < bytes.len ? piece : bytes.len;
        give(&outcome, &framing, (struct kv_slice){bytes.bytes, len});
        bytes = (struct kv_slice){bytes.bytes + len, bytes.len - len};
    }
    free(outcome.bytes);
    return outcome.log;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    if (len == 0)
        return 0;
    struct kv_slice sent = fuzz_slice(bytes + 1, len - 1);
    struct kv_buffer whole = read_all(sent, 0);
    struct kv_buffer pieces = read_all(sent, 1 + bytes[0]);
    struct kv_buffer single = read_all(sent, 1);
    assert(kv_slice_equals(kv_buffer_slice(&pieces), kv_buffer_slice(&single)));
    assert(kv_slice_equals(kv_buffer_slice(&pieces), kv_buffer_slice(&whole)));
    kv_buffer_fini(&whole);
    kv_buffer_fini(&pieces);
    kv_buffer_fini(&single);
    return 0;
}
