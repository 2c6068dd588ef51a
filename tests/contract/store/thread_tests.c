/*
 * Concurrent loops, each on a thread of its own. Violations are recorded there and asserted on the
 * test's thread; the history of every key is checked at the end, as after each test.
 */
#include "contract/store/fixture.h"

#define KEY KV_SLICE("key")

struct thread {
    struct fixture *fixture;
    uint32_t loop;
    pthread_t id;
};

/* Runs `work` on one thread for each loop, to the end. */
static void run_threads(struct fixture *fixture, void *(*work)(void *))
{
    struct thread threads[N_LOOPS];
    for (uint32_t i = 0; i < N_LOOPS; i++) {
        threads[i] = (struct thread){.fixture = fixture, .loop = i};
        assert_int_equal(pthread_create(&threads[i].id, NULL, work, &threads[i]), 0);
    }
    for (uint32_t i = 0; i < N_LOOPS; i++)
        pthread_join(threads[i].id, NULL);
    assert_no_violation(fixture);
}

/* One command on the thread's loop, to the end. */
static bool run_here(struct thread *here, struct call *call)
{
    submit(here->fixture, here->loop, call, 1);
    return wait_for(here->fixture, call, 1);
}

/* The number written in the slice. */
static long number_of(struct kv_slice slice)
{
    char text[24] = "";
    if (slice.len != 0 && slice.len < sizeof(text))
        memcpy(text, slice.bytes, slice.len);
    return atol(text);
}

/* ---- increments ---- */

enum {
    INCREMENTS = 100
};

/* Reads, adds one, and writes if the revision is unchanged. Returns: the status of the write. */
static enum kv_status increment(struct thread *here)
{
    struct call get = call_get(KEY);
    if (!run_here(here, &get))
        return KV_IO;
    char value[24];
    snprintf(value, sizeof(value), "%ld", number_of(get.cmd.item.value) + 1);
    uint64_t revision = get.cmd.item.revision;
    struct call set = call_set(KEY, kv_slice_of(value));
    set = revision == 0 ? with_cond(set, KV_COND_ABSENT) : with_revisions(set, &revision, 1);
    release(here->fixture, &get.cmd.item);
    return run_here(here, &set) ? set.cmd.status : KV_IO;
}

static void *increment_often(void *arg)
{
    struct thread *here = arg;
    for (int done = 0; done < INCREMENTS;) {
        enum kv_status status = increment(here);
        if (status == KV_OK)
            done++;
        else if (status != KV_CONDITION) {
            note_violation(here->fixture, "an increment ended with status %d", status);
            break;
        }
    }
    return NULL;
}

static void no_conditional_increment_is_lost(void **state)
{
    struct fixture *fixture = *state;
    char expected[16];
    run_threads(fixture, increment_often);
    snprintf(expected, sizeof(expected), "%d", N_LOOPS * INCREMENTS);
    assert_holds(fixture, KEY, kv_slice_of(expected));
    assert_n_told(fixture, (size_t)N_LOOPS * INCREMENTS);
}

/* ---- races for new keys ---- */

enum {
    RACES = 200
};

static void *race(void *arg)
{
    struct thread *here = arg;
    for (int i = 0; i < RACES; i++) {
        char key[16];
        char value[16];
        snprintf(key, sizeof(key), "%d", i);
        snprintf(value, sizeof(value), "%u", here->loop);
        struct call call =
            with_cond(call_set(kv_slice_of(key), kv_slice_of(value)), KV_COND_ABSENT);
        if (!run_here(here, &call))
            break;
    }
    return NULL;
}

static void exactly_one_loop_creates_each_contested_key(void **state)
{
    struct fixture *fixture = *state;
    run_threads(fixture, race);
    assert_n_told(fixture, RACES);
}

/* ---- order as other loops see it ---- */

enum {
    WRITES = 400,
    VECTOR = 8
};

static void *count_up(void *arg)
{
    struct thread *here = arg;
    struct call calls[VECTOR];
    char values[VECTOR][24];
    for (int i = 0; i < WRITES; i += VECTOR) {
        for (int j = 0; j < VECTOR; j++) {
            snprintf(values[j], sizeof(values[j]), "%d", i + j + 1);
            calls[j] = call_set(KEY, kv_slice_of(values[j]));
        }
        submit(here->fixture, here->loop, calls, VECTOR);
        if (!wait_for(here->fixture, calls, VECTOR))
            break;
    }
    return NULL;
}

static void *watch_it_count(void *arg)
{
    struct thread *here = arg;
    for (long seen = 0; seen < WRITES;) {
        struct call call = call_get(KEY);
        if (!run_here(here, &call))
            break;
        long number = number_of(call.cmd.item.value);
        release(here->fixture, &call.cmd.item);
        if (number < seen) {
            note_violation(here->fixture, "%ld was read after %ld", number, seen);
            break;
        }
        seen = number;
    }
    return NULL;
}

/* Loop 0 writes, the others read. */
static void *count_or_watch(void *arg)
{
    struct thread *here = arg;
    return here->loop == 0 ? count_up(arg) : watch_it_count(arg);
}

static void readers_never_see_an_older_state_after_a_newer_one(void **state)
{
    struct fixture *fixture = *state;
    run_threads(fixture, count_or_watch);
    assert_n_told(fixture, WRITES);
}

/* ---- everything at once ---- */

enum {
    STEPS = 300,
    KEYS = 16
};

static struct call random_call(struct thread *here, unsigned *seed, char key[16])
{
    static const char *const values[] = {"1", "22", "333"};
    snprintf(key, 16, "%d", rand_r(seed) % KEYS);
    struct kv_slice name = kv_slice_of(key);
    struct kv_slice value = kv_slice_of(values[rand_r(seed) % 3]);
    switch (rand_r(seed) % 6) {
    case 0:
        return call_delete(name);
    case 1:
        return call_touch(name, now(here->fixture) + rand_r(seed) % 20);
    case 2:
        return call_get(name);
    case 3:
        return call_set(name, value);
    default:
        return call_set_until(name, value, now(here->fixture) + rand_r(seed) % 20);
    }
}

/* Expires the loop's own parts. */
static void expire_here(struct thread *here)
{
    struct fixture *fixture = here->fixture;
    for (uint32_t part = here->loop; part < fixture->info.parts; part += N_LOOPS)
        expire_part(fixture, part, 4);
}

static void *do_anything(void *arg)
{
    struct thread *here = arg;
    unsigned seed = here->loop + 1;
    for (int i = 0; i < STEPS; i++) {
        struct call calls[VECTOR];
        char keys[VECTOR][16];
        for (int j = 0; j < VECTOR; j++)
            calls[j] = random_call(here, &seed, keys[j]);
        submit(here->fixture, here->loop, calls, VECTOR);
        expire_here(here);
        advance(here->fixture, rand_r(&seed) % 3);
        if (!wait_for(here->fixture, calls, VECTOR))
            break;
        for (int j = 0; j < VECTOR; j++)
            release(here->fixture, &calls[j].cmd.item);
    }
    return NULL;
}

static void history_of_every_key_is_complete_after_stress(void **state)
{
    struct fixture *fixture = *state;
    run_threads(fixture, do_anything);
    advance(fixture, 1000);
    expire_all(fixture);
    for (int i = 0; i < KEYS; i++) {
        char key[16];
        snprintf(key, sizeof(key), "%d", i);
        struct call call = run(fixture, call_get(kv_slice_of(key)));
        assert_true(call.cmd.status == KV_MISSING || call.cmd.item.deadline_ms == KV_NEVER);
        release(fixture, &call.cmd.item);
    }
}

int run_thread_tests(void)
{
    const struct CMUnitTest tests[] = {
        CONTRACT_TEST(no_conditional_increment_is_lost),
        CONTRACT_TEST(exactly_one_loop_creates_each_contested_key),
        CONTRACT_TEST(readers_never_see_an_older_state_after_a_newer_one),
        CONTRACT_TEST(history_of_every_key_is_complete_after_stress),
    };
    return cmocka_run_group_tests_name("threads", tests, NULL, NULL);
}
