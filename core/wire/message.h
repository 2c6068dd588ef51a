/*
 * A message of a client, from a WebSocket or in a batch: PROTOCOL A2 and B2.
 */
#ifndef KV_WIRE_MESSAGE_H
#define KV_WIRE_MESSAGE_H

#include "base/buffer.h"

enum kv_message_type {
    KV_MESSAGE_GET,
    KV_MESSAGE_SET,
    KV_MESSAGE_DELETE,
    KV_MESSAGE_SUBSCRIBE,
    KV_MESSAGE_UNSUBSCRIBE,
    KV_MESSAGE_TOUCH,
    KV_MESSAGE_INCREMENT,
    KV_MESSAGE_MERGE,
    KV_MESSAGE_HELLO,
    KV_MESSAGE_AUTH,
};

enum {
    KV_LEASE_LEAST_MS = 5000 /* the least TTL of a SET with `while_connected` */
};

/* Slices point into the text or the scratch buffer of kv_message_parse(), and live as long as
 * these. Members that do not apply to the type are zero. */
struct kv_message {
    enum kv_message_type type;
    struct kv_slice id;    /* the JSON text of a string or a number; empty: none */
    struct kv_slice key;   /* UTF-8, decoded; HELLO and AUTH have none */
    struct kv_slice token; /* AUTH: the part between the quotes */
    struct kv_slice value; /* SET: the JSON text; MERGE: that of the patch */
    int64_t ttl_ms;        /* SET, TOUCH, INCREMENT: 0 is no expiry */
    bool has_ttl;          /* the client gave a TTL, even if it is 0; TOUCH: always */
    bool if_absent;        /* SET */
    bool while_connected;  /* SET: it is a lease, with a TTL of at least KV_LEASE_LEAST_MS */
    bool is_prefix;        /* SUBSCRIBE, UNSUBSCRIBE: all keys that begin with `key` */
    bool meta;             /* GET, SUBSCRIBE */
    bool initial;          /* SUBSCRIBE; ignored if has_since */
    bool has_since;        /* SUBSCRIBE: continue after the revision `since` of `epoch` */
    uint64_t since;
    struct kv_slice epoch; /* the JSON text of a string */
    int64_t by;            /* INCREMENT: an integer (integer.h) */
    uint64_t if_revision;  /* SET, DELETE: 0 is no condition */
};

struct kv_message_limits {
    uint32_t max_depth;   /* of the whole message */
    size_t max_key_bytes; /* of the key, decoded, and of the id, as sent */
};

/* Reads one message. Ignores members that are unknown, or do not apply to the type.
 * scratch: emptied first; holds the key if that has escapes, and so grows to a bounded size.
 * Returns: 0, or -1 and *reterr, which describes the fault and its place; then ret->id is the
 * message's id if it has a valid one, so that the error can carry it. */
int kv_message_parse(struct kv_slice text, const struct kv_message_limits *limits,
                     struct kv_buffer *scratch, struct kv_message *ret, struct kv_error *reterr);

#endif
