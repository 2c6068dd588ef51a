/*
 * A key with its value, revision and time to live, as printed by verbs. As JSON:
 *
 *     {"key":"greeting","value":"hello","revision":1795464866373480,"ttl":60000}
 */
#ifndef KV_KVCTL_STATE_H
#define KV_KVCTL_STATE_H

#include "kvctl/verb.h"

struct kv_ctl_state {
    struct kv_slice key;   /* UTF-8 */
    struct kv_slice value; /* JSON text; bytes NULL: unknown */
    uint64_t revision;     /* 0: unknown */
    int64_t ttl_ms;        /* -1: none */
};

/* Prints it as -o json or -o jsonl require; in JSON without a line end. */
void kv_ctl_put_state(const struct kv_ctl_call *call, const struct kv_ctl_state *state);

/* Prints only a value: as text, JSON and a line feed; as raw, its bytes; those of a string without
 * quotes and escapes. Returns: 0, or -1 if it is a string with half a surrogate pair, which has no
 * bytes. */
int kv_ctl_put_value(const struct kv_ctl_call *call, struct kv_slice value);

/* Prints a list of states: an array as JSON, one line each as JSON lines. All zero to begin
 * with. */
struct kv_ctl_list {
    size_t n;
};
void kv_ctl_list_begin(const struct kv_ctl_call *call);
void kv_ctl_list_next(const struct kv_ctl_call *call, struct kv_ctl_list *list); /* before each */
void kv_ctl_list_end(const struct kv_ctl_call *call, const struct kv_ctl_list *list);

#endif
