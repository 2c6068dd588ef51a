/* How a tree and its nodes ask for keys, and say where they are among them. */
#ifndef KV_MEMORY_KEYS_H
#define KV_MEMORY_KEYS_H

#include <kvserver/types.h>

/* The key of a reference that is in the tree; valid until the tree is changed next. */
typedef struct kv_slice (*tree_key_fn)(const void *context, uint64_t ref);

struct tree_keys {
    tree_key_fn of;
    const void *context;
};

/* Where a reader stands: at any bytes, or behind them. They need not be a key. */
struct tree_position {
    struct kv_slice key;
    bool is_behind;
};

#endif
