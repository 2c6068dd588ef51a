/*
 * The text of library.lua, for loading it into Redis.
 */
#ifndef KV_STORE_REDIS_LIBRARY_H
#define KV_STORE_REDIS_LIBRARY_H

#include <kvserver/types.h>

/* VERSION in library.lua. A newer library supports everything that this one does. */
extern const int64_t library_version;

struct kv_slice library_text(void);

#endif
