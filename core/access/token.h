/*
 * Static tokens: the server knows only their SHA-256.
 */
#ifndef KV_ACCESS_TOKEN_H
#define KV_ACCESS_TOKEN_H

#include "base/buffer.h"

enum {
    KV_TOKEN_DIGEST = 32,    /* bytes */
    KV_LONGEST_TOKEN = 8192, /* bytes, of any kind of token */
    KV_SHORTEST_TOKEN = 16,  /* for --hash-token: shorter ones can be guessed */
};

void kv_token_digest(struct kv_slice token, unsigned char ret[KV_TOKEN_DIGEST]);

/* Reads 64 hexadecimal digits. Returns: false if the text is something else. */
bool kv_token_read_digest(struct kv_slice text, unsigned char ret[KV_TOKEN_DIGEST]);

void kv_token_print_digest(const unsigned char digest[KV_TOKEN_DIGEST],
                           char ret[2 * KV_TOKEN_DIGEST + 1]);

/* Whether two digests are equal. Takes equally long for any two. */
bool kv_token_digest_equals(const unsigned char a[KV_TOKEN_DIGEST],
                            const unsigned char b[KV_TOKEN_DIGEST]);

/* Whether it can be sent as it is: at most KV_LONGEST_TOKEN characters, all of `b64token` (RFC
 * 6750, section 2.1). */
bool kv_token_is_well_formed(struct kv_slice token);

#endif
