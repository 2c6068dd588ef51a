/*
 * Events: the binary form in which library.lua logs a change and publishes it to all KvServers.
 *
 *   >B op, B flags, I8 prev, I8 revision, I8 deadline, I8 revision before, I8 deadline before,
 *   16 bytes of token, I4 length of the key, I4 length of the value, I4 length of the value before,
 *   key, value, value before
 *
 * A long value is left out, but its length is there. Several changes of one step are as many
 * events, one after the other.
 */
#ifndef KV_STORE_REDIS_EVENT_H
#define KV_STORE_REDIS_EVENT_H

#include <kvserver/store.h>

enum event_op {
    EVENT_SET = 1,
    EVENT_DELETE = 2,
    EVENT_EXPIRE = 3,
    EVENT_DEADLINE = 9, /* a deadline was set: no change, and not in the log. The revision is that
                           of the state; 0: an older library does not tell it */
};

enum {
    EVENT_LEAST_LONG = 65537, /* the shortest value that is left out */
    TOKEN_SIZE = 16,
    RECORD_HEAD = 16, /* bytes of a record before its value: `>I8I8` revision, deadline */
};

/* Later deadlines become this one. It leaves room for the longest TTL, 2^53-1 ms; scripts round
 * deadlines that are so late to even numbers. */
#define EVENT_LAST_DEADLINE ((int64_t)1 << 54)

/* The cause: the number of a KvServer, and that of its command: from the top, 16 bits of its mark,
 * 24 of the node of a Redis Cluster that it was sent to, and 24 that count the commands. Without a
 * cluster, and from servers that name no node, all 48 bits below the mark count. */
struct token {
    uint64_t origin; /* 0: nobody */
    uint64_t number;
};

enum {
    TOKEN_MARK_AT = 48, /* bits of a token's number below the mark */
    TOKEN_NODE_AT = 24,
    TOKEN_NODE = 1 << 23, /* set in the number of each node: no count gets that far */
};

/* node: as in struct kv_store. */
uint64_t event_token_number(uint16_t mark, uint32_t node, uint64_t count);
/* Returns: the node that a token's number names; 0: none. */
uint32_t event_token_node(uint64_t number);

/* A state of the key. */
struct event_state {
    uint64_t revision; /* 0: not there */
    int64_t deadline;  /* of Redis's clock; 0: none */
    struct kv_slice value;
    bool is_left_out; /* the value, for being long */
};

/* Slices are in the bytes that it was read from. */
struct event {
    enum event_op op;
    uint64_t prev; /* the revision of the change before it */
    uint64_t revision;
    int64_t deadline; /* EVENT_DEADLINE; 0: none any more */
    struct token token;
    struct kv_slice key;
    struct event_state before;
    struct event_state after;
};

/* Takes the next event off the bytes of a push or of an entry of the log.
 * Returns: 1; 0 if there is none; -1 if it is not an event of format 1, or its numbers cannot be
 * right. */
int event_next(struct kv_slice *bytes, struct event *ret);

/* Parses a record. Returns: false if it is not one, or its numbers cannot be right. */
bool event_read_record(struct kv_slice record, struct event_state *ret);

uint64_t event_read_number(const char bytes[8]);
void event_write_number(char bytes[8], uint64_t number);

#endif
