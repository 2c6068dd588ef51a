/*
 * The number of pages for rows: those by which the file may grow to map_size, and the file's free
 * pages, less a reserve. The cost of a row is counted as if all pages of rows were half empty.
 */
#include "room.h"

#include <stdlib.h>

#include "order.h"
#include "write.h"

enum {
    FREE_PAGES = 0,    /* the handle of LMDB's own database of free pages */
    RESERVED_PART = 8, /* of the map's pages; at least and at most: */
    LEAST_RESERVE = 64,
    MOST_RESERVE = 8192,
    PAGES_A_KEY = 20,      /* that a commit of one key and the two next ones may copy */
    PLENTY = 16384,        /* pages; with more, free pages need not be counted */
    MOST_LISTED = 1 << 16, /* free pages among which a run is searched */
    PAGE_HEAD = 32,        /* of a page with a row of its own, or of a row within one */
    ROW_HEAD = 64          /* bytes of a row besides key and value, at most */
};

/* The free pages of the file: LMDB keeps them in its first database, as lists of numbers preceded
 * by their length. */
int walk_free_pages(struct kv_engine *engine, take_pages_fn take, void *context)
{
    MDB_txn *txn;
    MDB_cursor *cursor;
    MDB_val key;
    MDB_val list;
    int fault = mdb_txn_begin(engine->env, NULL, MDB_RDONLY, &txn);
    if (fault != 0)
        return fault;
    if ((fault = mdb_cursor_open(txn, FREE_PAGES, &cursor)) == 0) {
        while ((fault = mdb_cursor_get(cursor, &key, &list, MDB_NEXT)) == 0) {
            const size_t *numbers = list.mv_data;
            size_t txn_id;
            memcpy(&txn_id, key.mv_data, sizeof(txn_id));
            take(context, txn_id, numbers + 1, numbers[0]);
        }
        mdb_cursor_close(cursor);
    }
    mdb_txn_abort(txn);
    return fault == MDB_NOTFOUND ? 0 : fault;
}

static size_t map_pages(const struct kv_engine *engine)
{
    return engine->map_size / engine->page_size;
}

/* A commit copies the pages that it changes, and LMDB reuses the freed ones two commits later: this
 * many pages are kept for that, and for erasing rows. */
size_t room_reserve(const struct kv_engine *engine)
{
    size_t pages = map_pages(engine) / RESERVED_PART;
    if (pages < LEAST_RESERVE)
        return LEAST_RESERVE;
    return pages < MOST_RESERVE ? pages : MOST_RESERVE;
}

/* Pages beyond the file's end that map_size allows. */
static size_t count_fresh_pages(const struct kv_engine *engine)
{
    MDB_envinfo info;
    mdb_env_info(engine->env, &info);
    size_t n_used = info.me_last_pgno + 1;
    return n_used < map_pages(engine) ? map_pages(engine) - n_used : 0;
}

/* The next commit may not yet reuse the pages freed by the last one. */
struct free_pages {
    size_t last_txn_id;
    size_t n_of_last;
    size_t n;
    size_t *numbers; /* of the first MOST_LISTED */
    size_t n_listed;
};

static void list_free_pages(void *context, size_t txn_id, const size_t *numbers, size_t n)
{
    struct free_pages *pages = context;
    if (txn_id >= pages->last_txn_id) {
        pages->n_of_last += n;
        return;
    }
    pages->n += n;
    for (size_t i = 0; i < n && pages->n_listed < MOST_LISTED; i++)
        pages->numbers[pages->n_listed++] = numbers[i];
}

/* Returns: an error of LMDB, or 0. */
static int find_free_pages(struct kv_engine *engine, struct free_pages *pages)
{
    MDB_envinfo info;
    mdb_env_info(engine->env, &info);
    *pages = (struct free_pages){.last_txn_id = info.me_last_txnid, .numbers = pages->numbers};
    return walk_free_pages(engine, list_free_pages, pages);
}

/* Many recently freed pages are worth a commit. */
static int find_pages_for_rows(struct kv_engine *engine, struct free_pages *pages)
{
    int fault = find_free_pages(engine, pages);
    if (fault == 0 && pages->n_of_last > room_reserve(engine) / 4 &&
        (fault = write_nothing(engine)) == 0)
        fault = find_free_pages(engine, pages);
    return fault;
}

static int by_size(const void *a, const void *b)
{
    size_t one = *(const size_t *)a;
    size_t other = *(const size_t *)b;
    return one < other ? -1 : one > other;
}

/* Replaces the listed pages by the sorted lengths of their runs. Returns: the number of runs. */
static size_t make_runs(struct free_pages *pages)
{
    size_t n = 0;
    size_t *runs = pages->numbers;
    qsort(pages->numbers, pages->n_listed, sizeof(*pages->numbers), by_size);
    for (size_t i = 0, start = 0; i < pages->n_listed; i++) {
        bool goes_on = i + 1 < pages->n_listed && pages->numbers[i + 1] == pages->numbers[i] + 1;
        if (goes_on)
            continue;
        size_t len = i + 1 - start;
        start = i + 1;
        runs[n++] = len;
    }
    qsort(runs, n, sizeof(*runs), by_size);
    return n;
}

static size_t less(size_t n, size_t reserved)
{
    return n > reserved ? n - reserved : 0;
}

static void room_clear(struct lmdb_room *room)
{
    free(room->runs);
    *room = (struct lmdb_room){0};
}

void room_fini(struct kv_engine *engine)
{
    room_clear(&engine->room);
}

static void count_all_pages(struct kv_engine *engine, size_t n_fresh)
{
    struct lmdb_room *room = &engine->room;
    struct free_pages pages = {.numbers = calloc(MOST_LISTED, sizeof(size_t))};
    if (pages.numbers != NULL && find_pages_for_rows(engine, &pages) == 0) {
        size_t n_pages = less(n_fresh + pages.n, room_reserve(engine));
        room->bytes = (uint64_t)n_pages * engine->page_size;
        room->n_fresh = less(n_fresh, room_reserve(engine));
        room->runs = pages.numbers;
        room->n_runs = make_runs(&pages);
    } else {
        free(pages.numbers);
    }
}

void engine_count_room(struct kv_engine *engine, bool may_grow)
{
    room_clear(&engine->room);
    if (engine->env == NULL)
        return;
    size_t n_fresh = may_grow ? count_fresh_pages(engine) : 0;
    engine->room.may_grow = may_grow;
    if (n_fresh <= room_reserve(engine) + PLENTY) {
        count_all_pages(engine, n_fresh);
        return;
    }
    engine->room.n_fresh = n_fresh - room_reserve(engine);
    engine->room.bytes = (uint64_t)engine->room.n_fresh * engine->page_size;
}

/* The number of consecutive pages that a row takes for itself; 0: it shares one. */
static size_t own_pages(const struct kv_engine *engine, size_t len)
{
    return len <= engine->page_size / 2 - PAGE_HEAD
               ? 0
               : (len + PAGE_HEAD + engine->page_size - 1) / engine->page_size;
}

/* Pages of small rows are at least half full. */
static uint64_t row_cost(const struct kv_engine *engine, size_t len)
{
    size_t n_pages = own_pages(engine, len);
    return n_pages == 0 ? 2 * (uint64_t)len
                        : (uint64_t)n_pages * engine->page_size + 2 * (uint64_t)MOST_KEY;
}

static uint64_t cost_of(const struct kv_engine *engine, size_t key_len, size_t value_len)
{
    size_t n_entries = key_len > PREFIX_BYTES ? order_most_entries(key_len) : 0;
    return row_cost(engine, ROW_HEAD + key_len + value_len) + row_cost(engine, ROW_HEAD + key_len) +
           n_entries * row_cost(engine, ROW_HEAD + ORDER_ENTRY_BYTES);
}

/* The shortest run that is long enough. Returns: n_runs if there is none. */
static size_t find_run(const struct lmdb_room *room, size_t n_pages)
{
    size_t first = 0;
    size_t end = room->n_runs;
    while (first < end) {
        size_t middle = (first + end) / 2;
        if (room->runs[middle] < n_pages)
            first = middle + 1;
        else
            end = middle;
    }
    return first == room->n_runs ? room->n_runs : first;
}

/* Sorts the rest of the run into the others. */
static void shorten_run(struct lmdb_room *room, size_t at, size_t n_pages)
{
    size_t left = room->runs[at] - n_pages;
    size_t place = find_run(room, left);
    memmove(room->runs + place + 1, room->runs + place, (at - place) * sizeof(*room->runs));
    room->runs[place] = left;
}

static bool has_run(struct lmdb_room *room, size_t n_pages, bool is_taken)
{
    size_t at = find_run(room, n_pages);
    if (at == room->n_runs && n_pages > room->n_fresh)
        return false;
    if (is_taken && at == room->n_runs)
        room->n_fresh -= n_pages;
    else if (is_taken)
        shorten_run(room, at, n_pages);
    return true;
}

/* A small row replaces the previous one in place. On a full disk, that may need another page. */
static bool is_no_longer(const struct kv_engine *engine, size_t key_len, size_t value_len,
                         const struct kv_slice *old)
{
    return engine->room.may_grow && old != NULL && value_len <= old->len &&
           own_pages(engine, ROW_HEAD + key_len + value_len) == 0 &&
           own_pages(engine, ROW_HEAD + key_len + old->len) == 0;
}

bool engine_has_room(struct kv_engine *engine, size_t key_len, size_t value_len,
                     const struct kv_slice *old, bool is_taken)
{
    struct lmdb_room *room = &engine->room;
    uint64_t cost = cost_of(engine, key_len, value_len);
    size_t n_pages = own_pages(engine, ROW_HEAD + key_len + value_len);
    if (is_no_longer(engine, key_len, value_len, old))
        return true;
    if (cost > room->bytes || (n_pages > 1 && !has_run(room, n_pages, is_taken)))
        return false;
    room->bytes -= is_taken ? cost : 0;
    return true;
}

/* If little room is left, few keys, so that a commit copies no more pages than are kept for it. */
uint32_t engine_commit_limit(struct kv_engine *engine)
{
    if (engine->env == NULL || count_fresh_pages(engine) > PLENTY)
        return MOST_KEYS;
    size_t keys = room_reserve(engine) / PAGES_A_KEY;
    return keys < MOST_KEYS ? (uint32_t)keys : MOST_KEYS;
}
