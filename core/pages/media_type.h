/*
 * The media type of a file, by its name's extension: browsers must not guess it (`nosniff`).
 */
#ifndef KV_PAGES_MEDIA_TYPE_H
#define KV_PAGES_MEDIA_TYPE_H

#include <kvserver/types.h>

/* For `Content-Type`; application/octet-stream if the extension is not known. Constant. */
struct kv_slice kv_media_type_of(struct kv_slice path);

#endif
