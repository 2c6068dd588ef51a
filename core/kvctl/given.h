/*
 * Keys and values given on the command line.
 */
#ifndef KV_KVCTL_GIVEN_H
#define KV_KVCTL_GIVEN_H

#include "kvctl/verb.h"

/* The JSON text of a value, validated, and byte for byte as given (without surrounding white
 * space); with --string, the bytes as a JSON string.
 * Returns: 0, or -1 and *reterr. */
int kv_ctl_given_value(const struct kv_ctl_call *call, const char *argument, struct kv_buffer *out,
                       struct kv_error *reterr);

/* Replaces `out` with the key that an argument names: its bytes, or with --json-keys the decoded
 * JSON string. Returns: 0, or -1 and *reterr. */
int kv_ctl_given_key(const struct kv_ctl_call *call, const char *argument, struct kv_buffer *out,
                     struct kv_error *reterr);

#endif
