/*
 * Configures libcurl for a server.
 */
#ifndef KV_KVCTL_EASY_H
#define KV_KVCTL_EASY_H

#include <curl/curl.h>

#include "kvctl/target.h"

/* Sets the options that every request to the server needs: its address, TLS with a verified
 * certificate, HTTP/1.1, no redirects, time limits, the token. easy: new, or reset. target: lent.
 * more_headers: further header lines, NULL-terminated. ret_headers: free with curl_slist_free_all()
 * when the handle is reset or freed. Returns: false if libcurl cannot do that. */
bool kv_ctl_easy_set_up(CURL *easy, const struct kv_ctl_target *target,
                        const char *const *more_headers, struct curl_slist **ret_headers);

#endif
