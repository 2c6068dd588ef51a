/*
 * Two arrays: `fresh` in the order of records, and `sorted` by key without duplicates. Locks:
 * that of `sorted` first.
 */
#include "overlay.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

enum {
    FIRST_CAPACITY = 1024
};

struct list {
    pthread_mutex_t lock;
    struct entry **entries;
    size_t n, capacity;
};

struct overlay {
    atomic_llong more_keys;
    struct list fresh;
    struct list sorted;
};

/* ---- lists ---- */

/* Under the lock. Returns: false if memory runs out. */
static bool reserve(struct list *list, size_t n)
{
    size_t capacity = list->capacity == 0 ? FIRST_CAPACITY : list->capacity;
    while (capacity < list->n + n)
        capacity *= 2;
    if (capacity == list->capacity)
        return true;
    struct entry **entries = reallocarray(list->entries, capacity, sizeof(struct entry *));
    if (entries == NULL)
        return false;
    list->entries = entries;
    list->capacity = capacity;
    return true;
}

static void drop_applied(struct list *list, uint64_t sequence)
{
    size_t n_kept = 0;
    pthread_mutex_lock(&list->lock);
    for (size_t i = 0; i < list->n; i++) {
        if (list->entries[i]->sequence <= sequence)
            entry_unref(list->entries[i]);
        else
            list->entries[n_kept++] = list->entries[i];
    }
    list->n = n_kept;
    pthread_mutex_unlock(&list->lock);
}

static void list_init(struct list *list)
{
    *list = (struct list){0};
    pthread_mutex_init(&list->lock, NULL);
}

static void list_fini(struct list *list)
{
    drop_applied(list, UINT64_MAX);
    free(list->entries);
    pthread_mutex_destroy(&list->lock);
}

/* ---- the writer and the applier ---- */

bool overlay_reserve(struct overlay *overlay, size_t n)
{
    pthread_mutex_lock(&overlay->fresh.lock);
    bool is_reserved = reserve(&overlay->fresh, n);
    pthread_mutex_unlock(&overlay->fresh.lock);
    return is_reserved;
}

void overlay_begin_adding(struct overlay *overlay)
{
    pthread_mutex_lock(&overlay->fresh.lock);
}

void overlay_add(struct overlay *overlay, struct entry *entry)
{
    overlay->fresh.entries[overlay->fresh.n++] = entry;
}

void overlay_end_adding(struct overlay *overlay)
{
    pthread_mutex_unlock(&overlay->fresh.lock);
}

void overlay_count(struct overlay *overlay, int64_t keys)
{
    atomic_fetch_add(&overlay->more_keys, keys);
}

int64_t overlay_more_keys(const struct overlay *overlay)
{
    return atomic_load(&overlay->more_keys);
}

/* Entries may move meanwhile, but only from the first to the second. */
void overlay_applied(struct overlay *overlay, uint64_t sequence, int64_t keys)
{
    overlay_count(overlay, -keys);
    drop_applied(&overlay->fresh, sequence);
    drop_applied(&overlay->sorted, sequence);
}

/* ---- sorting ---- */

static int by_key_and_time(const void *a, const void *b)
{
    const struct entry *one = *(struct entry *const *)a;
    const struct entry *other = *(struct entry *const *)b;
    int order = kv_slice_compare(entry_key(one), entry_key(other));
    if (order != 0)
        return order;
    return one->sequence < other->sequence ? -1 : one->sequence > other->sequence;
}

/* Keeps only the last entry of each key. Returns: the number left. */
static size_t drop_duplicates(struct entry **entries, size_t n)
{
    size_t n_kept = 0;
    for (size_t i = 0; i < n; i++) {
        if (i + 1 < n && kv_slice_equals(entry_key(entries[i]), entry_key(entries[i + 1])))
            entry_unref(entries[i]);
        else
            entries[n_kept++] = entries[i];
    }
    return n_kept;
}

/* Returns: the number of sorted entries whose key is before this one, or up to it. */
static size_t count_before(struct entry *const *entries, size_t n, struct kv_slice key,
                           bool with_key)
{
    size_t low = 0;
    while (low < n) {
        size_t middle = low + (n - low) / 2;
        int order = kv_slice_compare(entry_key(entries[middle]), key);
        if (order < 0 || (with_key && order == 0))
            low = middle + 1;
        else
            n = middle;
    }
    return low;
}

/* Merges later entries into the list, from its end, in blocks: most are far apart. An earlier entry
 * of the same key is dropped. There must be room. */
static void merge(struct list *list, struct entry *const *later, size_t n_later)
{
    struct entry **entries = list->entries;
    size_t n = list->n;
    size_t end = n + n_later; /* what is behind is merged */
    size_t n_all = end;
    for (size_t i = n_later; i-- != 0;) {
        struct kv_slice key = entry_key(later[i]);
        size_t n_before = count_before(entries, n, key, true);
        end -= n - n_before;
        memmove(entries + end, entries + n_before, (n - n_before) * sizeof(entries[0]));
        n = n_before;
        if (n != 0 && kv_slice_equals(entry_key(entries[n - 1]), key))
            entry_unref(entries[--n]);
        entries[--end] = later[i];
    }
    memmove(entries + n, entries + end, (n_all - end) * sizeof(entries[0]));
    list->n = n + n_all - end;
}

/* Under the lock of `sorted`. Takes ownership of the fresh entries, and reserves room for them
 * there. Returns: their number; SIZE_MAX if memory runs out. Owns: the caller, by free(). */
static size_t take_fresh(struct overlay *overlay, struct entry ***ret)
{
    struct list *fresh = &overlay->fresh;
    pthread_mutex_lock(&fresh->lock);
    size_t n = fresh->n;
    *ret = n == 0 ? NULL : malloc(n * sizeof(struct entry *));
    if (n != 0 && (*ret == NULL || !reserve(&overlay->sorted, n))) {
        free(*ret);
        n = SIZE_MAX;
    } else if (n != 0) {
        memcpy(*ret, fresh->entries, n * sizeof(struct entry *));
        fresh->n = 0;
    }
    pthread_mutex_unlock(&fresh->lock);
    return n;
}

/* Under the lock of `sorted`. Returns: false if memory runs out. */
static bool sort_fresh(struct overlay *overlay)
{
    struct entry **fresh;
    size_t n = take_fresh(overlay, &fresh);
    if (n == SIZE_MAX)
        return false; /* NOLINT(clang-analyzer-unix.Malloc): take_fresh() has freed it */
    if (n == 0)
        return true;
    qsort(fresh, n, sizeof(struct entry *), by_key_and_time);
    merge(&overlay->sorted, fresh, drop_duplicates(fresh, n));
    free(fresh);
    return true;
}

/* ---- walks ---- */

/* Under the lock. */
static void copy_keys(const struct list *sorted, struct kv_slice from, struct kv_slice prefix,
                      struct overlay_keys *ret)
{
    size_t n_there = 0;
    ret->n = 0;
    ret->has_more = false;
    for (size_t at = count_before(sorted->entries, sorted->n, from, false);
         at < sorted->n && kv_slice_has_prefix(entry_key(sorted->entries[at]), prefix); at++) {
        ret->has_more = ret->n == ret->most || n_there == ret->most_there;
        if (ret->has_more)
            return;
        n_there += entry_is_there(sorted->entries[at]);
        ret->entries[ret->n++] = entry_ref(sorted->entries[at]);
    }
}

bool overlay_copy(struct overlay *overlay, struct kv_slice from, struct kv_slice prefix,
                  struct overlay_keys *ret)
{
    pthread_mutex_lock(&overlay->sorted.lock);
    bool is_sorted = sort_fresh(overlay);
    if (is_sorted)
        copy_keys(&overlay->sorted, from, prefix, ret);
    pthread_mutex_unlock(&overlay->sorted.lock);
    return is_sorted;
}

/* ---- life ---- */

struct overlay *overlay_create(void)
{
    struct overlay *overlay = malloc(sizeof(*overlay));
    if (overlay == NULL)
        return NULL;
    atomic_init(&overlay->more_keys, 0);
    list_init(&overlay->fresh);
    list_init(&overlay->sorted);
    return overlay;
}

void overlay_destroy(struct overlay *overlay)
{
    if (overlay == NULL)
        return;
    list_fini(&overlay->fresh);
    list_fini(&overlay->sorted);
    free(overlay);
}
