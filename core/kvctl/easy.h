/*
 * libcurl, set up for a server.
 */
#ifndef KV_KVCTL_EASY_H
#define KV_KVCTL_EASY_H

#include <curl/curl.h>

#include "kvctl/target.h"

/* What every request to the server has: its address, TLS with the certificate verified, HTTP/1.1,
 * no redirects, time limits, the token. easy: fresh, or reset. target: lent. ret_headers: to be
 * freed by curl_slist_free_all() when the handle is reset or freed; further ones are given as
 * NULL-terminated lines. Returns: false where libcurl cannot do that. */
bool kv_ctl_easy_set_up(CURL *easy, const struct kv_ctl_target *target,
                        const char *const *more_headers, struct curl_slist **ret_headers);

#endif
