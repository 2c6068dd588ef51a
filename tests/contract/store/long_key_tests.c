/*
 * Keys longer than an engine's trees accept (LMDB: 511 bytes) that differ only beyond that length:
 * like short ones, scans return them in byte order, and the cost of a page does not depend on the
 * number of other keys.
 */
#include <time.h>

#include "contract/store/walk.h"

#define ONE KV_SLICE("1")

enum {
    STRETCH = 494, /* prefix of a long key that LMDB stores in its tree */
    MOST_PARTS = 6,
    LONGEST_KEY = MOST_PARTS * STRETCH,
    MOST_KEYS = 400
};

/* A sorted set of keys. Owns: copies of them. */
struct keys {
    struct kv_slice at[MOST_KEYS];
    size_t n;
};

static struct fixture *seeking(void **state)
{
    struct fixture *fixture = *state;
    skip_without(fixture, KV_STORE_SEEKS);
    return fixture;
}

static size_t draw(unsigned *seed, size_t n)
{
    return (size_t)rand_r(seed) % n;
}

/* Whole stretches of one letter, nearly whole ones, and single bytes. */
static struct kv_slice draw_key(unsigned *seed, char bytes[LONGEST_KEY])
{
    static const char letters[] = {'p', 'p', 'p', 'q', '\0', '\xff'};
    size_t len = 0;
    size_t n_parts = draw(seed, MOST_PARTS + 1);
    for (size_t i = 0; i < n_parts; i++) {
        char letter = letters[draw(seed, sizeof(letters))];
        size_t kind = draw(seed, 8);
        size_t n = kind < 5 ? STRETCH : kind == 5 ? STRETCH - 1 : 1;
        memset(bytes + len, letter, n);
        len += n;
    }
    return (struct kv_slice){bytes, len};
}

static size_t place_of(const struct keys *keys, struct kv_slice key)
{
    size_t i = 0;
    while (i < keys->n && kv_slice_compare(keys->at[i], key) < 0)
        i++;
    return i;
}

static void insert(struct keys *keys, struct kv_slice key)
{
    size_t place = place_of(keys, key);
    if (place < keys->n && kv_slice_equals(keys->at[place], key))
        return;
    memmove(&keys->at[place + 1], &keys->at[place], (keys->n - place) * sizeof(key));
    keys->at[place] = slice_dup(key);
    keys->n++;
}

static void take_out(struct keys *keys, size_t place)
{
    free((char *)keys->at[place].bytes);
    keys->n--;
    memmove(&keys->at[place], &keys->at[place + 1], (keys->n - place) * sizeof(keys->at[0]));
}

/* The keys that a walk must return: those from `next` on with its prefix. */
struct expected {
    const struct keys *all;
    size_t next;
};

static void find(struct walk *walk, const struct kv_scan_entry *entry)
{
    struct expected *expected = walk->context;
    assert_true(expected->next < expected->all->n);
    assert_slice(entry->key, expected->all->at[expected->next++]);
}

static void assert_walk(struct fixture *fixture, const struct keys *all, struct walk *walk)
{
    struct expected expected = {.all = all, .next = place_of(all, walk->start)};
    size_t first = place_of(all, walk->prefix);
    expected.next = first > expected.next ? first : expected.next;
    walk->each = find;
    walk->context = &expected;
    walk_all(fixture, walk);
    assert_true(expected.next == all->n ||
                !kv_slice_has_prefix(all->at[expected.next], walk->prefix));
}

/* The more keys exist, the more are deleted. */
static void stir(struct fixture *fixture, struct keys *all, unsigned *seed)
{
    char bytes[LONGEST_KEY];
    if (draw(seed, MOST_KEYS) > all->n) {
        struct kv_slice key = draw_key(seed, bytes);
        run(fixture, call_set(key, ONE));
        insert(all, key);
    } else {
        size_t place = draw(seed, all->n);
        assert_status(fixture, call_delete(all->at[place]), KV_OK);
        take_out(all, place);
    }
}

static void walk_somewhere(struct fixture *fixture, const struct keys *all, unsigned *seed)
{
    static char start[LONGEST_KEY];
    static char prefix[LONGEST_KEY];
    struct walk walk = {.start = draw_key(seed, start),
                        .prefix = draw_key(seed, prefix),
                        .capacity = 1 + (uint32_t)draw(seed, SCAN_CAPACITY)};
    if (draw(seed, 2) == 0)
        walk.prefix.len = 0;
    assert_walk(fixture, all, &walk);
}

/* Afterwards, a durable store has all its keys in its files and none in memory. */
static void settle(struct fixture *fixture)
{
    if ((fixture->capabilities & KV_STORE_DURABLE) != 0)
        fixture_reopen(fixture);
}

static void scan_returns_long_keys_in_order_between_writes(void **state)
{
    struct fixture *fixture = seeking(state);
    static struct keys all;
    unsigned seed = 1;
    for (int i = 1; i <= 2000; i++) {
        stir(fixture, &all, &seed);
        if (i % 250 == 0)
            settle(fixture);
        if (i % 10 == 0)
            walk_somewhere(fixture, &all, &seed);
    }
    while (all.n != 0) {
        assert_status(fixture, call_delete(all.at[0]), KV_OK);
        take_out(&all, 0);
    }
    settle(fixture);
    assert_walk(fixture, &all, &(struct walk){.capacity = 1});
}

/* ---- many keys ---- */

enum {
    FEW = 256,
    MANY = 32 * FEW,
    VECTOR = 64,
    PAGES = 50,
    PAGE = 10,
    COMMON = 600
};

static struct kv_slice numbered(char bytes[COMMON + 8], char letter, int number)
{
    memset(bytes, letter, COMMON);
    snprintf(bytes + COMMON, 8, "%06d", number);
    return (struct kv_slice){bytes, COMMON + 6};
}

static void put_crowd(struct fixture *fixture, char letter, int n)
{
    static char bytes[VECTOR][COMMON + 8];
    static struct call calls[VECTOR];
    for (int i = 0; i < n; i += VECTOR) {
        for (int j = 0; j < VECTOR; j++)
            calls[j] = call_set(numbered(bytes[j], letter, i + j), ONE);
        run_all(fixture, calls, VECTOR);
    }
}

static double now_us(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e6 + (double)time.tv_nsec / 1e3;
}

/* Reads pages at various places among n keys. Returns: the shortest time of a page, in
 * microseconds. */
static double least_time_of_a_page(struct fixture *fixture, char letter, int n)
{
    char bytes[COMMON + 8];
    double least = 1e9;
    for (int i = 0; i < PAGES; i++) {
        int first = (n - PAGE) / PAGES * i;
        struct kv_slice start = numbered(bytes, letter, first);
        struct page page = {.scan = {.prefix = {bytes, COMMON}, .start = start, .capacity = PAGE}};
        double begin = now_us();
        run_scan(fixture, &page);
        double took = now_us() - begin;
        least = took < least ? took : least;
        assert_int_equal(page.scan.status, KV_OK);
        for (uint32_t j = 0; j < page.scan.n; j++)
            assert_slice(page.entries[j].key, numbered(bytes, letter, first + (int)j));
        release_page(fixture, &page);
    }
    return least;
}

/* A page that had to sort all keys would take 32 times as long among many. */
static void page_among_thousands_of_long_keys_takes_as_long_as_among_few(void **state)
{
    struct fixture *fixture = seeking(state);
    put_crowd(fixture, 'f', FEW);
    put_crowd(fixture, 'm', MANY);
    settle(fixture);
    double among_few = least_time_of_a_page(fixture, 'f', FEW);
    double among_many = least_time_of_a_page(fixture, 'm', MANY);
    print_message("%.0f us among %d, %.0f us among %d\n", among_few, FEW, among_many, MANY);
    assert_true(among_many < 8 * among_few);
}

int run_long_key_tests(void)
{
    const struct CMUnitTest tests[] = {
        CONTRACT_TEST(scan_returns_long_keys_in_order_between_writes),
        CONTRACT_TEST(page_among_thousands_of_long_keys_takes_as_long_as_among_few),
    };
    return cmocka_run_group_tests_name("long keys", tests, NULL, NULL);
}
