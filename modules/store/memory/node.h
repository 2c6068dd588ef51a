/* The common part of the two kinds of nodes of a tree. */
#ifndef KV_MEMORY_NODE_H
#define KV_MEMORY_NODE_H

#include <kvserver/types.h>

enum {
    LEAF_MOST = 32,  /* keys of a leaf */
    INNER_MOST = 64, /* separators of an inner node */
};

struct node {
    bool is_leaf;
    uint16_t n;        /* keys, or separators */
    uint16_t capacity; /* of a leaf */
    uint32_t skip;     /* length of the common prefix of all keys, which words leave out */
};

#endif
