/*
 * A key with its value, revision and time to live, as verbs print it. As JSON:
 *
 *     {"key":"greeting","value":"hello","revision":1795464866373480,"ttl":60000}
 */
#ifndef KV_KVCTL_STATE_H
#define KV_KVCTL_STATE_H

#include "kvctl/verb.h"

struct kv_ctl_state {
    struct kv_slice key;   /* UTF-8 */
    struct kv_slice value; /* JSON text; bytes NULL: not known */
    uint64_t revision;     /* 0: not known */
    int64_t ttl_ms;        /* -1: none */
};

/* Prints it as -o json or -o jsonl say, without an end of the line in JSON. */
void kv_ctl_put_state(const struct kv_ctl_call *call, const struct kv_ctl_state *state);

/* Prints a value alone: as text, JSON and a line feed; as raw, its bytes, those of a string without
 * quotes and escapes. Returns: 0, or -1 where a string with half a surrogate pair has no bytes. */
int kv_ctl_put_value(const struct kv_ctl_call *call, struct kv_slice value);

/* Prints states one after the other: an array as JSON, a line for each as JSON lines. All zero to
 * begin with. */
struct kv_ctl_list {
    size_t n;
};
void kv_ctl_list_begin(const struct kv_ctl_call *call);
void kv_ctl_list_next(const struct kv_ctl_call *call, struct kv_ctl_list *list); /* before each */
void kv_ctl_list_end(const struct kv_ctl_call *call, const struct kv_ctl_list *list);

#endif
