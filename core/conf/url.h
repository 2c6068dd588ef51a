/*
 * The part of a URL that is secret.
 */
#ifndef KV_CONF_URL_H
#define KV_CONF_URL_H

#include <kvserver/types.h>

/* What stands before the `@`: `user:password` of `https://user:password@host/path`. Returns: empty
 * where nothing does. */
struct kv_slice kv_url_login(struct kv_slice url);

#endif
