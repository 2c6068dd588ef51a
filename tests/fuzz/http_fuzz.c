/*
 * HTTP requests through the real handler: for any input, the output is a sequence of complete
 * responses with statuses of the contract, and the connection leaves nothing behind.
 *
 * The first byte of an input determines the pieces in which the rest arrives.
 */
#include <stdlib.h>
#include <strings.h>

#include "served.h"

static const int statuses[] = {100, 101, 200, 202, 204, 304, 400, 403, 404, 405,
                               409, 412, 413, 414, 417, 426, 501, 503, 507};

static bool is_known(int status)
{
    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
        if (statuses[i] == status)
            return true;
    return false;
}

/* The end of the header block at the start of `text`. */
static size_t head_len(struct kv_slice text)
{
    const char *end = memmem(text.bytes, text.len, "\r\n\r\n", 4);
    assert(end != NULL);
    return (size_t)(end - text.bytes) + 4;
}

/* Responses to HEAD announce a body that is not sent: then the next response follows at once. */
static size_t body_len(struct kv_slice head, struct kv_slice rest)
{
    static const char name[] = "\ncontent-length: ";
    if (rest.len == 0 || kv_slice_has_prefix(rest, KV_SLICE("HTTP/1.1 ")))
        return 0;
    for (size_t i = 0; i + sizeof(name) < head.len; i++)
        if (strncasecmp(head.bytes + i, name, sizeof(name) - 1) == 0)
            return strtoull(head.bytes + i + sizeof(name) - 1, NULL, 10);
    return 0;
}

static void check_answers(struct kv_slice text)
{
    while (text.len > 0) {
        assert(kv_slice_has_prefix(text, KV_SLICE("HTTP/1.1 ")));
        int status = atoi(text.bytes + 9);
        assert(is_known(status));
        if (status == 101)
            return; /* frames follow: websocket_fuzz tests those */
        struct kv_slice head = {text.bytes, head_len(text)};
        if (memmem(head.bytes, head.len, "text/event-stream", 17) != NULL)
            return; /* events follow, to the end of the connection */
        struct kv_slice rest = {text.bytes + head.len, text.len - head.len};
        size_t len = body_len(head, rest);
        assert(len <= rest.len);
        text = (struct kv_slice){rest.bytes + len, rest.len - len};
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    if (len == 0)
        return 0;
    served_open(SERVED_BY_FAST_PATH);
    served_send(fuzz_slice(bytes + 1, len - 1), bytes[0]);
    check_answers(served_close());
    return 0;
}
