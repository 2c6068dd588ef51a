/*
 * The smallest honest store: one lock, a sorted array of entries, and a heap of deadlines.
 *
 * An entry (a key, its value, its revision) is immutable and counted; only its deadline may move,
 * under the lock. The arrays hold one reference to each entry, and every item given out holds one
 * more, so an item is unchanged by later writes. The bytes of a SET are copied before the lock is
 * taken, those of an UPDATE under it, since they depend on the old ones; all are freed after it is
 * released.
 *
 * Invariants, under the lock: `entries` is sorted by key without duplicates; `heap` has exactly the
 * entries with a deadline, each knowing its place; both arrays have the same capacity, so that an
 * existing key can always be given a deadline.
 *
 * Written to be read: modules/README.md walks through it.
 */
#include <kvserver/store.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

/* The only part of this store: one lock, one unit of expiry. */
#define PART 0

/* The start of a cursor; the key of the last entry seen follows. Because of it, the cursor after
 * the empty key is not empty, which would mean that the walk is complete. */
#define CURSOR_MARK '>'

struct entry {
    atomic_size_t n_refs;
    uint64_t revision;
    uint64_t hash;       /* the host's hash of the key */
    int64_t deadline_ms; /* under the lock */
    size_t place;        /* in the heap, 1-based; 0: in no heap. Under the lock */
    size_t key_len;
    size_t value_len;
    char bytes[]; /* CURSOR_MARK, the key, the value */
};

struct kv_store {
    const struct kv_store_host *host;
    pthread_mutex_t lock; /* for everything below */
    struct entry **entries;
    size_t n;
    struct entry **heap;
    size_t n_heap;
    size_t capacity;           /* of both arrays */
    _Atomic uint64_t revision; /* written under the lock, read anywhere */
    uint64_t bytes;            /* of all keys and values */
    uint64_t max_bytes;        /* 0: no limit */
    char epoch[KV_EPOCH_MAX];
};

/* A command at work. */
struct work {
    struct kv_cmd *cmd;
    size_t at;           /* the index of the key, or its place */
    struct entry *entry; /* the key's; NULL where it is missing */
    struct entry *fresh; /* SET, UPDATE: the key's new entry; NULL once it is in the table */
    struct entry *gone;  /* removed from the table; released after the lock */
};

/* ---- entries ---- */

/* Returns: NULL if memory runs out. */
static struct entry *entry_create(const struct kv_cmd *cmd, struct kv_slice value)
{
    struct entry *entry = malloc(sizeof(*entry) + 1 + cmd->key.len + value.len);
    if (entry == NULL)
        return NULL;
    *entry = (struct entry){
        .n_refs = 1,
        .hash = cmd->hash,
        .deadline_ms = KV_NEVER,
        .key_len = cmd->key.len,
        .value_len = value.len,
    };
    entry->bytes[0] = CURSOR_MARK;
    if (cmd->key.len != 0)
        memcpy(entry->bytes + 1, cmd->key.bytes, cmd->key.len);
    if (value.len != 0)
        memcpy(entry->bytes + 1 + cmd->key.len, value.bytes, value.len);
    return entry;
}

static void entry_ref(struct entry *entry)
{
    atomic_fetch_add_explicit(&entry->n_refs, 1, memory_order_relaxed);
}

/* Accepts NULL. */
static void entry_unref(struct entry *entry)
{
    if (entry != NULL && atomic_fetch_sub_explicit(&entry->n_refs, 1, memory_order_acq_rel) == 1)
        free(entry);
}

static struct kv_slice entry_cursor(const struct entry *entry)
{
    return (struct kv_slice){.bytes = entry->bytes, .len = 1 + entry->key_len};
}

static struct kv_slice entry_key(const struct entry *entry)
{
    return (struct kv_slice){.bytes = entry->bytes + 1, .len = entry->key_len};
}

static struct kv_slice entry_value(const struct entry *entry)
{
    /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): compute() made it, or refused */
    return (struct kv_slice){.bytes = entry->bytes + 1 + entry->key_len, .len = entry->value_len};
}

static uint64_t entry_size(const struct entry *entry)
{
    /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): as above */
    return (uint64_t)entry->key_len + entry->value_len;
}

/* The entry as an item, without a reference of its own. */
static struct kv_item entry_item(struct entry *entry)
{
    return (struct kv_item){
        .value = entry_value(entry),
        .revision = entry->revision,
        .deadline_ms = entry->deadline_ms,
        .ref = entry,
    };
}

/* ---- the heap of deadlines: the earliest is heap[0] ---- */

static void heap_set(struct kv_store *store, size_t index, struct entry *entry)
{
    store->heap[index] = entry;
    entry->place = index + 1;
}

/* Moves the entry up or down from the free place `index` to its position. */
static void heap_settle(struct kv_store *store, size_t index, struct entry *entry)
{
    struct entry **heap = store->heap;
    while (index > 0 && heap[(index - 1) / 2]->deadline_ms > entry->deadline_ms) {
        heap_set(store, index, heap[(index - 1) / 2]);
        index = (index - 1) / 2;
    }
    for (size_t child; (child = 2 * index + 1) < store->n_heap; index = child) {
        if (child + 1 < store->n_heap && heap[child + 1]->deadline_ms < heap[child]->deadline_ms)
            child++;
        if (heap[child]->deadline_ms >= entry->deadline_ms)
            break;
        heap_set(store, index, heap[child]);
    }
    heap_set(store, index, entry);
}

/* Does nothing if the entry is in no heap. */
static void heap_remove(struct kv_store *store, struct entry *entry)
{
    if (entry->place == 0)
        return;
    size_t index = entry->place - 1;
    entry->place = 0;
    struct entry *last = store->heap[--store->n_heap];
    if (last != entry)
        heap_settle(store, index, last);
}

static void set_deadline(struct kv_store *store, struct entry *entry, int64_t deadline_ms)
{
    heap_remove(store, entry);
    entry->deadline_ms = deadline_ms;
    if (deadline_ms == KV_NEVER)
        return;
    store->n_heap++;
    heap_settle(store, store->n_heap - 1, entry);
    store->host->wake_at(store->host, PART, deadline_ms);
}

/* ---- the sorted array ---- */

/* The index of the first entry whose key is not before `key`. */
static size_t lower_bound(const struct kv_store *store, struct kv_slice key)
{
    size_t low = 0;
    size_t high = store->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (kv_slice_compare(entry_key(store->entries[middle]), key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The entry at `index`, if it has that key. */
static struct entry *entry_at(const struct kv_store *store, size_t index, struct kv_slice key)
{
    if (index < store->n && kv_slice_equals(entry_key(store->entries[index]), key))
        return store->entries[index];
    return NULL;
}

/* Makes room for one entry more. Returns: false if memory runs out. */
static bool table_reserve(struct kv_store *store)
{
    if (store->n < store->capacity)
        return true;
    size_t capacity = store->capacity == 0 ? 64 : 2 * store->capacity;
    struct entry **entries = reallocarray(store->entries, capacity, sizeof(struct entry *));
    if (entries != NULL)
        store->entries = entries;
    struct entry **heap = reallocarray(store->heap, capacity, sizeof(struct entry *));
    if (heap != NULL)
        store->heap = heap;
    if (entries == NULL || heap == NULL)
        return false;
    store->capacity = capacity;
    return true;
}

static void table_insert(struct kv_store *store, size_t at, struct entry *entry)
{
    struct entry **place = store->entries + at;
    memmove(place + 1, place, (store->n - at) * sizeof(struct entry *));
    *place = entry;
    store->n++;
    store->bytes += entry_size(entry);
}

static void table_remove(struct kv_store *store, size_t at)
{
    struct entry **place = store->entries + at;
    heap_remove(store, *place);
    store->bytes -= entry_size(*place);
    store->n--;
    memmove(place, place + 1, (store->n - at) * sizeof(struct entry *));
}

static void table_replace(struct kv_store *store, size_t at, struct entry *entry)
{
    struct entry **place = store->entries + at;
    heap_remove(store, *place);
    store->bytes += entry_size(entry) - entry_size(*place);
    *place = entry;
}

/* ---- changes: each is told once the table has it, still under the lock ---- */

/* Tells that the key of `entry` is gone. Returns: the revision. */
static uint64_t tell_gone(struct kv_store *store, enum kv_reason reason, struct entry *entry)
{
    struct kv_change change = {
        .reason = reason,
        .revision = ++store->revision,
        .hash = entry->hash,
        .key = entry_key(entry),
        .before = entry_item(entry),
    };
    store->host->changed(store->host, PART, &change);
    return change.revision;
}

/* `before` may be NULL. */
static void tell_set(struct kv_store *store, struct entry *before, struct entry *after)
{
    struct kv_change change = {
        .reason = KV_REASON_SET,
        .revision = after->revision,
        .hash = after->hash,
        .key = entry_key(after),
        .after = entry_item(after),
    };
    if (before != NULL)
        change.before = entry_item(before);
    store->host->changed(store->host, PART, &change);
}

/* ---- commands ---- */

static void finish(struct kv_cmd *cmd, enum kv_status status, uint64_t revision)
{
    cmd->status = status;
    cmd->revision = revision;
}

static void get_key(struct work *work)
{
    struct kv_cmd *cmd = work->cmd;
    if (work->entry == NULL) {
        finish(cmd, KV_MISSING, 0);
        return;
    }
    entry_ref(work->entry);
    cmd->item = entry_item(work->entry);
    finish(cmd, KV_OK, work->entry->revision);
}

static bool has_room(struct kv_store *store, const struct work *work)
{
    uint64_t freed = work->entry == NULL ? 0 : entry_size(work->entry);
    if (store->max_bytes != 0 && store->bytes - freed + entry_size(work->fresh) > store->max_bytes)
        return false;
    return work->entry != NULL || table_reserve(store);
}

/* Gives the key the value of `work->fresh`. */
static void set_key(struct kv_store *store, struct work *work, int64_t deadline_ms)
{
    struct kv_cmd *cmd = work->cmd;
    struct entry *fresh = work->fresh;
    if (work->entry != NULL && kv_slice_equals(entry_value(work->entry), entry_value(fresh))) {
        set_deadline(store, work->entry, deadline_ms);
        finish(cmd, KV_UNCHANGED, work->entry->revision);
        return;
    }
    if (!has_room(store, work)) {
        finish(cmd, KV_FULL, 0);
        return;
    }
    /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): as above */
    fresh->revision = ++store->revision;
    if (work->entry == NULL)
        table_insert(store, work->at, fresh);
    else
        table_replace(store, work->at, fresh);
    set_deadline(store, fresh, deadline_ms);
    tell_set(store, work->entry, fresh);
    finish(cmd, KV_OK, fresh->revision);
    work->fresh = NULL;
    if (work->entry != NULL)
        work->gone = work->entry;
}

/* Computes `work->fresh` from the present value. Returns: KV_OK, or why it was not computed. */
static enum kv_status compute(struct work *work)
{
    struct kv_cmd *cmd = work->cmd;
    struct kv_item old = {0};
    struct kv_slice value;
    if (work->entry != NULL)
        old = entry_item(work->entry);
    if (cmd->most_bytes != 0 && old.value.len > cmd->most_bytes)
        return KV_LONGER;
    enum kv_status status = cmd->compute(cmd, &old, &value);
    if (status == KV_OK && (work->fresh = entry_create(cmd, value)) == NULL)
        return KV_FULL; /* NOLINT(clang-analyzer-unix.Malloc): there is none */
    return status;
}

static void delete_key(struct kv_store *store, struct work *work)
{
    if (work->entry == NULL) {
        finish(work->cmd, KV_MISSING, 0);
        return;
    }
    table_remove(store, work->at);
    finish(work->cmd, KV_OK, tell_gone(store, KV_REASON_DELETE, work->entry));
    work->gone = work->entry;
}

/* The deadline that a SET or UPDATE gives to the key. */
static int64_t new_deadline(const struct work *work)
{
    bool keeps = work->entry != NULL && work->cmd->keeps_deadline;
    return keeps ? work->entry->deadline_ms : work->cmd->deadline_ms;
}

static void update_key(struct kv_store *store, struct work *work)
{
    struct kv_cmd *cmd = work->cmd;
    enum kv_status status = compute(work);
    if (status == KV_MISSING)
        delete_key(store, work);
    else if (status != KV_OK)
        finish(cmd, status, 0);
    else
        set_key(store, work, new_deadline(work));
}

static void touch_key(struct kv_store *store, struct work *work)
{
    if (work->entry == NULL) {
        finish(work->cmd, KV_MISSING, 0);
        return;
    }
    set_deadline(store, work->entry, work->cmd->deadline_ms);
    finish(work->cmd, KV_OK, work->entry->revision);
}

/* Finds the command's key. One past its deadline is missing; a write commits its expiry. */
static void look_up(struct kv_store *store, struct work *work)
{
    work->at = lower_bound(store, work->cmd->key);
    work->entry = entry_at(store, work->at, work->cmd->key);
    if (work->entry == NULL ||
        store->host->base.now_ms(&store->host->base) < work->entry->deadline_ms)
        return;
    if (work->cmd->op != KV_OP_GET) {
        table_remove(store, work->at);
        tell_gone(store, KV_REASON_EXPIRE, work->entry);
        work->gone = work->entry;
    }
    work->entry = NULL;
}

/* The commit point: under the lock. */
static void commit(struct kv_store *store, struct work *work)
{
    look_up(store, work);
    struct kv_cmd *cmd = work->cmd;
    uint64_t standing = work->entry == NULL ? 0 : work->entry->revision;
    int64_t deadline_ms = work->entry == NULL ? KV_NEVER : work->entry->deadline_ms;
    if (cmd->op == KV_OP_GET)
        get_key(work);
    else if (!kv_cmd_holds_until(cmd, work->entry != NULL, standing, deadline_ms))
        finish(cmd, KV_CONDITION, standing);
    else if (cmd->op == KV_OP_SET)
        set_key(store, work, new_deadline(work));
    else if (cmd->op == KV_OP_UPDATE)
        update_key(store, work);
    else if (cmd->op == KV_OP_DELETE)
        delete_key(store, work);
    else
        touch_key(store, work);
}

static void run(struct kv_store *store, struct kv_cmd *cmd)
{
    struct work work = {.cmd = cmd};
    if (cmd->op == KV_OP_SET && (work.fresh = entry_create(cmd, cmd->value)) == NULL) {
        finish(cmd, KV_FULL, 0);
        return;
    }
    pthread_mutex_lock(&store->lock);
    commit(store, &work);
    pthread_mutex_unlock(&store->lock);
    entry_unref(work.fresh);
    entry_unref(work.gone);
}

static void simple_submit(struct kv_store *store, uint32_t loop, struct kv_cmd *const *cmds,
                          size_t n)
{
    (void)loop;
    for (size_t i = 0; i < n; i++)
        run(store, cmds[i]);
}

/* ---- scans ---- */

/* The start of the page by its cursor, or by `start` if there is none. */
static size_t scan_resume(const struct kv_store *store, const struct kv_scan *scan)
{
    if (scan->cursor.len == 0)
        return lower_bound(store, scan->start);
    struct kv_slice key = {.bytes = scan->cursor.bytes + 1, .len = scan->cursor.len - 1};
    size_t behind = lower_bound(store, key);
    return behind + (entry_at(store, behind, key) != NULL);
}

/* The index of the first entry of the page, which is not before the prefix. */
static size_t scan_begin(const struct kv_store *store, const struct kv_scan *scan)
{
    size_t first = lower_bound(store, scan->prefix);
    size_t resume = scan_resume(store, scan);
    return resume > first ? resume : first;
}

static bool is_in_scan(const struct kv_store *store, const struct kv_scan *scan, size_t index)
{
    return index < store->n && kv_slice_has_prefix(entry_key(store->entries[index]), scan->prefix);
}

/* Examines as many entries as the page has room for, including expired ones: so the work is
 * bounded, and the next page continues after the last one seen, even if it is deleted. */
static void fill_page(struct kv_store *store, struct kv_scan *scan)
{
    int64_t now_ms = store->host->base.now_ms(&store->host->base);
    size_t begin = scan_begin(store, scan);
    size_t at = begin;
    for (; at - begin < scan->capacity && is_in_scan(store, scan, at); at++) {
        struct entry *entry = store->entries[at];
        if (now_ms >= entry->deadline_ms)
            continue;
        entry_ref(entry);
        scan->entries[scan->n++] =
            (struct kv_scan_entry){.key = entry_key(entry), .item = entry_item(entry)};
    }
    if (!is_in_scan(store, scan, at))
        return;
    struct entry *last = store->entries[at - 1];
    entry_ref(last);
    scan->next = entry_cursor(last);
    scan->next_ref = last;
}

static void simple_scan(struct kv_store *store, uint32_t loop, struct kv_scan *scan)
{
    (void)loop;
    scan->n = 0;
    scan->next = (struct kv_slice){0};
    scan->next_ref = NULL;
    if (scan->cursor.len != 0 && scan->cursor.bytes[0] != CURSOR_MARK) {
        scan->status = KV_CONDITION;
        return;
    }
    pthread_mutex_lock(&store->lock);
    fill_page(store, scan);
    pthread_mutex_unlock(&store->lock);
    scan->status = KV_OK;
}

/* ---- expiry ---- */

/* Removes the earliest entry, if it is due. Returns: NULL if none is. */
static struct entry *expire_first(struct kv_store *store, int64_t now_ms)
{
    if (store->n_heap == 0 || store->heap[0]->deadline_ms > now_ms)
        return NULL;
    struct entry *entry = store->heap[0];
    table_remove(store, lower_bound(store, entry_key(entry)));
    tell_gone(store, KV_REASON_EXPIRE, entry);
    return entry;
}

/* The lock is taken anew for each key, so that no command waits for a whole chunk. */
static int64_t simple_expire(struct kv_store *store, uint32_t part, int64_t now_ms, uint32_t max)
{
    (void)part;
    int64_t next = KV_NEVER;
    struct entry *entry;
    do {
        pthread_mutex_lock(&store->lock);
        entry = max == 0 ? NULL : expire_first(store, now_ms);
        next = store->n_heap == 0 ? KV_NEVER : store->heap[0]->deadline_ms;
        pthread_mutex_unlock(&store->lock);
        entry_unref(entry);
        max--;
    } while (entry != NULL);
    return next;
}

/* ---- life ---- */

enum {
    OPTION_MAX_BYTES,
    N_OPTIONS
};

static const struct kv_option simple_options[N_OPTIONS] = {
    [OPTION_MAX_BYTES] = {.name = "max_bytes",
                          .type = KV_OPTION_SIZE,
                          .fallback = "0",
                          .doc = "the most that keys and values may add up to; 0: no limit"},
};

static int simple_open(const struct kv_store_host *host, const struct kv_option_value *options,
                       struct kv_store **ret_store, struct kv_error *reterr)
{
    struct kv_store *store = calloc(1, sizeof(*store));
    if (store == NULL)
        return kv_error_set(reterr, "store simple: no memory");
    if (!kv_epoch_make(store->epoch)) {
        free(store);
        return kv_error_set(reterr, "store simple: the system has no random bytes for the epoch");
    }
    pthread_mutex_init(&store->lock, NULL);
    store->host = host;
    store->revision = kv_revision_start(host->base.wall_us(&host->base));
    store->max_bytes = (uint64_t)options[OPTION_MAX_BYTES].integer;
    *ret_store = store;
    return 0;
}

static void simple_info(struct kv_store *store, struct kv_store_info *ret_info)
{
    ret_info->parts = 1;
    memcpy(ret_info->epoch, store->epoch, sizeof(store->epoch));
}

static uint64_t simple_revision(struct kv_store *store)
{
    return store->revision;
}

static void simple_metrics(struct kv_store *store, struct kv_metrics_out *out)
{
    static const struct kv_metric keys = {"kvserver_store_keys", KV_METRIC_GAUGE, NULL, "Keys"};
    pthread_mutex_lock(&store->lock);
    uint64_t n = store->n;
    pthread_mutex_unlock(&store->lock);
    out->number(out, &keys, n);
}

static void simple_ref(struct kv_store *store, void *ref)
{
    (void)store;
    entry_ref(ref);
}

static void simple_unref(struct kv_store *store, void *ref)
{
    (void)store;
    entry_unref(ref);
}

static void simple_close(struct kv_store *store)
{
    for (size_t i = 0; i < store->n; i++)
        entry_unref(store->entries[i]);
    free(store->entries);
    free(store->heap);
    pthread_mutex_destroy(&store->lock);
    free(store);
}

static const struct kv_store_ops simple_ops = {
    .size = sizeof(simple_ops),
    .open = simple_open,
    .info = simple_info,
    .submit = simple_submit,
    .scan = simple_scan,
    .expire = simple_expire,
    .ref = simple_ref,
    .unref = simple_unref,
    .close = simple_close,
    .revision = simple_revision,
    .metrics = simple_metrics,
};

static const struct kv_module simple_module = {
    KV_MODULE_IDENTITY,
    .kind = KV_MODULE_STORE,
    .name = "simple",
    .version = "1.0",
    .capabilities =
        KV_STORE_SYNC | KV_STORE_ORDERED | KV_STORE_SEEKS | KV_STORE_UPDATES | KV_STORE_IN_ORDER,
    .options = simple_options,
    .n_options = N_OPTIONS,
    .ops = &simple_ops,
};

KV_MODULE_EXPORT(&simple_module)
