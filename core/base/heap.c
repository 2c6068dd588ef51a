/* Sifts up or down from one index; a node's `place` is its index plus 1. */
#include "base/heap.h"

#include <stdlib.h>

#include "base/mem.h"

static void set(struct kv_heap *heap, size_t index, struct kv_heap_node *node)
{
    heap->nodes[index] = node;
    node->place = index + 1;
}

static size_t sift_up(struct kv_heap *heap, size_t index, struct kv_heap_node *node)
{
    while (index > 0) {
        size_t parent = (index - 1) / 2;
        if (heap->nodes[parent]->at <= node->at)
            break;
        set(heap, index, heap->nodes[parent]);
        index = parent;
    }
    return index;
}

static size_t sift_down(struct kv_heap *heap, size_t index, struct kv_heap_node *node)
{
    for (;;) {
        size_t child = 2 * index + 1;
        if (child >= heap->n)
            return index;
        if (child + 1 < heap->n && heap->nodes[child + 1]->at < heap->nodes[child]->at)
            child++;
        if (node->at <= heap->nodes[child]->at)
            return index;
        set(heap, index, heap->nodes[child]);
        index = child;
    }
}

static void settle(struct kv_heap *heap, size_t index, struct kv_heap_node *node)
{
    set(heap, sift_down(heap, sift_up(heap, index, node), node), node);
}

void kv_heap_fini(struct kv_heap *heap)
{
    free(heap->nodes);
    *heap = (struct kv_heap){0};
}

void kv_heap_put(struct kv_heap *heap, struct kv_heap_node *node, int64_t at)
{
    node->at = at;
    if (node->place == 0) {
        if (heap->n == heap->capacity) {
            heap->capacity = heap->capacity == 0 ? 16 : heap->capacity * 2;
            heap->nodes = kv_realloc(heap->nodes, heap->capacity * sizeof(struct kv_heap_node *));
        }
        set(heap, heap->n++, node);
    }
    settle(heap, node->place - 1, node);
}

void kv_heap_remove(struct kv_heap *heap, struct kv_heap_node *node)
{
    if (node->place == 0)
        return;
    size_t index = node->place - 1;
    struct kv_heap_node *last = heap->nodes[--heap->n];
    if (last != node)
        settle(heap, index, last);
    node->place = 0;
}
