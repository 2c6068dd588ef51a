/*
 * library.lua, as it is loaded into Redis.
 */
#ifndef KV_STORE_REDIS_LIBRARY_H
#define KV_STORE_REDIS_LIBRARY_H

#include <kvserver/types.h>

/* As the library itself has it: one that is newer does whatever this one does. */
#define LIBRARY_VERSION 1

struct kv_slice library_text(void);

#endif
