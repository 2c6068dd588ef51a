/*
 * Dates of HTTP (RFC 9110, section 5.6.7), in seconds since 1970.
 */
#ifndef KV_WIRE_HTTP_DATE_H
#define KV_WIRE_HTTP_DATE_H

#include <kvserver/types.h>

enum {
    KV_HTTP_DATE_LEN = 29
};

/* `Sun, 06 Nov 1994 08:49:37 GMT`; at: room for KV_HTTP_DATE_LEN and a NUL. */
void kv_http_date_write(char *at, int64_t seconds);

/* Reads a date in any of the three formats. Returns: false if it is no date. */
bool kv_http_date_read(struct kv_slice text, int64_t *ret_seconds);

#endif
