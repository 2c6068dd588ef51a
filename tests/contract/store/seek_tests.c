/*
 * Scans of stores with KV_STORE_SEEKS: in byte order, from any start, and complete despite
 * concurrent writes.
 */
#include "contract/store/walk.h"

#define ONE KV_SLICE("1")

enum {
    LONGEST_KEY = 14,
    MOST_KEYS = 600
};

/* A sorted set of keys: the content of the store, or the result of a walk. */
struct keys {
    char bytes[MOST_KEYS][LONGEST_KEY];
    size_t lens[MOST_KEYS];
    size_t n;
};

static struct fixture *seeking(void **state)
{
    struct fixture *fixture = *state;
    skip_without(fixture, KV_STORE_SEEKS);
    return fixture;
}

static struct kv_slice key_at(const struct keys *keys, size_t i)
{
    return (struct kv_slice){keys->bytes[i], keys->lens[i]};
}

static void append(struct keys *keys, struct kv_slice key)
{
    assert_true(keys->n < MOST_KEYS && key.len <= LONGEST_KEY);
    memcpy(keys->bytes[keys->n], key.bytes, key.len);
    keys->lens[keys->n++] = key.len;
}

static void append_entry(struct walk *walk, const struct kv_scan_entry *entry)
{
    append(walk->context, entry->key);
}

/* The keys that a walk with that prefix and start must return. */
static void select_keys(const struct keys *all, const struct walk *walk, struct keys *ret)
{
    ret->n = 0;
    for (size_t i = 0; i < all->n; i++)
        if (kv_slice_has_prefix(key_at(all, i), walk->prefix) &&
            kv_slice_compare(key_at(all, i), walk->start) >= 0)
            append(ret, key_at(all, i));
}

/* Returns: the number of pages. */
static size_t assert_walk(struct fixture *fixture, const struct keys *all, struct walk *walk)
{
    static struct keys expected;
    static struct keys found;
    found.n = 0;
    walk->each = append_entry;
    walk->context = &found;
    select_keys(all, walk, &expected);
    size_t n_pages = walk_all(fixture, walk);
    assert_int_equal(found.n, expected.n);
    for (size_t i = 0; i < found.n; i++)
        assert_slice(key_at(&found, i), key_at(&expected, i));
    return n_pages;
}

/* ---- a few keys ---- */

static const struct kv_slice few[] = {
    {"", 0},     {"\0", 1},    {"a", 1},         {"a\0", 2},         {"a\0b", 3},
    {"aa", 2},   {"a\x7f", 2}, {"a\x80", 2},     {"a\xff", 2},       {"a\xff\xff", 3},
    {"b", 1},    {"b1", 2},    {"b12345678", 9}, {"b123456789", 10}, {"b12345679", 9},
    {"\x80", 1}, {"\xff", 1},  {"\xff\xff", 2},
};

enum {
    FEW = sizeof(few) / sizeof(few[0])
};

static void put_few(struct fixture *fixture, struct keys *ret)
{
    ret->n = 0;
    for (size_t i = FEW; i-- > 0;)
        put(fixture, few[i], ONE);
    for (size_t i = 0; i < FEW; i++)
        append(ret, few[i]);
}

static void scan_begins_at_its_start(void **state)
{
    static const struct kv_slice starts[] = {
        {"", 0},     {"a", 1},         {"a\0a", 3},        {"ab", 2}, {"a\xff\xff\xff", 4},
        {"b123", 4}, {"b12345678", 9}, {"b12345678x", 10}, {"c", 1},  {"\xff\xff\xff", 3},
    };
    struct fixture *fixture = seeking(state);
    static struct keys all;
    put_few(fixture, &all);
    for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++)
        for (uint32_t capacity = 1; capacity < 5; capacity++)
            assert_walk(fixture, &all, &(struct walk){.start = starts[i], .capacity = capacity});
}

static void scan_respects_both_start_and_prefix(void **state)
{
    static const struct kv_slice starts[] = {
        {"", 0}, {"a", 1}, {"a\0b", 3}, {"a\xff", 2}, {"a\xff\xff\xff", 4}, {"b123", 4}, {"c", 1}};
    static const struct kv_slice prefixes[] = {{"a", 1}, {"b1234567", 8}, {"\xff", 1}, {"x", 1}};
    struct fixture *fixture = seeking(state);
    static struct keys all;
    put_few(fixture, &all);
    for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++)
        for (size_t j = 0; j < sizeof(prefixes) / sizeof(prefixes[0]); j++)
            assert_walk(fixture, &all,
                        &(struct walk){.start = starts[i], .prefix = prefixes[j], .capacity = 2});
}

static void scan_of_an_empty_store_from_a_start_ends(void **state)
{
    static const struct keys none;
    struct fixture *fixture = seeking(state);
    assert_int_equal(assert_walk(fixture, &none, &(struct walk){.start = KV_SLICE("m")}), 1);
}

static void start_may_be_long(void **state)
{
    enum {
        LONG = 5000
    };
    struct fixture *fixture = seeking(state);
    static struct keys all;
    static char start[LONG] = "a";
    put_few(fixture, &all);
    assert_walk(fixture, &all, &(struct walk){.start = {start, LONG}, .capacity = 3});
}

/* ---- many keys ---- */

static size_t draw(unsigned *seed, size_t n)
{
    return (size_t)rand_r(seed) % n;
}

/* Short keys, and keys whose first eight or more bytes are equal. */
static struct kv_slice draw_key(unsigned *seed, char bytes[LONGEST_KEY])
{
    static const char alphabet[] = {'\0', 'a', 'b', '\x7f', '\x80', '\xff'};
    size_t len = draw(seed, LONGEST_KEY + 1);
    memcpy(bytes, "commonkey", 9);
    for (size_t i = draw(seed, 2) * 9; i < len; i++)
        bytes[i] = alphabet[draw(seed, sizeof(alphabet))];
    return (struct kv_slice){bytes, len};
}

/* The position of the key among the sorted ones, or where it belongs. */
static size_t place_of(const struct keys *keys, struct kv_slice key)
{
    size_t i = 0;
    while (i < keys->n && kv_slice_compare(key_at(keys, i), key) < 0)
        i++;
    return i;
}

static bool has_key(const struct keys *keys, size_t place, struct kv_slice key)
{
    return place < keys->n && kv_slice_equals(key_at(keys, place), key);
}

static void insert(struct keys *keys, struct kv_slice key)
{
    size_t place = place_of(keys, key);
    if (has_key(keys, place, key))
        return;
    memmove(keys->bytes[place + 1], keys->bytes[place], (keys->n - place) * LONGEST_KEY);
    memmove(&keys->lens[place + 1], &keys->lens[place], (keys->n - place) * sizeof(size_t));
    memcpy(keys->bytes[place], key.bytes, key.len);
    keys->lens[place] = key.len;
    keys->n++;
}

static void erase(struct keys *keys, struct kv_slice key)
{
    size_t place = place_of(keys, key);
    if (!has_key(keys, place, key))
        return;
    keys->n--;
    memmove(keys->bytes[place], keys->bytes[place + 1], (keys->n - place) * LONGEST_KEY);
    memmove(&keys->lens[place], &keys->lens[place + 1], (keys->n - place) * sizeof(size_t));
}

static void put_drawn(struct fixture *fixture, struct keys *all, unsigned *seed)
{
    char bytes[LONGEST_KEY];
    struct kv_slice key = draw_key(seed, bytes);
    run(fixture, call_set(key, ONE));
    insert(all, key);
}

static void delete_drawn(struct fixture *fixture, struct keys *all, unsigned *seed)
{
    struct kv_slice key = key_at(all, draw(seed, all->n));
    assert_status(fixture, call_delete(key), KV_OK);
    erase(all, key);
}

/* The more keys exist, the more are deleted. */
static void stir(struct fixture *fixture, struct keys *all, unsigned *seed)
{
    if (draw(seed, MOST_KEYS) > all->n)
        put_drawn(fixture, all, seed);
    else
        delete_drawn(fixture, all, seed);
}

static void walk_returns_all_keys_in_order_between_writes(void **state)
{
    struct fixture *fixture = seeking(state);
    static struct keys all;
    unsigned seed = 1;
    all.n = 0;
    for (int i = 0; i < 1000; i++) {
        char start[LONGEST_KEY];
        char prefix[LONGEST_KEY];
        struct walk walk = {.start = draw_key(&seed, start), .prefix = draw_key(&seed, prefix)};
        stir(fixture, &all, &seed);
        walk.capacity = 1 + (uint32_t)draw(&seed, SCAN_CAPACITY);
        walk.prefix.len = draw(&seed, 3) == 0 ? draw(&seed, walk.prefix.len + 1) : 0;
        if (i % 10 == 0)
            assert_walk(fixture, &all, &walk);
    }
}

enum {
    CROWD = 3000,
    CROWD_VECTOR = 100
};

/* Keys on both sides of the prefix "m". */
static void put_crowd(struct fixture *fixture)
{
    static char names[CROWD_VECTOR][16];
    struct call calls[CROWD_VECTOR];
    for (int i = 0; i < CROWD; i += CROWD_VECTOR) {
        for (int j = 0; j < CROWD_VECTOR; j++) {
            snprintf(names[j], sizeof(names[j]), "%c%04d", j % 2 == 0 ? 'a' : 'z', i + j);
            calls[j] = call_set(kv_slice_of(names[j]), ONE);
        }
        run_all(fixture, calls, CROWD_VECTOR);
    }
}

/* A store that examined other keys would need many pages. */
static void few_keys_among_many_fit_in_one_page(void **state)
{
    struct fixture *fixture = seeking(state);
    static struct keys all;
    all.n = 0;
    put_crowd(fixture);
    for (int i = 0; i < 5; i++) {
        char key[8];
        snprintf(key, sizeof(key), "m%d", i);
        put(fixture, kv_slice_of(key), ONE);
        append(&all, kv_slice_of(key));
    }
    struct walk walk = {.prefix = KV_SLICE("m"), .start = KV_SLICE("m2"), .capacity = 10};
    assert_int_equal(assert_walk(fixture, &all, &walk), 1);
}

/* ---- concurrent writes ---- */

enum {
    STAYING = 300,
    WRITES_EACH = 3000,
    LEAST_WALKS = 5
};

struct writer {
    struct fixture *fixture;
    atomic_int *n_at_work;
    uint32_t loop;
    pthread_t id;
};

/* Puts and deletes keys between the permanent ones. */
static void *put_and_delete(void *arg)
{
    struct writer *here = arg;
    unsigned seed = here->loop;
    for (int i = 0; i < WRITES_EACH; i++) {
        char name[16];
        snprintf(name, sizeof(name), "k%03zu-%u%zu", draw(&seed, STAYING), here->loop,
                 draw(&seed, 5));
        struct kv_slice key = kv_slice_of(name);
        struct call call = draw(&seed, 2) == 0 ? call_delete(key) : call_set(key, ONE);
        submit(here->fixture, here->loop, &call, 1);
        if (!wait_for(here->fixture, &call, 1))
            break;
    }
    atomic_fetch_sub(here->n_at_work, 1);
    return NULL;
}

struct trail {
    char last[16];
    int n_staying;
};

static void follow(struct walk *walk, const struct kv_scan_entry *entry)
{
    struct trail *trail = walk->context;
    char name[16] = "";
    assert_true(entry->key.len < sizeof(name));
    memcpy(name, entry->key.bytes, entry->key.len);
    assert_true(strcmp(trail->last, name) < 0);
    memcpy(trail->last, name, sizeof(name));
    trail->n_staying += strchr(name, '-') == NULL;
}

static void put_staying(struct fixture *fixture)
{
    for (int i = 0; i < STAYING; i++) {
        char name[16];
        snprintf(name, sizeof(name), "k%03d", i);
        put(fixture, kv_slice_of(name), ONE);
    }
}

static void permanent_keys_are_returned_once_and_in_order_during_writes(void **state)
{
    struct fixture *fixture = seeking(state);
    struct writer writers[N_LOOPS];
    atomic_int n_at_work = N_LOOPS - 1;
    put_staying(fixture);
    for (uint32_t i = 1; i < N_LOOPS; i++) {
        writers[i] = (struct writer){fixture, &n_at_work, i, 0};
        assert_int_equal(pthread_create(&writers[i].id, NULL, put_and_delete, &writers[i]), 0);
    }
    for (uint32_t i = 0; i < LEAST_WALKS || atomic_load(&n_at_work) > 0; i++) {
        struct trail trail = {.last = ""};
        struct walk walk = {.each = follow, .context = &trail, .capacity = 1 + i * 7 % 40};
        walk_all(fixture, &walk);
        assert_int_equal(trail.n_staying, STAYING);
    }
    for (uint32_t i = 1; i < N_LOOPS; i++)
        pthread_join(writers[i].id, NULL);
}

int run_seek_tests(void)
{
    const struct CMUnitTest tests[] = {
        CONTRACT_TEST(scan_begins_at_its_start),
        CONTRACT_TEST(scan_respects_both_start_and_prefix),
        CONTRACT_TEST(scan_of_an_empty_store_from_a_start_ends),
        CONTRACT_TEST(start_may_be_long),
        CONTRACT_TEST(walk_returns_all_keys_in_order_between_writes),
        CONTRACT_TEST(few_keys_among_many_fit_in_one_page),
        CONTRACT_TEST(permanent_keys_are_returned_once_and_in_order_during_writes),
    };
    return cmocka_run_group_tests_name("seeks", tests, NULL, NULL);
}
