/*
 * Many writers and many subscribers at once. Values say which write they come from, so that every
 * subscriber's view can be compared with the order in which the changes happened.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "fixture.h"

enum {
    WRITERS = 4,
    SUBSCRIBERS = 4,
    KEYS = 8,
    WRITES = 1000, /* of each writer */
    BATCH = 20,    /* messages that a writer queues between two turns */
};

/* A change as a subscriber was told it. */
struct sighting {
    int writer;
    int number;
};

struct sightings {
    struct sighting all[WRITERS * WRITES];
    int n;
};

struct crowd {
    const char *prefix;
    struct kv_test_ws writers[WRITERS];
    struct kv_test_ws subscribers[SUBSCRIBERS];
    int n_written[WRITERS];
    int n_acknowledged[WRITERS];
    int key_of[WRITERS][WRITES];
    uint64_t revision_of[WRITERS][WRITES];
    struct sightings seen[SUBSCRIBERS][KEYS];
    struct sightings seen_of_all_keys[SUBSCRIBERS];
};

static struct crowd *crowd_open(uint16_t port, const char *prefix)
{
    struct crowd *crowd = kv_calloc(1, sizeof(*crowd));
    crowd->prefix = prefix;
    for (int i = 0; i < WRITERS; i++)
        kv_test_ws_open(&crowd->writers[i], port);
    for (int i = 0; i < SUBSCRIBERS; i++) {
        kv_test_ws_open(&crowd->subscribers[i], port);
        for (int key = 0; key < KEYS; key++)
            kv_test_ws_put_text(&crowd->subscribers[i],
                                "{\"type\":\"subscribe\",\"payload\":{\"key\":\"%s%d\"}}", prefix,
                                key);
        kv_test_ws_expect_nothing(&crowd->subscribers[i]);
    }
    return crowd;
}

static void crowd_close(struct crowd *crowd)
{
    for (int i = 0; i < WRITERS; i++)
        kv_test_ws_close(&crowd->writers[i]);
    for (int i = 0; i < SUBSCRIBERS; i++)
        kv_test_ws_close(&crowd->subscribers[i]);
    free(crowd);
}

static void put_batch(struct crowd *crowd, int writer, int (*choose_key)(int writer))
{
    for (int i = 0; i < BATCH && crowd->n_written[writer] < WRITES; i++) {
        int number = crowd->n_written[writer]++;
        int key = choose_key(writer);
        crowd->key_of[writer][number] = key;
        kv_test_ws_put_text(
            &crowd->writers[writer],
            "{\"type\":\"set\",\"id\":%d,\"payload\":{\"key\":\"%s%d\",\"value\":[%d,%d]}}", number,
            crowd->prefix, key, writer, number);
    }
}

static void take_acknowledgements(struct crowd *crowd, int writer)
{
    struct kv_test_frame frame;
    while (kv_test_ws_take(&crowd->writers[writer], &frame)) {
        int number = crowd->n_acknowledged[writer]++;
        char id[16], key[32];
        assert_true(number < WRITES);
        snprintf(id, sizeof(id), "%d", number);
        snprintf(key, sizeof(key), "\"%s%d\"", crowd->prefix, crowd->key_of[writer][number]);
        assert_true(kv_test_ws_is_ok(frame.payload, id, key, &crowd->revision_of[writer][number]));
    }
}

static void note_sighting(struct crowd *crowd, int subscriber, struct kv_slice text)
{
    char copy[128];
    char key_at[32];
    struct sighting sighting;
    int key, end = 0;
    assert_true(text.len < sizeof(copy));
    memcpy(copy, text.bytes, text.len);
    copy[text.len] = '\0';
    int n = sscanf(copy,
                   "{\"type\":\"value\",\"payload\":{\"key\":\"%31[a-z-]%d\",\"value\":[%d,%d]}}%n",
                   key_at, &key, &sighting.writer, &sighting.number, &end);
    if (n != 4 || (size_t)end != text.len || strcmp(key_at, crowd->prefix) != 0)
        fail_msg("not a change of these keys: %s", copy);
    assert_in_range(key, 0, KEYS - 1);
    struct sightings *seen = &crowd->seen[subscriber][key];
    assert_true(seen->n < WRITERS * WRITES);
    seen->all[seen->n++] = sighting;
    struct sightings *all = &crowd->seen_of_all_keys[subscriber];
    assert_true(all->n < WRITERS * WRITES);
    all->all[all->n++] = sighting;
}

static void take_sightings(struct crowd *crowd, int subscriber)
{
    struct kv_test_frame frame;
    while (kv_test_ws_take(&crowd->subscribers[subscriber], &frame))
        note_sighting(crowd, subscriber, frame.payload);
}

static bool is_done(const struct crowd *crowd)
{
    for (int i = 0; i < WRITERS; i++)
        if (crowd->n_acknowledged[i] < WRITES)
            return false;
    for (int i = 0; i < SUBSCRIBERS; i++)
        if (crowd->seen_of_all_keys[i].n < WRITERS * WRITES)
            return false;
    return true;
}

/* Writes everything and reads everything; all writes are changes, and nobody falls behind. */
static void crowd_run(struct crowd *crowd, int (*choose_key)(int writer))
{
    struct kv_test_stream *streams[WRITERS + SUBSCRIBERS];
    for (int i = 0; i < WRITERS; i++)
        streams[i] = &crowd->writers[i].stream;
    for (int i = 0; i < SUBSCRIBERS; i++)
        streams[WRITERS + i] = &crowd->subscribers[i].stream;
    while (!is_done(crowd)) {
        for (int i = 0; i < WRITERS; i++)
            put_batch(crowd, i, choose_key);
        assert_true(kv_test_stream_turn(streams, WRITERS + SUBSCRIBERS, KV_TEST_LIMIT_MS));
        for (int i = 0; i < WRITERS; i++)
            take_acknowledgements(crowd, i);
        for (int i = 0; i < SUBSCRIBERS; i++)
            take_sightings(crowd, i);
    }
    for (int i = 0; i < SUBSCRIBERS; i++)
        kv_test_ws_expect_nothing(&crowd->subscribers[i]);
}

static int own_key(int writer)
{
    return writer * (KEYS / WRITERS) + rand() % (KEYS / WRITERS);
}

static int any_key(int writer)
{
    (void)writer;
    return rand() % KEYS;
}

/* The revisions of what was seen grow, over all keys: nothing twice, nothing after something newer.
 */
static void check_order(const struct crowd *crowd, const struct sightings *seen)
{
    uint64_t last = 0;
    for (int i = 0; i < seen->n; i++) {
        const struct sighting *sighting = &seen->all[i];
        assert_in_range(sighting->writer, 0, WRITERS - 1);
        assert_in_range(sighting->number, 0, WRITES - 1);
        uint64_t revision = crowd->revision_of[sighting->writer][sighting->number];
        assert_true(revision > last);
        last = revision;
    }
}

/* The last that was seen is what a reader finds. */
static void check_last_state(struct crowd *crowd, int key, const struct sightings *seen)
{
    struct kv_test_ws *ws = &crowd->writers[0];
    const struct sighting *last = &seen->all[seen->n - 1];
    kv_test_ws_send_text(ws, "{\"type\":\"get\",\"payload\":{\"key\":\"%s%d\"}}", crowd->prefix,
                         key);
    kv_test_ws_expect(ws, "{\"type\":\"value\",\"payload\":{\"key\":\"%s%d\",\"value\":[%d,%d]}}",
                      crowd->prefix, key, last->writer, last->number);
}

static void run_and_check(void **state, const char *prefix, int (*choose_key)(int writer))
{
    struct crowd *crowd = crowd_open(kv_test_port(state), prefix);
    srand(13);
    crowd_run(crowd, choose_key);
    for (int i = 0; i < SUBSCRIBERS; i++) {
        check_order(crowd, &crowd->seen_of_all_keys[i]);
        for (int key = 0; key < KEYS; key++)
            check_last_state(crowd, key, &crowd->seen[i][key]);
    }
    crowd_close(crowd);
}

static void keys_of_one_writer_each_are_seen_in_the_order_of_revisions(void **state)
{
    run_and_check(state, "single-", own_key);
}

static void keys_of_many_writers_are_seen_in_the_order_of_revisions(void **state)
{
    run_and_check(state, "shared-", any_key);
}

static void subscribers_that_come_and_go_do_not_disturb_others(void **state)
{
    enum {
        ROUNDS = 200
    };
    struct kv_test_ws steady, writer, passing;
    kv_test_ws_open(&steady, kv_test_port(state));
    kv_test_ws_open(&writer, kv_test_port(state));
    kv_test_ws_send_text(&steady, "{\"type\":\"subscribe\",\"payload\":{\"key\":\"door\"}}");
    kv_test_ws_expect_nothing(&steady);
    for (int i = 0; i < ROUNDS; i++) {
        kv_test_ws_open(&passing, kv_test_port(state));
        kv_test_ws_send_text(&passing, "{\"type\":\"subscribe\",\"payload\":{\"key\":\"door\"}}");
        kv_test_ws_send_text(&writer,
                             "{\"type\":\"set\",\"payload\":{\"key\":\"door\",\"value\":%d}}", i);
        kv_test_ws_close(&passing);
    }
    for (int i = 0; i < ROUNDS; i++)
        kv_test_ws_expect(&steady,
                          "{\"type\":\"value\",\"payload\":{\"key\":\"door\",\"value\":%d}}", i);
    kv_test_ws_expect_nothing(&steady);
    kv_test_ws_close(&writer);
    kv_test_ws_close(&steady);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_of_one_writer_each_are_seen_in_the_order_of_revisions),
        cmocka_unit_test(keys_of_many_writers_are_seen_in_the_order_of_revisions),
        cmocka_unit_test(subscribers_that_come_and_go_do_not_disturb_others),
    };
    return cmocka_run_group_tests(tests, kv_test_group_start, kv_test_group_stop);
}
