/*
 * The events that wait for a sink, in order, bounded by number and bytes. Values and keys are not
 * copied: an entry has a reference to the store's item, and counts with its bytes.
 *
 * Threads: none of its own, and no lock; its owner guards it.
 */
#ifndef KV_SINK_QUEUE_H
#define KV_SINK_QUEUE_H

#include <kvserver/sink.h>

#include "base/list.h"
#include "keyspace/keyspace.h"

struct kv_sink_entry {
    struct kv_link link;
    enum kv_event_type type;
    struct kv_slice key;    /* alive with the item */
    struct kv_item item;    /* a reference: the new value, or the removed one */
    struct kv_shown *shown; /* taken; NULL: the store did not show the change, but reported it */
    uint64_t revision;
    int64_t time_us;  /* wall clock */
    int64_t taken_ms; /* CLOCK_BOOTTIME, when it was queued */
    size_t bytes;     /* its share of the queue's bytes */
};

struct kv_sink_queue {
    struct kv_queue entries;
    uint64_t n;
    size_t bytes;
    uint64_t max_n;
    size_t max_bytes;
};

void kv_sink_queue_init(struct kv_sink_queue *queue, uint64_t max_n, size_t max_bytes);

/* Takes references to the change's items, and `shown`. Owns: the caller, by
 * kv_sink_entry_destroy(). */
struct kv_sink_entry *kv_sink_entry_create(struct kv_keyspace *keyspace,
                                           const struct kv_change *change, struct kv_shown *shown,
                                           int64_t now_ms);
void kv_sink_entry_destroy(struct kv_keyspace *keyspace, struct kv_sink_entry *entry);

/* Takes the entry over. */
void kv_sink_queue_push(struct kv_sink_queue *queue, struct kv_sink_entry *entry);

/* Removes the oldest entry, which still counts until kv_sink_queue_settle(). Returns: NULL if there
 * is none. */
struct kv_sink_entry *kv_sink_queue_pop(struct kv_sink_queue *queue);
void kv_sink_queue_settle(struct kv_sink_queue *queue, const struct kv_sink_entry *entry);

/* Whether it exceeds a limit. */
static inline bool kv_sink_queue_is_over(const struct kv_sink_queue *queue)
{
    return queue->n > queue->max_n || queue->bytes > queue->max_bytes;
}

/* Whether it is at most half full. */
static inline bool kv_sink_queue_is_relaxed(const struct kv_sink_queue *queue)
{
    return queue->n <= queue->max_n / 2 && queue->bytes <= queue->max_bytes / 2;
}

#endif
