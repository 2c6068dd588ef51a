#include "event.h"

#include <endian.h>

enum {
    AT_FLAGS = 1,
    AT_PREV = 2,
    AT_REVISION = 10,
    AT_DEADLINE = 18,
    AT_BEFORE = 26,
    AT_DEADLINE_BEFORE = 34,
    AT_TOKEN = 42,
    AT_KEY_LEN = 58,
    AT_VALUE_LEN = 62,
    AT_BEFORE_LEN = 66,
    HEAD = 70,
    FLAG_VALUE_LEFT_OUT = 1,
    FLAG_BEFORE_LEFT_OUT = 2,
};

uint64_t event_read_number(const char bytes[8])
{
    uint64_t number;
    memcpy(&number, bytes, sizeof(number));
    return be64toh(number);
}

void event_write_number(char bytes[8], uint64_t number)
{
    number = htobe64(number);
    memcpy(bytes, &number, sizeof(number));
}

uint64_t event_token_number(uint16_t mark, uint32_t node, uint64_t count)
{
    uint64_t most =
        node != 0 ? UINT64_C(1) << TOKEN_NODE_AT : (uint64_t)TOKEN_NODE << TOKEN_NODE_AT;
    return (uint64_t)mark << TOKEN_MARK_AT | (uint64_t)node << TOKEN_NODE_AT | count % most;
}

uint32_t event_token_node(uint64_t number)
{
    uint32_t node = number >> TOKEN_NODE_AT & (2 * TOKEN_NODE - 1);
    return (node & TOKEN_NODE) != 0 ? node : 0;
}

static uint32_t read_length(const char *bytes)
{
    uint32_t number;
    memcpy(&number, bytes, sizeof(number));
    return be32toh(number);
}

static bool take(struct kv_slice *bytes, size_t n, struct kv_slice *ret)
{
    if (bytes->len < n)
        return false;
    *ret = (struct kv_slice){bytes->bytes, n};
    *bytes = (struct kv_slice){bytes->bytes + n, bytes->len - n};
    return true;
}

static bool take_value(struct kv_slice *bytes, uint32_t len, bool is_left_out,
                       struct event_state *ret)
{
    ret->is_left_out = is_left_out;
    return take(bytes, is_left_out ? 0 : len, &ret->value);
}

static bool is_op(char op)
{
    return op == EVENT_SET || op == EVENT_DELETE || op == EVENT_EXPIRE || op == EVENT_DEADLINE;
}

static void read_head(const char *head, struct event *ret)
{
    *ret = (struct event){
        .op = (enum event_op)head[0],
        .prev = event_read_number(head + AT_PREV),
        .revision = event_read_number(head + AT_REVISION),
        .deadline = (int64_t)event_read_number(head + AT_DEADLINE),
        .token = {event_read_number(head + AT_TOKEN), event_read_number(head + AT_TOKEN + 8)},
        .before = {.revision = event_read_number(head + AT_BEFORE),
                   .deadline = (int64_t)event_read_number(head + AT_DEADLINE_BEFORE)},
    };
    if (ret->op == EVENT_SET)
        ret->after = (struct event_state){.revision = ret->revision, .deadline = ret->deadline};
}

static bool is_deadline(int64_t deadline)
{
    return deadline >= 0 && deadline <= EVENT_LAST_DEADLINE;
}

/* Each change has a larger revision than those before it. */
static bool are_numbers_right(const struct event *event)
{
    bool is_change = event->op != EVENT_DEADLINE;
    bool is_in_order = event->revision > event->prev && event->revision > event->before.revision;
    return event->revision <= KV_REVISION_MAX && is_deadline(event->deadline) &&
           is_deadline(event->before.deadline) && (!is_change || is_in_order);
}

int event_next(struct kv_slice *bytes, struct event *ret)
{
    struct kv_slice head;
    if (bytes->len == 0)
        return 0;
    if (!take(bytes, HEAD, &head) || !is_op(head.bytes[0]))
        return -1;
    read_head(head.bytes, ret);
    if (!are_numbers_right(ret))
        return -1;
    unsigned flags = (unsigned char)head.bytes[AT_FLAGS];
    bool is_whole = take(bytes, read_length(head.bytes + AT_KEY_LEN), &ret->key) &&
                    take_value(bytes, read_length(head.bytes + AT_VALUE_LEN),
                               (flags & FLAG_VALUE_LEFT_OUT) != 0, &ret->after) &&
                    take_value(bytes, read_length(head.bytes + AT_BEFORE_LEN),
                               (flags & FLAG_BEFORE_LEFT_OUT) != 0, &ret->before);
    return is_whole ? 1 : -1;
}

bool event_read_record(struct kv_slice record, struct event_state *ret)
{
    if (record.len < RECORD_HEAD)
        return false;
    *ret = (struct event_state){
        .revision = event_read_number(record.bytes),
        .deadline = (int64_t)event_read_number(record.bytes + 8),
        .value = {record.bytes + RECORD_HEAD, record.len - RECORD_HEAD},
    };
    return ret->revision > 0 && ret->revision <= KV_REVISION_MAX && is_deadline(ret->deadline);
}
