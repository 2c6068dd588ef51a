/*
 * An intrusive binary min-heap of deadlines, for timers: each node stores its index, so that it can
 * be moved or removed in O(log n).
 */
#ifndef KV_BASE_HEAP_H
#define KV_BASE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Embedded in the caller's struct; all zero is a node in no heap. */
struct kv_heap_node {
    int64_t at;
    size_t place; /* 1-based; 0: in no heap */
};

/* All zero is an empty heap. Owns its array, not the nodes. */
struct kv_heap {
    struct kv_heap_node **nodes;
    size_t n;
    size_t capacity;
};

void kv_heap_fini(struct kv_heap *heap);

/* Inserts the node with the time `at`, or moves it there. */
void kv_heap_put(struct kv_heap *heap, struct kv_heap_node *node, int64_t at);

/* Removes the node, if it is in the heap. */
void kv_heap_remove(struct kv_heap *heap, struct kv_heap_node *node);

/* The earliest node; NULL if the heap is empty. */
static inline struct kv_heap_node *kv_heap_first(const struct kv_heap *heap)
{
    return heap->n == 0 ? NULL : heap->nodes[0];
}

static inline bool kv_heap_node_is_in(const struct kv_heap_node *node)
{
    return node->place != 0;
}

#endif
