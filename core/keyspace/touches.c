/* A watch gathers a header and the key's bytes for each touch, one after the other. */
#include "keyspace/touches.h"

#include "base/mem.h"

struct header {
    uint64_t revision;
    int64_t deadline_ms;
    uint64_t key_len;
};

void kv_touches_init(struct kv_touches *touches)
{
    atomic_init(&touches->n_watches, 0);
    pthread_mutex_init(&touches->lock, NULL);
    kv_list_init(&touches->watches);
}

void kv_touches_fini(struct kv_touches *touches)
{
    pthread_mutex_destroy(&touches->lock);
}

static bool is_touch(const struct kv_cmd *cmd)
{
    switch (cmd->op) {
    case KV_OP_TOUCH:
        return cmd->status == KV_OK;
    case KV_OP_SET:
    case KV_OP_UPDATE:
        return cmd->status == KV_UNCHANGED && !cmd->keeps_deadline;
    default:
        return false;
    }
}

/* The gathered touches are of no use without the rest. */
static void lose(struct kv_touch_watch *watch)
{
    watch->has_lost = true;
    kv_buffer_fini(&watch->gathered);
}

static void gather(struct kv_touch_watch *watch, const struct kv_touch *touch)
{
    const struct header header = {touch->revision, touch->deadline_ms, touch->key.len};
    size_t size = sizeof(header) + touch->key.len;
    if (watch->has_lost)
        return;
    if (watch->gathered.len + size > watch->most_bytes ||
        kv_buffer_try_reserve(&watch->gathered, size) == NULL) {
        lose(watch);
        return;
    }
    kv_buffer_append(&watch->gathered, (struct kv_slice){(const char *)&header, sizeof(header)});
    kv_buffer_append(&watch->gathered, touch->key);
}

void kv_touches_tell(struct kv_touches *touches, const struct kv_touch *touch)
{
    if (!kv_touches_are_watched(touches))
        return;
    pthread_mutex_lock(&touches->lock);
    KV_LIST_EACH(&touches->watches, link, after)
    gather(KV_CONTAINER(link, struct kv_touch_watch, link), touch);
    pthread_mutex_unlock(&touches->lock);
}

void kv_touches_note(struct kv_touches *touches, const struct kv_cmd *cmd)
{
    if (is_touch(cmd))
        kv_touches_tell(touches, &(struct kv_touch){cmd->key, cmd->revision, cmd->deadline_ms});
}

void kv_touches_miss(struct kv_touches *touches)
{
    pthread_mutex_lock(&touches->lock);
    KV_LIST_EACH(&touches->watches, link, after)
    lose(KV_CONTAINER(link, struct kv_touch_watch, link));
    pthread_mutex_unlock(&touches->lock);
}

void kv_touches_watch(struct kv_touches *touches, struct kv_touch_watch *watch, size_t most_bytes)
{
    watch->most_bytes = most_bytes;
    pthread_mutex_lock(&touches->lock);
    kv_list_append(&touches->watches, &watch->link);
    atomic_fetch_add(&touches->n_watches, 1);
    pthread_mutex_unlock(&touches->lock);
}

void kv_touches_unwatch(struct kv_touches *touches, struct kv_touch_watch *watch)
{
    pthread_mutex_lock(&touches->lock);
    kv_list_remove(&watch->link);
    atomic_fetch_sub(&touches->n_watches, 1);
    pthread_mutex_unlock(&touches->lock);
    kv_buffer_fini(&watch->gathered);
}

bool kv_touches_take(struct kv_touches *touches, struct kv_touch_watch *watch,
                     struct kv_buffer *ret)
{
    pthread_mutex_lock(&touches->lock);
    *ret = watch->gathered;
    watch->gathered = (struct kv_buffer){0};
    bool is_whole = !watch->has_lost;
    pthread_mutex_unlock(&touches->lock);
    return is_whole;
}

bool kv_touches_read(const struct kv_buffer *taken, size_t *at, struct kv_touch *ret)
{
    struct header header;
    if (*at == taken->len)
        return false;
    memcpy(&header, taken->bytes + *at, sizeof(header));
    *ret = (struct kv_touch){.key = {taken->bytes + *at + sizeof(header), header.key_len},
                             .revision = header.revision,
                             .deadline_ms = header.deadline_ms};
    *at += sizeof(header) + header.key_len;
    return true;
}
