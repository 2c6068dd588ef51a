#include "applier.h"

#include <endian.h>
#include <stdlib.h>

enum {
    FIRST_CAPACITY = 1024,
    GIVEN_AT = 64 << 10 /* bytes of rows; then the engine gets them, for the next commit */
};

/* ---- changes ---- */

bool changes_reserve(struct changes *changes, size_t n)
{
    size_t capacity = changes->capacity == 0 ? FIRST_CAPACITY : changes->capacity;
    while (capacity < changes->n + n)
        capacity *= 2;
    if (capacity == changes->capacity)
        return true;
    struct change *more = reallocarray(changes->all, capacity, sizeof(*more));
    if (more == NULL)
        return false;
    changes->all = more;
    changes->capacity = capacity;
    return true;
}

void changes_add(struct changes *changes, struct former old, struct entry *new)
{
    changes->all[changes->n++] = (struct change){.old = old, .new = new};
    changes->keys += (int64_t)entry_is_there(new) - (old.revision != 0);
    changes->bytes += entry_size(new);
    changes->long_bytes += new->value_len > KV_LONG_VALUE ? new->value_len : 0;
}

void changes_clear(struct changes *changes)
{
    for (size_t i = 0; i < changes->n; i++)
        entry_unref(changes->all[i].new);
    changes->n = changes->bytes = changes->long_bytes = 0;
    changes->keys = 0;
}

void changes_fini(struct changes *changes)
{
    changes_clear(changes);
    free(changes->all);
    *changes = (struct changes){0};
}

/* ---- sorting ---- */

/* Returns: the length of their common prefix, at most `most` bytes. */
static size_t common_length(const char *one, const char *other, size_t most)
{
    size_t len = 0;
    while (len < most && one[len] == other[len])
        len++;
    return len;
}

/* The length of the common prefix of all keys. */
static size_t common_prefix(const struct changes *changes)
{
    struct kv_slice first = entry_key(changes->all[0].new);
    size_t len = first.len;
    for (size_t i = 1; i < changes->n; i++) {
        struct kv_slice key = entry_key(changes->all[i].new);
        size_t most = key.len < len ? key.len : len;
        if (memcmp(key.bytes, first.bytes, most) != 0)
            most = common_length(key.bytes, first.bytes, most);
        len = most;
    }
    return len;
}

static uint64_t order_of(struct kv_slice key, size_t from)
{
    uint64_t order = 0;
    size_t len = key.len - from < sizeof(order) ? key.len - from : sizeof(order);
    if (len != 0)
        memcpy(&order, key.bytes + from, len);
    return be64toh(order);
}

/* A key's changes in the order in which they were made. */
static int by_key_and_time(const void *a, const void *b)
{
    const struct change *one = a;
    const struct change *other = b;
    if (one->order != other->order)
        return one->order < other->order ? -1 : 1;
    int order = kv_slice_compare(entry_key(one->new), entry_key(other->new));
    if (order != 0)
        return order;
    return one->new->sequence < other->new->sequence ? -1 : 1;
}

/* Most comparisons need not read the keys, which are scattered over the memory. */
static void sort(struct changes *changes)
{
    size_t len = changes->n == 0 ? 0 : common_prefix(changes);
    for (size_t i = 0; i < changes->n; i++)
        changes->all[i].order = order_of(entry_key(changes->all[i].new), len);
    qsort(changes->all, changes->n, sizeof(*changes->all), by_key_and_time);
}

static bool is_same_key(const struct entry *one, const struct entry *other)
{
    return one->hash == other->hash && kv_slice_equals(entry_key(one), entry_key(other));
}

/* ---- applying ---- */

static enum kv_engine_status give_rows(struct applier *applier)
{
    if (applier->rows.is_short ||
        !rows_give(rows_slice(&applier->rows), applier->base->ops, applier->base->engine))
        return KV_ENGINE_FULL;
    rows_clear(&applier->rows);
    return KV_ENGINE_OK;
}

static enum kv_engine_status commit(struct applier *applier)
{
    enum kv_engine_status status = give_rows(applier);
    enum kv_engine_status committed = applier->base->ops->commit(applier->base->engine);
    return status == KV_ENGINE_OK ? committed : status;
}

/* Returns: the last change of the same key as `first`. */
static size_t last_of_key(const struct changes *changes, size_t first)
{
    size_t last = first;
    while (last + 1 < changes->n &&
           is_same_key(changes->all[first].new, changes->all[last + 1].new))
        last++;
    return last;
}

static void change_key(struct applier *applier, size_t first, size_t last)
{
    struct change *all = applier->changes.all;
    rows_change(&applier->rows, all[first].old, all[last].new, applier->base->clock, NULL);
    for (size_t i = first; i <= last; i++) {
        entry_unref(all[i].new);
        all[i].new = NULL;
    }
}

/* The head is part of the last commit, so the engine has everything that the head claims. */
static enum kv_engine_status apply(struct applier *applier)
{
    struct changes *changes = &applier->changes;
    uint32_t n = 0;
    uint32_t limit = kv_engine_commit_limit(applier->base->ops, applier->base->engine);
    rows_clear(&applier->rows);
    sort(changes);
    for (size_t i = 0, last; i < changes->n; i = last + 1) {
        last = last_of_key(changes, i);
        change_key(applier, i, last);
        enum kv_engine_status status = KV_ENGINE_OK;
        if (++n >= limit) {
            status = commit(applier);
            limit = kv_engine_commit_limit(applier->base->ops, applier->base->engine);
            n = 0;
        } else if (applier->rows.len >= GIVEN_AT) {
            status = give_rows(applier);
        }
        if (status != KV_ENGINE_OK)
            return status;
    }
    rows_put_head(&applier->rows, &applier->head);
    return commit(applier);
}

struct looking {
    struct record_store_head head;
    bool is_head;
};

static void take_head(void *context, struct kv_slice value)
{
    struct looking *looking = context;
    looking->is_head = record_store_head_read(value, &looking->head);
}

/* The engine may persist commits at any time. */
static enum kv_engine_status learn_what_is_on_disk(struct applier *applier)
{
    struct looking looking = {0};
    enum kv_engine_status status =
        applier->base->ops->get(applier->base->engine, KV_ENGINE_META, RECORD_STORE_HEAD_KEY,
                                KV_ENGINE_ON_DISK, take_head, &looking);
    if (status == KV_ENGINE_OK && looking.is_head)
        applier->persisted = looking.head.sequence;
    return status == KV_ENGINE_ABSENT ? KV_ENGINE_OK : status;
}

static enum kv_engine_status shorten_journal(struct applier *applier)
{
    enum kv_engine_status status = learn_what_is_on_disk(applier);
    journal_forget(applier->journal, applier->persisted);
    size_t bytes = journal_bytes(applier->journal) + value_files_bytes(&applier->journal->values);
    if (status == KV_ENGINE_OK && bytes > applier->base->journal_size) {
        status = applier->base->ops->persist(applier->base->engine);
        if (status == KV_ENGINE_OK)
            journal_forget(applier->journal, applier->persisted = applier->head.sequence);
    }
    journal_prepare(applier->journal);
    return status;
}

static enum kv_engine_status work(struct applier *applier)
{
    enum kv_engine_status status = apply(applier);
    if (status != KV_ENGINE_OK)
        return status;
    states_applied(applier->base->states, applier->head.sequence);
    overlay_applied(applier->base->overlay, applier->head.sequence, applier->changes.keys);
    changes_clear(&applier->changes);
    return shorten_journal(applier);
}

/* ---- the thread ---- */

static void move_to(struct applier *applier, enum applier_state state)
{
    applier->state = state;
    pthread_cond_broadcast(&applier->moved);
}

static void *applier_run(void *argument)
{
    struct applier *applier = argument;
    pthread_mutex_lock(&applier->lock);
    while (applier->state != APPLIER_CLOSING) {
        if (applier->state != APPLIER_BUSY) {
            pthread_cond_wait(&applier->moved, &applier->lock);
            continue;
        }
        pthread_mutex_unlock(&applier->lock);
        enum kv_engine_status status = work(applier);
        pthread_mutex_lock(&applier->lock);
        applier->status = status;
        if (applier->state == APPLIER_BUSY)
            move_to(applier, APPLIER_IDLE);
        pthread_mutex_unlock(&applier->lock);
        queue_stir(applier->writes);
        pthread_mutex_lock(&applier->lock);
    }
    pthread_mutex_unlock(&applier->lock);
    return NULL;
}

void applier_init(struct applier *applier, const struct base *base, struct journal *journal,
                  struct queue *writes)
{
    *applier = (struct applier){
        .base = base, .journal = journal, .writes = writes, .status = KV_ENGINE_OK};
    pthread_mutex_init(&applier->lock, NULL);
    pthread_cond_init(&applier->moved, NULL);
}

int applier_start(struct applier *applier)
{
    return thread_start(&applier->thread, "store-applier", applier_run, applier);
}

void applier_fini(struct applier *applier)
{
    if (applier->thread.is_there) {
        pthread_mutex_lock(&applier->lock);
        move_to(applier, APPLIER_CLOSING);
        pthread_mutex_unlock(&applier->lock);
        thread_join(&applier->thread);
    }
    changes_fini(&applier->changes);
    rows_fini(&applier->rows);
    pthread_cond_destroy(&applier->moved);
    pthread_mutex_destroy(&applier->lock);
}

/* ---- for the writer ---- */

bool applier_is_idle(struct applier *applier, enum kv_engine_status *ret_status)
{
    pthread_mutex_lock(&applier->lock);
    bool is_idle = applier->state == APPLIER_IDLE;
    *ret_status = applier->status;
    pthread_mutex_unlock(&applier->lock);
    return is_idle;
}

enum kv_engine_status applier_wait(struct applier *applier)
{
    pthread_mutex_lock(&applier->lock);
    while (applier->state == APPLIER_BUSY)
        pthread_cond_wait(&applier->moved, &applier->lock);
    enum kv_engine_status status = applier->status;
    pthread_mutex_unlock(&applier->lock);
    return status;
}

void applier_give(struct applier *applier, struct changes *changes,
                  const struct record_store_head *head)
{
    pthread_mutex_lock(&applier->lock);
    struct changes taken = *changes;
    *changes = applier->changes; /* empty, with room */
    applier->changes = taken;
    applier->head = *head;
    move_to(applier, APPLIER_BUSY);
    pthread_mutex_unlock(&applier->lock);
}

void applier_reset(struct applier *applier)
{
    pthread_mutex_lock(&applier->lock);
    changes_clear(&applier->changes);
    applier->status = KV_ENGINE_OK;
    pthread_mutex_unlock(&applier->lock);
}
