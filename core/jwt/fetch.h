/*
 * One document over https, on a thread that may wait for it.
 */
#ifndef KV_JWT_FETCH_H
#define KV_JWT_FETCH_H

#include <stdatomic.h>

#include "base/buffer.h"

enum {
    KV_JWT_FETCH_MS = 10000, /* for all of it */
    KV_JWT_CONNECT_MS = 5000
};

struct kv_jwt_fetch {
    const char *url;
    const char *ca_file;          /* NULL: those that the system trusts */
    size_t most;                  /* bytes */
    const atomic_bool *is_ending; /* set: give up within a tenth of a second */
};

/* Appends what the URL answers with 200. The server's certificate is verified, and redirects (three
 * at most) stay on https. Errors: -1, also where the document is longer than `most`. */
int kv_jwt_fetch(const struct kv_jwt_fetch *fetch, struct kv_buffer *out, struct kv_error *reterr);

#endif
