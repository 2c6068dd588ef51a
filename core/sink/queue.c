#include "sink/queue.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"

void kv_sink_queue_init(struct kv_sink_queue *queue, uint64_t max_n, size_t max_bytes)
{
    *queue = (struct kv_sink_queue){.max_n = max_n, .max_bytes = max_bytes};
    kv_queue_init(&queue->entries);
}

struct kv_sink_entry *kv_sink_entry_create(struct kv_keyspace *keyspace,
                                           const struct kv_change *change, struct kv_shown *shown,
                                           int64_t now_ms)
{
    bool is_set = change->reason == KV_REASON_SET;
    struct kv_sink_entry *entry = kv_alloc(sizeof(*entry));
    *entry = (struct kv_sink_entry){
        .type = (enum kv_event_type)change->reason,
        .key = change->key,
        .item = kv_keyspace_share(keyspace, is_set ? &change->after : &change->before),
        .shown = shown,
        .revision = change->revision,
        .time_us = kv_wall_us(),
        .taken_ms = now_ms,
    };
    kv_shown_take(shown);
    entry->bytes = sizeof(*entry) + change->key.len + entry->item.value.len;
    return entry;
}

void kv_sink_entry_destroy(struct kv_keyspace *keyspace, struct kv_sink_entry *entry)
{
    kv_keyspace_release(keyspace, &entry->item);
    kv_shown_give_back(entry->shown);
    free(entry);
}

void kv_sink_queue_push(struct kv_sink_queue *queue, struct kv_sink_entry *entry)
{
    kv_queue_push(&queue->entries, &entry->link);
    queue->n++;
    queue->bytes += entry->bytes;
}

struct kv_sink_entry *kv_sink_queue_pop(struct kv_sink_queue *queue)
{
    struct kv_link *link = kv_queue_pop(&queue->entries);
    return link == NULL ? NULL : KV_CONTAINER(link, struct kv_sink_entry, link);
}

void kv_sink_queue_settle(struct kv_sink_queue *queue, const struct kv_sink_entry *entry)
{
    queue->n--;
    queue->bytes -= entry->bytes;
}
