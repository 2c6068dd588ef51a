/*
 * Keys and values as they are given on the command line.
 */
#ifndef KV_KVCTL_GIVEN_H
#define KV_KVCTL_GIVEN_H

#include "kvctl/verb.h"

/* The JSON text of a value, byte for byte as given (but for white space around it), checked; with
 * --string, the bytes as a JSON string.
 * Returns: 0, or -1 and *reterr. */
int kv_ctl_given_value(const struct kv_ctl_call *call, const char *argument, struct kv_buffer *out,
                       struct kv_error *reterr);

/* Replaces `out` by the key that an argument names: its bytes, or with --json-keys what the JSON
 * string stands for. Returns: 0, or -1 and *reterr. */
int kv_ctl_given_key(const struct kv_ctl_call *call, const char *argument, struct kv_buffer *out,
                     struct kv_error *reterr);

#endif
