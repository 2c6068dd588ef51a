/*
 * The lists of origins and hosts. They can change while the server runs, so each loop has copies.
 */
#ifndef KV_HTTP_LISTS_H
#define KV_HTTP_LISTS_H

#include "http/config.h"

/* Copies of the lists of origins and hosts, for one loop. */
struct kv_http_lists;

/* Owns: the caller, by kv_http_lists_free(), which accepts NULL. */
struct kv_http_lists *kv_http_lists_copy(const struct kv_http_config *config);
void kv_http_lists_free(struct kv_http_lists *lists);

/* Makes the configuration use these lists from now on. Lent. */
void kv_http_lists_use(const struct kv_http_lists *lists, struct kv_http_config *config);

#endif
