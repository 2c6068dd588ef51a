/*
 * What kind of file it is, by the end of its name: browsers do not guess (`nosniff`).
 */
#ifndef KV_PAGES_MEDIA_TYPE_H
#define KV_PAGES_MEDIA_TYPE_H

#include <kvserver/types.h>

/* As `Content-Type` has it; application/octet-stream where it is not known. Constant. */
struct kv_slice kv_media_type_of(struct kv_slice path);

#endif
