/*
 * The files that are built into the program: the client, the console, the descriptions.
 */
#ifndef KV_HTTP_WEB_FILES_H
#define KV_HTTP_WEB_FILES_H

#include "http/resource.h"

/* The resource of the file at a path. Returns: NULL for none. */
const struct kv_resource *kv_http_find_web_file(const struct kv_http_context *here,
                                                struct kv_slice path);

/* Whether the path belongs to the console, even if the console is disabled. */
bool kv_http_is_console(struct kv_slice path);

#endif
