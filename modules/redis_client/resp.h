/*
 * A parser for RESP3, and for its common part with RESP2: the protocol of Redis and Valkey. (The
 * reader of hiredis 0.14 supports RESP2 only.)
 *
 * A scanner finds the end of a message in the input so far, and continues from there when more has
 * arrived. It copies and allocates nothing, and nested values need no stack. A complete message is
 * then read value by value, in place.
 */
#ifndef KV_REDIS_CLIENT_RESP_H
#define KV_REDIS_CLIENT_RESP_H

#include <kvserver/types.h>

/* The type of a value. */
enum resp_type {
    RESP_STRING = '$', /* with a length, or VERBATIM without its format: `text` */
    RESP_SIMPLE = '+', /* the same, on one line */
    RESP_ERROR = '-',  /* the same, and a failure; with a length (`!`) as well */
    RESP_INTEGER = ':',
    RESP_BOOLEAN = '#', /* `number`: 0 or 1 */
    RESP_NULL = '_',    /* those of RESP2 as well */
    RESP_DOUBLE = ',',  /* `text`: the digits */
    RESP_BIG = '(',     /* an integer of any length; the same */
    RESP_ARRAY = '*',   /* `number` values follow, which may be aggregates themselves */
    RESP_SET = '~',
    RESP_PUSH = '>',      /* a message that answers no command */
    RESP_MAP = '%',       /* `number` values follow: keys and values alternate */
    RESP_ATTRIBUTE = '|', /* the same, before the value that they describe */
};

struct resp_value {
    enum resp_type type;
    int64_t number;
    struct kv_slice text; /* in the message */
};

/* Plain data. */
struct resp_scanner {
    size_t max_bytes; /* of a message */
    size_t at;        /* bytes of the message that have been scanned */
    uint64_t left;    /* values that must follow */
};

/* A message follows. */
void resp_scanner_begin(struct resp_scanner *scanner, size_t max_bytes);

/* bytes: the received part of the message, possibly with parts of later ones. Returns: 1 if the
 * message is complete: it has `at` bytes; 0 if more is needed; -1 if it is malformed or too long:
 * the connection must be closed. */
int resp_scan(struct resp_scanner *scanner, struct kv_slice bytes);

/* Whether a complete message is an error. */
bool resp_is_error(struct kv_slice message);

/* The decimal number at the start of a text; 0 if there is none, INT64_MAX if it is larger. */
int64_t resp_read_digits(struct kv_slice text);

/* Takes the next value of a complete message. Returns: false if there is none. */
bool resp_next(struct kv_slice *message, struct resp_value *ret);

#endif
