/*
 * Answers of Redis: in any pieces, the same bytes end at the same place, and a complete message has
 * exactly the number of values that its aggregates announce, each within the message.
 *
 * The first byte of an input is the length of the pieces; the rest is the answer.
 */
#include "fuzz.h"
#include "resp.h"

enum {
    MOST = 5000
};

static int scan(struct kv_slice bytes, size_t piece, size_t *ret_len)
{
    struct resp_scanner scanner;
    int got = 0;
    resp_scanner_begin(&scanner, MOST);
    for (size_t len = 0; got == 0 && len < bytes.len;) {
        len = bytes.len - len < piece ? bytes.len : len + piece;
        got = resp_scan(&scanner, (struct kv_slice){bytes.bytes, len});
        assert(scanner.at <= len && scanner.at <= MOST);
    }
    *ret_len = scanner.at;
    return got;
}

static uint64_t followers(const struct resp_value *value)
{
    switch (value->type) {
    case RESP_ARRAY:
    case RESP_SET:
    case RESP_PUSH:
    case RESP_MAP:
        return (uint64_t)value->number;
    case RESP_ATTRIBUTE:
        return (uint64_t)value->number + 1;
    default:
        return 0;
    }
}

static void read_all(struct kv_slice message)
{
    const char *begin = message.bytes, *end = message.bytes + message.len;
    struct resp_value value;
    uint64_t left = 1;
    for (; resp_next(&message, &value); left += followers(&value)) {
        assert(left > 0);
        left--;
        assert(value.text.len == 0 ||
               (value.text.bytes >= begin && value.text.bytes + value.text.len <= end));
    }
    assert(left == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    if (len == 0)
        return 0;
    struct kv_slice sent = fuzz_slice(bytes + 1, len - 1);
    size_t whole_len, pieces_len;
    int got = scan(sent, sent.len, &whole_len);
    assert(scan(sent, 1 + bytes[0], &pieces_len) == got);
    assert(pieces_len == whole_len);
    if (got == 1)
        read_all((struct kv_slice){sent.bytes, whole_len});
    return 0;
}
