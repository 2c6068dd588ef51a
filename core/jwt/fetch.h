/*
 * Fetches a document over https, on a thread that may block.
 */
#ifndef KV_JWT_FETCH_H
#define KV_JWT_FETCH_H

#include <stdatomic.h>

#include "base/buffer.h"

enum {
    KV_JWT_FETCH_MS = 10000, /* for the whole transfer */
    KV_JWT_CONNECT_MS = 5000
};

struct kv_jwt_fetch {
    const char *url;
    const char *ca_file;          /* NULL: the certificate authorities that the system trusts */
    size_t most;                  /* bytes */
    const atomic_bool *is_ending; /* set: give up within a tenth of a second */
};

/* Appends the body of a response with status 200. The server's certificate is verified, and
 * redirects (three at most) must stay on https. Errors: -1, also if the document is longer than
 * `most`. */
int kv_jwt_fetch(const struct kv_jwt_fetch *fetch, struct kv_buffer *out, struct kv_error *reterr);

#endif
