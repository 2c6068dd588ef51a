/*
 * Touches: writes that set only a key's deadline. They are not changes, so neither the feed nor the
 * change log contains them. A backup gathers them with a watch while it runs.
 *
 * Bounded: the touches that a watch has gathered and that have not been taken yet. Further ones are
 * lost, and the watch reports that.
 */
#ifndef KV_KEYSPACE_TOUCHES_H
#define KV_KEYSPACE_TOUCHES_H

#include <pthread.h>
#include <stdatomic.h>

#include <kvserver/store.h>

#include "base/buffer.h"
#include "base/list.h"

/* Of all loops. */
struct kv_touches {
    _Atomic uint32_t n_watches;
    pthread_mutex_t lock; /* of the list, and of what its watches have gathered */
    struct kv_list watches;
};

struct kv_touch {
    struct kv_slice key; /* lent for the call */
    uint64_t revision;   /* of the state whose deadline it is */
    int64_t deadline_ms; /* KV_NEVER: it has none any more */
};

/* One that watches. All zero before kv_touches_watch(). */
struct kv_touch_watch {
    struct kv_list link;
    size_t most_bytes;
    struct kv_buffer gathered;
    bool has_lost;
};

void kv_touches_init(struct kv_touches *touches);
void kv_touches_fini(struct kv_touches *touches);

static inline bool kv_touches_are_watched(const struct kv_touches *touches)
{
    return atomic_load_explicit(&touches->n_watches, memory_order_acquire) != 0;
}

/* Notes a command if it was a touch. Call once the store has made it final, before its sender is
 * answered. Threads: any. */
void kv_touches_note(struct kv_touches *touches, const struct kv_cmd *cmd);

/* The same, as the store tells it. Threads: any. */
void kv_touches_tell(struct kv_touches *touches, const struct kv_touch *touch);
/* Some have been missed. Threads: any. */
void kv_touches_miss(struct kv_touches *touches);

/* Gathers every touch that takes effect from now on. Owns: the caller, by kv_touches_unwatch().
 * Threads: any. */
void kv_touches_watch(struct kv_touches *touches, struct kv_touch_watch *watch, size_t most_bytes);
void kv_touches_unwatch(struct kv_touches *touches, struct kv_touch_watch *watch);

/* Moves the gathered touches to `ret`, in order. Owns: the caller, by kv_buffer_fini(). Returns:
 * false if some were lost; then there are none. Threads: any. */
bool kv_touches_take(struct kv_touches *touches, struct kv_touch_watch *watch,
                     struct kv_buffer *ret);

/* Reads the touch at *at of the taken ones, and advances *at. Returns: false at the end. */
bool kv_touches_read(const struct kv_buffer *taken, size_t *at, struct kv_touch *ret);

#endif
