/*
 * Long bursts on one connection, every answer of which a model predicts: there is a single writer,
 * so the states of each key are a known sequence of versions.
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
    MESSAGES = 10000,
    KEYS = 8,
    NO_VALUE = -1,
};

/* A key's states in their order: the number stored, or NO_VALUE. The first is "missing". */
struct key_model {
    int versions[MESSAGES + 1];
    int n_versions;
    int n_told;        /* changes that came: versions 1 to n_told */
    int newest_shown;  /* version, by a change or by a get */
    int acknowledged;  /* version, by the newest `ok` of a set */
    uint64_t revision; /* of that version */
};

/* The expected answer to a message. */
struct expected {
    enum {
        NOTHING,
        STATE,
        OK
    } kind;
    int key;
    int version; /* STATE and OK: the key's version when the message took effect */
    bool is_set; /* OK */
};

struct model {
    struct key_model keys[KEYS];
    struct expected answers[MESSAGES];
};

static int newest_state(const struct key_model *key)
{
    return key->versions[key->n_versions - 1];
}

static struct model *model_create(void)
{
    struct model *model = kv_calloc(1, sizeof(*model));
    for (int i = 0; i < KEYS; i++)
        model->keys[i] = (struct key_model){.versions = {NO_VALUE}, .n_versions = 1};
    return model;
}

static void model_write(struct model *model, int key, int state)
{
    struct key_model *known = &model->keys[key];
    if (newest_state(known) != state)
        known->versions[known->n_versions++] = state;
}

/* Queues message `i`, random but for its id, and notes what must come back. */
static void put_message(struct kv_test_ws *ws, struct model *model, int i, const char *prefix)
{
    struct expected *answer = &model->answers[i];
    int key = rand() % KEYS;
    int choice = rand() % 10;
    bool has_id = choice >= 8;
    *answer = (struct expected){.kind = has_id ? OK : NOTHING, .key = key};
    char id[32] = "";
    if (has_id || choice < 4)
        snprintf(id, sizeof(id), "\"id\":%d,", i);
    if (choice < 4) {
        answer->kind = STATE;
        kv_test_ws_put_text(ws, "{\"type\":\"get\",%s\"payload\":{\"key\":\"%s%d\"}}", id, prefix,
                            key);
    } else if (choice == 4 || choice == 8) {
        model_write(model, key, NO_VALUE);
        kv_test_ws_put_text(ws, "{\"type\":\"delete\",%s\"payload\":{\"key\":\"%s%d\"}}", id,
                            prefix, key);
    } else {
        int value = rand() % 3;
        answer->is_set = true;
        model_write(model, key, value);
        kv_test_ws_put_text(ws, "{\"type\":\"set\",%s\"payload\":{\"key\":\"%s%d\",\"value\":%d}}",
                            id, prefix, key, value);
    }
    answer->version = model->keys[key].n_versions - 1;
}

/* A state as the server tells it. id: NULL for a change. */
static struct kv_buffer state_text(const char *prefix, int key, int state, const int *id)
{
    struct kv_buffer text = {0};
    kv_buffer_printf(&text, "{\"type\":\"%s\",", state == NO_VALUE ? "no-value" : "value");
    if (id != NULL)
        kv_buffer_printf(&text, "\"id\":%d,", *id);
    kv_buffer_printf(&text, "\"payload\":{\"key\":\"%s%d\"", prefix, key);
    if (state != NO_VALUE)
        kv_buffer_printf(&text, ",\"value\":%d", state);
    kv_buffer_printf(&text, "}}");
    return text;
}

static bool is_state(struct kv_slice text, const char *prefix, int key, int state, const int *id)
{
    struct kv_buffer expected = state_text(prefix, key, state, id);
    bool is_equal = kv_slice_equals(text, kv_buffer_slice(&expected));
    kv_buffer_fini(&expected);
    return is_equal;
}

/* The `ok` of a set bears the revision of the version that it made, or that it left as it was. */
static void check_revision(struct model *model, const struct expected *answer, uint64_t revision)
{
    struct key_model *key = &model->keys[answer->key];
    if (answer->version == key->acknowledged)
        assert_int_equal(revision, key->revision);
    else
        assert_true(revision > key->revision);
    key->acknowledged = answer->version;
    key->revision = revision;
}

static bool is_expected_answer(struct model *model, int i, struct kv_slice text, const char *prefix)
{
    const struct expected *answer = &model->answers[i];
    const struct key_model *key = &model->keys[answer->key];
    if (answer->kind == STATE)
        return is_state(text, prefix, answer->key, key->versions[answer->version], &i);
    char id[16], name[32];
    uint64_t revision;
    snprintf(id, sizeof(id), "%d", i);
    snprintf(name, sizeof(name), "\"%s%d\"", prefix, answer->key);
    if (!kv_test_ws_is_ok(text, id, name, &revision))
        return false;
    if (answer->is_set)
        check_revision(model, answer, revision);
    return true;
}

static void fail_with(struct kv_slice text, int i)
{
    print_error("not what message %d is answered with: %.*s\n", i, (int)text.len, text.bytes);
    fail();
}

static int next_answer(const struct model *model, int i)
{
    while (i < MESSAGES && model->answers[i].kind == NOTHING)
        i++;
    return i;
}

static void burst_of_ten_thousand_messages_is_answered_in_order(void **state)
{
    struct kv_test_ws ws;
    struct model *model = model_create();
    srand(11);
    kv_test_ws_open(&ws, kv_test_port(state));
    for (int i = 0; i < MESSAGES; i++)
        put_message(&ws, model, i, "burst-");
    kv_test_stream_flush(&ws.stream);
    for (int i = next_answer(model, 0); i < MESSAGES; i = next_answer(model, i + 1)) {
        struct kv_test_frame frame;
        assert_true(kv_test_ws_receive(&ws, &frame));
        if (!is_expected_answer(model, i, frame.payload, "burst-"))
            fail_with(frame.payload, i);
    }
    kv_test_ws_expect_nothing(&ws);
    kv_test_ws_close(&ws);
    free(model);
}

/* A message without id is the next change of one of the keys. Returns: whether it was that. */
static bool take_change(struct model *model, struct kv_slice text, const char *prefix)
{
    for (int i = 0; i < KEYS; i++) {
        struct key_model *key = &model->keys[i];
        int version = key->n_told + 1;
        if (version >= key->n_versions || !is_state(text, prefix, i, key->versions[version], NULL))
            continue;
        assert_true(version >= key->newest_shown);
        key->n_told = version;
        key->newest_shown = version;
        return true;
    }
    return false;
}

/* A get shows the state of its place in the order, and nothing older than what was shown. */
static void note_shown(struct model *model, const struct expected *answer)
{
    struct key_model *key = &model->keys[answer->key];
    if (answer->kind != STATE)
        return;
    assert_true(answer->version >= key->newest_shown);
    key->newest_shown = answer->version;
}

static bool all_is_told(const struct model *model)
{
    for (int i = 0; i < KEYS; i++)
        if (model->keys[i].n_told < model->keys[i].n_versions - 1)
            return false;
    return true;
}

static bool has_id(struct kv_slice text)
{
    return memmem(text.bytes, text.len, "\"id\":", 5) != NULL;
}

/* Receives answers and changes, mixed as they come, until there are no more to come. */
static void receive_all(struct kv_test_ws *ws, struct model *model, const char *prefix)
{
    int i = next_answer(model, 0);
    while (i < MESSAGES || !all_is_told(model)) {
        struct kv_test_frame frame;
        assert_true(kv_test_ws_receive(ws, &frame));
        if (!has_id(frame.payload)) {
            if (!take_change(model, frame.payload, prefix))
                fail_with(frame.payload, i);
        } else {
            if (i == MESSAGES || !is_expected_answer(model, i, frame.payload, prefix))
                fail_with(frame.payload, i);
            note_shown(model, &model->answers[i]);
            i = next_answer(model, i + 1);
        }
    }
}

static void burst_over_subscribed_keys_never_shows_an_older_state(void **state)
{
    struct kv_test_ws ws;
    struct model *model = model_create();
    srand(12);
    kv_test_ws_open(&ws, kv_test_port(state));
    for (int i = 0; i < KEYS; i++)
        kv_test_ws_put_text(&ws, "{\"type\":\"subscribe\",\"payload\":{\"key\":\"shown-%d\"}}", i);
    for (int i = 0; i < MESSAGES; i++)
        put_message(&ws, model, i, "shown-");
    kv_test_stream_flush(&ws.stream);
    receive_all(&ws, model, "shown-");
    kv_test_ws_expect_nothing(&ws);
    kv_test_ws_close(&ws);
    free(model);
}

static void errors_within_a_burst_keep_their_places(void **state)
{
    struct kv_test_ws ws;
    kv_test_ws_open(&ws, kv_test_port(state));
    for (int i = 0; i < 1000; i++) {
        kv_test_ws_put_text(&ws, "{\"type\":\"set\",\"payload\":{\"key\":\"e\",\"value\":%d}}", i);
        kv_test_ws_put_text(&ws, "{\"type\":\"get\",\"payload\":{\"key\":\"e\"}}");
        kv_test_ws_put_text(&ws, "{\"type\":\"set\",\"id\":%d,\"payload\":{\"key\":\"e\"}}", i);
    }
    kv_test_stream_flush(&ws.stream);
    for (int i = 0; i < 1000; i++) {
        char id[16];
        snprintf(id, sizeof(id), "%d", i);
        kv_test_ws_expect(&ws, "{\"type\":\"value\",\"payload\":{\"key\":\"e\",\"value\":%d}}", i);
        kv_test_ws_expect_error(&ws, id);
    }
    kv_test_ws_close(&ws);
}

static void bursts_of_many_connections_do_not_mix(void **state)
{
    enum {
        CONNECTIONS = 16,
        GETS = 500
    };
    struct kv_test_ws all[CONNECTIONS];
    for (int c = 0; c < CONNECTIONS; c++) {
        kv_test_ws_open(&all[c], kv_test_port(state));
        for (int i = 0; i < GETS; i++) {
            kv_test_ws_put_text(
                &all[c], "{\"type\":\"set\",\"payload\":{\"key\":\"mix-%d\",\"value\":%d}}", c, i);
            kv_test_ws_put_text(&all[c], "{\"type\":\"get\",\"payload\":{\"key\":\"mix-%d\"}}", c);
        }
    }
    for (int c = 0; c < CONNECTIONS; c++)
        kv_test_stream_flush(&all[c].stream);
    for (int c = 0; c < CONNECTIONS; c++) {
        for (int i = 0; i < GETS; i++)
            kv_test_ws_expect(&all[c],
                              "{\"type\":\"value\",\"payload\":{\"key\":\"mix-%d\",\"value\":%d}}",
                              c, i);
        kv_test_ws_close(&all[c]);
    }
}

/* ---- messages that are too long to be read on the loop ---- */

enum {
    LONG = 3 << 20
};

/* `set` of a long value with the id 1; the value is a JSON array of a letter and a filler. */
static void put_long_set(struct kv_test_ws *ws, const char *key, char letter)
{
    char *filler = kv_test_letters(letter, LONG);
    kv_test_ws_put_text(
        ws, "{\"type\":\"set\",\"id\":1,\"payload\":{\"key\":\"%s\",\"value\":[\"%s\"]}}", key,
        filler);
    free(filler);
}

static void messages_after_a_long_one_take_effect_after_it(void **state)
{
    struct kv_test_ws ws;
    kv_test_ws_open(&ws, kv_test_port(state));
    put_long_set(&ws, "long", 'a');
    kv_test_ws_put_text(&ws,
                        "{\"type\":\"set\",\"id\":2,\"payload\":{\"key\":\"long\",\"value\":1}}");
    kv_test_ws_put_text(&ws, "{\"type\":\"nonsense\",\"id\":3,\"payload\":{}}");
    kv_test_ws_put_frame(&ws, KV_TEST_WS_FINAL | KV_TEST_WS_BINARY, KV_SLICE("x"));
    kv_test_ws_put_text(&ws, "{\"type\":\"get\",\"id\":4,\"payload\":{\"key\":\"long\"}}");
    put_long_set(&ws, "long", 'b');
    kv_test_ws_put_text(&ws, "{\"type\":\"delete\",\"id\":6,\"payload\":{\"key\":\"long\"}}");
    kv_test_stream_flush(&ws.stream);
    kv_test_ws_expect_ok(&ws, "1", "\"long\"");
    kv_test_ws_expect_ok(&ws, "2", "\"long\"");
    kv_test_ws_expect_error(&ws, "3");
    kv_test_ws_expect_error(&ws, NULL);
    kv_test_ws_expect(&ws,
                      "{\"type\":\"value\",\"id\":4,\"payload\":{\"key\":\"long\",\"value\":1}}");
    kv_test_ws_expect_ok(&ws, "1", "\"long\"");
    assert_true(kv_test_ws_expect_ok(&ws, "6", "\"long\"") > 0);
    kv_test_ws_close(&ws);
}

static void long_message_before_a_close_is_answered(void **state)
{
    struct kv_test_ws ws;
    kv_test_ws_open(&ws, kv_test_port(state));
    put_long_set(&ws, "last words", 'c');
    kv_test_ws_send_frame(&ws, KV_TEST_WS_FINAL | KV_TEST_WS_CLOSE, KV_SLICE("\x03\xe8"));
    kv_test_ws_expect_ok(&ws, "1", "\"last words\"");
    kv_test_ws_expect_frame(&ws, KV_TEST_WS_CLOSE, KV_SLICE("\x03\xe8"));
    kv_test_ws_close(&ws);
}

static void long_message_with_a_fault_is_an_error_with_an_offset(void **state)
{
    struct kv_test_ws ws;
    struct kv_test_frame frame;
    char *filler = kv_test_letters('d', LONG);
    kv_test_ws_open(&ws, kv_test_port(state));
    kv_test_ws_send_text(&ws, "{\"type\":\"get\",\"payload\":{\"key\":\"k\",\"value\":[\"%s\"}}",
                         filler);
    assert_true(kv_test_ws_receive(&ws, &frame));
    assert_true(kv_slice_has_prefix(
        frame.payload, KV_SLICE("{\"type\":\"error\",\"payload\":\"bad JSON at byte 31457")));
    kv_test_ws_expect_nothing(&ws);
    kv_test_ws_close(&ws);
    free(filler);
}

static void client_that_leaves_while_its_long_message_is_read_is_harmless(void **state)
{
    for (int i = 0; i < 10; i++) {
        struct kv_test_ws ws;
        kv_test_ws_open(&ws, kv_test_port(state));
        put_long_set(&ws, "gone", 'e');
        kv_test_stream_flush(&ws.stream);
        kv_test_ws_close(&ws);
    }
    kv_test_store(kv_test_port(state), "well", "1");
    kv_test_expect_value(kv_test_port(state), "well", "1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(burst_of_ten_thousand_messages_is_answered_in_order),
        cmocka_unit_test(burst_over_subscribed_keys_never_shows_an_older_state),
        cmocka_unit_test(errors_within_a_burst_keep_their_places),
        cmocka_unit_test(bursts_of_many_connections_do_not_mix),
        cmocka_unit_test(messages_after_a_long_one_take_effect_after_it),
        cmocka_unit_test(long_message_before_a_close_is_answered),
        cmocka_unit_test(long_message_with_a_fault_is_an_error_with_an_offset),
        cmocka_unit_test(client_that_leaves_while_its_long_message_is_read_is_harmless),
    };
    return cmocka_run_group_tests(tests, kv_test_group_start, kv_test_group_stop);
}
