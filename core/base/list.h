/*
 * Intrusive lists. struct kv_list is a doubly linked ring with an anchor; struct kv_queue is a
 * singly linked first-in-first-out queue. Both link nodes inside the caller's structs and own
 * nothing.
 */
#ifndef KV_BASE_LIST_H
#define KV_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct kv_list {
    struct kv_list *next, *prev;
};

static inline void kv_list_init(struct kv_list *list)
{
    list->next = list->prev = list;
}

static inline bool kv_list_is_empty(const struct kv_list *list)
{
    return list->next == list;
}

/* Inserts before the anchor, that is, at the end. */
static inline void kv_list_append(struct kv_list *list, struct kv_list *node)
{
    node->prev = list->prev;
    node->next = list;
    list->prev->next = node;
    list->prev = node;
}

/* Leaves the node as an empty list, so that removing it again does no harm. */
static inline void kv_list_remove(struct kv_list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    kv_list_init(node);
}

/* The body may remove `node` (and only `node`). */
#define KV_LIST_EACH(list, node, after)                                                            \
    for (struct kv_list *node = (list)->next, *after = node->next; node != (list);                 \
         node = after, after = node->next)

struct kv_link {
    struct kv_link *next;
};

struct kv_queue {
    struct kv_link *head;
    struct kv_link **tail;
};

static inline void kv_queue_init(struct kv_queue *queue)
{
    queue->head = NULL;
    queue->tail = &queue->head;
}

static inline bool kv_queue_is_empty(const struct kv_queue *queue)
{
    return queue->head == NULL;
}

static inline void kv_queue_push_front(struct kv_queue *queue, struct kv_link *node)
{
    node->next = queue->head;
    if (queue->head == NULL)
        queue->tail = &node->next;
    queue->head = node;
}

static inline void kv_queue_push(struct kv_queue *queue, struct kv_link *node)
{
    node->next = NULL;
    *queue->tail = node;
    queue->tail = &node->next;
}

/* Returns: NULL if it is empty. */
static inline struct kv_link *kv_queue_pop(struct kv_queue *queue)
{
    struct kv_link *node = queue->head;
    if (node != NULL && (queue->head = node->next) == NULL)
        queue->tail = &queue->head;
    return node;
}

#endif
