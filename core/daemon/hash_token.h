/*
 * `--hash-token`: the entry for a token in the configuration.
 */
#ifndef KV_DAEMON_HASH_TOKEN_H
#define KV_DAEMON_HASH_TOKEN_H

#include <kvserver/types.h>

/* Reads a token, a line of standard input, and prints its digest for the configuration. On a
 * terminal it prompts for the token, which is not echoed. Returns: 0, or -1 and *reterr. */
int kv_hash_token_run(struct kv_error *reterr);

#endif
