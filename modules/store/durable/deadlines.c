/*
 * Where there is no memory for a deadline, the horizon moves to before it: the table has it.
 */
#include "deadlines.h"

#include <stdlib.h>

enum {
    LOAD = 8192,     /* rows at a time: some milliseconds of the writer */
    MOST = 4 * LOAD, /* in memory; beyond it, the latest are forgotten */
    FIRST_CAPACITY = 64,
    RETRY_MS = 1000 /* after the table could not be read */
};

/* ---- heaps: the earliest first ---- */

static bool is_before(const struct deadline *a, const struct deadline *b)
{
    return a->deadline_ms != b->deadline_ms ? a->deadline_ms < b->deadline_ms
                                            : a->revision < b->revision;
}

/* Moves the item up or down from the free place `index` to its position. */
static void settle(struct deadline_heap *heap, size_t index, struct deadline *item)
{
    for (; index > 0 && is_before(item, heap->items[(index - 1) / 2]); index = (index - 1) / 2)
        heap->items[index] = heap->items[(index - 1) / 2];
    for (size_t child; (child = 2 * index + 1) < heap->n; index = child) {
        if (child + 1 < heap->n && is_before(heap->items[child + 1], heap->items[child]))
            child++;
        if (!is_before(heap->items[child], item))
            break;
        heap->items[index] = heap->items[child];
    }
    heap->items[index] = item;
}

/* Returns: false if memory runs out. */
static bool heap_push(struct deadline_heap *heap, struct deadline *item)
{
    if (heap->n == heap->capacity) {
        size_t capacity = heap->capacity == 0 ? FIRST_CAPACITY : 2 * heap->capacity;
        struct deadline **items = reallocarray(heap->items, capacity, sizeof(struct deadline *));
        if (items == NULL)
            return false;
        heap->items = items;
        heap->capacity = capacity;
    }
    heap->n++;
    settle(heap, heap->n - 1, item);
    return true;
}

static struct deadline *heap_pop(struct deadline_heap *heap)
{
    struct deadline *first = heap->items[0];
    heap->n--;
    if (heap->n != 0)
        settle(heap, 0, heap->items[heap->n]);
    return first;
}

/* ---- the horizon ---- */

static bool is_beyond(const struct deadlines *deadlines, const struct deadline_row *row)
{
    return !deadlines->is_complete &&
           memcmp(row->bytes, deadlines->horizon.bytes, sizeof(row->bytes)) >= 0;
}

static void draw_in(struct deadlines *deadlines, const struct deadline_row *row)
{
    if (deadlines->is_complete || !is_beyond(deadlines, row))
        deadlines->horizon = *row;
    deadlines->is_complete = false;
}

static void forget_all(struct deadlines *deadlines)
{
    for (uint32_t part = 0; part < DEADLINES_PARTS; part++) {
        struct deadline_heap *heap = &deadlines->heaps[part];
        while (heap->n != 0)
            free(heap->items[--heap->n]);
    }
    deadlines->n = 0;
}

static void keep(struct deadlines *deadlines, const struct deadline_row *row, struct kv_slice key,
                 uint64_t hash)
{
    struct deadline *deadline = malloc(sizeof(*deadline) + key.len);
    if (deadline == NULL) {
        draw_in(deadlines, row);
        return;
    }
    *deadline = (struct deadline){.deadline_ms = deadline_row_ms(row, deadlines->clock),
                                  .revision = deadline_row_revision(row),
                                  .hash = hash,
                                  .key_len = key.len};
    if (key.len != 0)
        memcpy(deadline->key, key.bytes, key.len);
    deadlines_give_back(deadlines, deadline);
}

struct loading {
    struct deadlines *deadlines;
    struct deadline_row last;
    size_t n;
};

static bool load_row(void *context, struct kv_slice key, struct kv_slice value)
{
    struct loading *loading = context;
    if (key.len != sizeof(loading->last.bytes))
        return true;
    memcpy(loading->last.bytes, key.bytes, key.len);
    if (loading->n == LOAD)
        return false;
    const struct kv_store_host *host = loading->deadlines->host;
    loading->n++;
    /* Past the horizon intentionally: it moves when the walk is over. */
    keep(loading->deadlines, &loading->last, value, host->hash(host, value));
    return true;
}

/* From the horizon on. */
static void load(struct deadlines *deadlines, int64_t now_ms)
{
    struct deadline_row before = deadlines->horizon;
    struct loading loading = {.deadlines = deadlines, .last = before};
    deadlines->is_complete = true; /* so that running out of memory can draw it in */
    bool is_read =
        deadlines->ops->walk(deadlines->engine, KV_ENGINE_DEADLINES, deadline_row_slice(&before),
                             load_row, &loading) == KV_ENGINE_OK;
    if (!is_read)
        deadlines->retry_ms = now_ms + RETRY_MS;
    if (!is_read || loading.n == LOAD)
        draw_in(deadlines, &loading.last);
}

/* When the rows beyond the horizon must be loaded. */
static int64_t horizon_ms(const struct deadlines *deadlines)
{
    if (deadlines->is_complete)
        return KV_NEVER;
    int64_t at_ms = deadline_row_ms(&deadlines->horizon, deadlines->clock);
    return at_ms < deadlines->retry_ms ? deadlines->retry_ms : at_ms;
}

/* Keeps the earliest and leaves the rest to the table. */
static void shorten(struct deadlines *deadlines, int64_t now_ms)
{
    int64_t first_ms = KV_NEVER;
    for (uint32_t part = 0; part < DEADLINES_PARTS; part++)
        if (deadlines->heaps[part].n != 0 &&
            deadlines->heaps[part].items[0]->deadline_ms < first_ms)
            first_ms = deadlines->heaps[part].items[0]->deadline_ms;
    forget_all(deadlines);
    deadlines->horizon = deadline_row(first_ms, 0, deadlines->clock);
    load(deadlines, now_ms);
}

/* ---- for the writer ---- */

void deadlines_init(struct deadlines *deadlines, const struct kv_store_host *host,
                    const struct kv_engine_ops *ops, struct kv_engine *engine,
                    struct record_clock clock)
{
    *deadlines = (struct deadlines){
        .host = host, .ops = ops, .engine = engine, .clock = clock, .retry_ms = INT64_MIN};
}

void deadlines_fini(struct deadlines *deadlines)
{
    forget_all(deadlines);
    for (uint32_t part = 0; part < DEADLINES_PARTS; part++)
        free(deadlines->heaps[part].items);
}

void deadlines_add(struct deadlines *deadlines, const struct entry *entry)
{
    struct deadline_row row = deadline_row(entry->deadline_ms, entry->revision, deadlines->clock);
    if (!is_beyond(deadlines, &row))
        keep(deadlines, &row, entry_key(entry), entry->hash);
}

bool deadlines_are_due(const struct deadlines *deadlines, int64_t now_ms)
{
    if (now_ms < deadlines->retry_ms)
        return false;
    if (deadlines->n == 0)
        return !deadlines->is_complete;
    return deadlines->n > MOST || /* otherwise not while there is enough to do */
           (deadlines->n < LOAD && horizon_ms(deadlines) <= now_ms);
}

void deadlines_load(struct deadlines *deadlines, int64_t now_ms)
{
    if (!deadlines_are_due(deadlines, now_ms))
        return;
    if (deadlines->n > MOST)
        shorten(deadlines, now_ms);
    else
        load(deadlines, now_ms);
}

struct deadline *deadlines_take(struct deadlines *deadlines, uint32_t part, int64_t now_ms)
{
    struct deadline_heap *heap = &deadlines->heaps[part];
    if (heap->n == 0 || heap->items[0]->deadline_ms > now_ms)
        return NULL;
    deadlines->n--;
    return heap_pop(heap);
}

void deadlines_give_back(struct deadlines *deadlines, struct deadline *deadline)
{
    struct deadline_heap *heap = &deadlines->heaps[deadlines_part(deadline->hash)];
    if (heap_push(heap, deadline)) {
        deadlines->n++;
        return;
    }
    struct deadline_row row =
        deadline_row(deadline->deadline_ms, deadline->revision, deadlines->clock);
    draw_in(deadlines, &row);
    free(deadline);
}

int64_t deadlines_next(const struct deadlines *deadlines, uint32_t part)
{
    const struct deadline_heap *heap = &deadlines->heaps[part];
    int64_t next_ms = horizon_ms(deadlines);
    if (heap->n != 0 && heap->items[0]->deadline_ms < next_ms)
        next_ms = heap->items[0]->deadline_ms;
    return next_ms;
}
