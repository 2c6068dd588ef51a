/* The interface by which a tree and its nodes get keys, and positions among them. */
#ifndef KV_MEMORY_KEYS_H
#define KV_MEMORY_KEYS_H

#include <kvserver/types.h>

/* The key of a reference in the tree; valid until the next change of the tree. */
typedef struct kv_slice (*tree_key_fn)(const void *context, uint64_t ref);

struct tree_keys {
    tree_key_fn of;
    const void *context;
};

/* The position of a reader: at any bytes, or after them. They need not be a key. */
struct tree_position {
    struct kv_slice key;
    bool is_behind;
};

#endif
