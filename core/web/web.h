/*
 * Files that the server gives out itself. They are plain files of this folder, and become part of
 * the program when it is built (embed.cmake).
 */
#ifndef KV_WEB_WEB_H
#define KV_WEB_WEB_H

#include <kvserver/types.h>

/* Constant. */
extern const struct kv_slice kv_web_openapi;  /* openapi.yaml: the description of HTTP */
extern const struct kv_slice kv_web_asyncapi; /* asyncapi.yaml: that of the WebSocket */

#endif
