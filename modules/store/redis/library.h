/*
 * The text of library.lua, for loading it into Redis.
 */
#ifndef KV_STORE_REDIS_LIBRARY_H
#define KV_STORE_REDIS_LIBRARY_H

#include <kvserver/types.h>

/* Equal to VERSION in library.lua. A newer library supports everything that this one does. */
#define LIBRARY_VERSION 5

struct kv_slice library_text(void);

#endif
