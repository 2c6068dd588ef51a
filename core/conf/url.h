/*
 * The part of a URL that is secret.
 */
#ifndef KV_CONF_URL_H
#define KV_CONF_URL_H

#include <kvserver/types.h>

/* The part before the `@`: `user:password` of `https://user:password@host/path`. Returns: empty if
 * there is none. */
struct kv_slice kv_url_login(struct kv_slice url);

#endif
