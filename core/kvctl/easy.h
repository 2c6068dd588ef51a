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

/* Measures how long nothing has been received or sent. Private, except for is_over. */
struct kv_ctl_silence {
    CURL *easy;
    int64_t longest_ms;
    int64_t since_ms; /* 0: no request has been sent yet */
    int64_t n_bytes;
    bool is_over; /* it has ended the transfer, with CURLE_ABORTED_BY_CALLBACK */
};

/* Ends a transfer, up to a second late, once nothing has been received or sent for longest_ms since
 * its request began. silence: lent until the handle is reset or freed. Returns: false if libcurl
 * cannot do that. */
bool kv_ctl_easy_limit_silence(CURL *easy, struct kv_ctl_silence *silence, int64_t longest_ms);

#endif
