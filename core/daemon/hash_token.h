/*
 * `--hash-token`: what the configuration has of a token.
 */
#ifndef KV_DAEMON_HASH_TOKEN_H
#define KV_DAEMON_HASH_TOKEN_H

#include <kvserver/types.h>

/* Reads a token from the standard input, a line, and prints its digest as the configuration has it.
 * On a terminal it asks for the token, which is not shown. Returns: 0, or -1 and *reterr. */
int kv_hash_token_run(struct kv_error *reterr);

#endif
