/*
 * One message of a client, as it comes over a WebSocket or in a batch: PROTOCOL A2 and B2.
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

/* Slices point into the text or the scratch buffer that kv_message_parse() was given, and live as
 * long as these. Members that the type has no use for are zero. */
struct kv_message {
    enum kv_message_type type;
    struct kv_slice id;    /* the JSON text of a string or a number; empty: none */
    struct kv_slice key;   /* UTF-8, decoded; HELLO and AUTH have none */
    struct kv_slice token; /* AUTH: as it stands between the quotes */
    struct kv_slice value; /* SET: the JSON text; MERGE: that of the patch */
    int64_t ttl_ms;        /* SET, TOUCH, INCREMENT: 0 is no expiry */
    bool has_ttl;          /* the client named a TTL, be it 0; TOUCH: always */
    bool if_absent;        /* SET */
    bool while_connected;  /* SET: it is a lease, with a TTL of at least KV_LEASE_LEAST_MS */
    bool is_prefix;        /* SUBSCRIBE, UNSUBSCRIBE: of all keys that begin with `key` */
    bool meta;             /* GET, SUBSCRIBE */
    bool initial;          /* SUBSCRIBE; `since` goes before it */
    bool has_since;        /* SUBSCRIBE: continue after this revision of this epoch: */
    uint64_t since;
    struct kv_slice epoch; /* the JSON text of a string */
    int64_t by;            /* INCREMENT: an integer (integer.h) */
    uint64_t if_revision;  /* SET, DELETE: 0 is no condition */
};

struct kv_message_limits {
    uint32_t max_depth;   /* of the whole message */
    size_t max_key_bytes; /* of the key, decoded, and of the id, as sent */
};

/* Reads one message. Members that are unknown, or of no use to the type, are ignored.
 * scratch: emptied first; holds the key where that has escapes, and so grows to a bounded size.
 * Returns: 0, or -1 and *reterr, which says what is wrong and where; ret->id is then the message's
 * id where it had a valid one, so that the error can bear it. */
int kv_message_parse(struct kv_slice text, const struct kv_message_limits *limits,
                     struct kv_buffer *scratch, struct kv_message *ret, struct kv_error *reterr);

#endif
