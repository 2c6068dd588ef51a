/* The stream of records that a client sends: cuts anywhere, and each message and fault. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net/tls_input.h"

#define KEY_UPDATE "\x18\0\0\1\0"
#define REQUEST    "\x18\0\0\1\1" /* a KeyUpdate that asks for another */

enum {
    SUITE = 0x1301,
    NONE = 0,           /* no alert */
    TOGETHER = 1 << 20, /* longer than anything sent */
};

static struct kv_tls_records *server, *client;
static struct kv_tls_input input;
static struct kv_buffer sent; /* by the client */
static struct kv_buffer got;  /* its text */

static int begin(void **state)
{
    struct kv_tls_secret one = {.bytes = "client", .len = 32}, two = {.bytes = "server", .len = 32};
    (void)state;
    server = kv_tls_records_create(SUITE, &one, &two, 0);
    client = kv_tls_records_create(SUITE, &two, &one, 0);
    input = (struct kv_tls_input){0};
    return server == NULL || client == NULL ? -1 : 0;
}

static int end(void **state)
{
    (void)state;
    kv_tls_records_destroy(server);
    kv_tls_records_destroy(client);
    kv_tls_input_fini(&input);
    kv_buffer_fini(&sent);
    kv_buffer_fini(&got);
    return 0;
}

static void again(void)
{
    end(NULL);
    begin(NULL);
}

/* type: also others than TLS has. */
static void send(unsigned type, struct kv_slice text)
{
    assert_int_equal(kv_tls_records_seal(client, (enum kv_tls_type)type, text, &sent), 0);
}

static void send_text(const char *text)
{
    send(KV_TLS_TEXT, kv_slice_of(text));
}

/* Changes the client's key, as it must after a KeyUpdate. */
static void change_key(void)
{
    struct kv_buffer unsent = {0};
    assert_int_equal(kv_tls_records_renew_own(client, &unsent), 0);
    kv_buffer_fini(&unsent);
}

static void send_update(struct kv_slice message)
{
    send(KV_TLS_HANDSHAKE, message);
    change_key();
}

/* Has the bytes arrive, in pieces of that length, which are overwritten afterwards. */
static enum kv_tls_came arrive(struct kv_slice bytes, size_t piece)
{
    enum kv_tls_came came = KV_TLS_CAME_NOTHING;
    while (bytes.len != 0 && came == KV_TLS_CAME_NOTHING) {
        size_t n = bytes.len < piece ? bytes.len : piece;
        char *copy = malloc(n);
        struct kv_tls_bytes arrived = {memcpy(copy, bytes.bytes, n), n};
        struct kv_slice text;
        kv_tls_input_begin(&input);
        while ((came = kv_tls_input_next(&input, server, &arrived, &text)) == KV_TLS_CAME_TEXT) {
            assert_true(text.len != 0);
            kv_buffer_append(&got, text);
        }
        free(copy);
        bytes = (struct kv_slice){bytes.bytes + n, bytes.len - n};
    }
    return came;
}

/* All that was sent. */
static enum kv_tls_came arrive_together(void)
{
    enum kv_tls_came came = arrive(kv_buffer_slice(&sent), TOGETHER);
    sent.len = 0;
    return came;
}

static void expect_got(const char *text)
{
    assert_true(kv_slice_equals(kv_buffer_slice(&got), kv_slice_of(text)));
    got.len = 0;
}

static void expect_fault(int alert)
{
    assert_int_equal(arrive_together(), KV_TLS_CAME_BROKEN);
    assert_int_equal(input.alert, alert);
    again();
}

static void records_arrive_however_they_are_cut(void **state)
{
    (void)state;
    for (size_t piece = 1; piece < 120; piece++) {
        send_text("one, ");
        send(KV_TLS_TEXT, KV_SLICE(""));
        send_text("two, ");
        send_update(KV_SLICE(KEY_UPDATE));
        send_text("three");
        assert_int_equal(arrive(kv_buffer_slice(&sent), piece), KV_TLS_CAME_NOTHING);
        expect_got("one, two, three");
        assert_null(input.partial.bytes);
        again();
    }
}

static void longest_record_is_kept_until_it_is_complete(void **state)
{
    static char text[KV_TLS_MOST_TEXT];
    (void)state;
    memset(text, 'a', sizeof(text));
    send(KV_TLS_TEXT, (struct kv_slice){text, sizeof(text)});
    struct kv_slice but_one = {sent.bytes, sent.len - 1};
    assert_int_equal(arrive(but_one, 1000), KV_TLS_CAME_NOTHING);
    assert_int_equal(got.len, 0);
    assert_int_equal(input.partial.len, but_one.len);
    assert_int_equal(input.partial.capacity, but_one.len);
    assert_int_equal(arrive((struct kv_slice){sent.bytes + but_one.len, 1}, 1),
                     KV_TLS_CAME_NOTHING);
    assert_true(kv_slice_equals(kv_buffer_slice(&got), (struct kv_slice){text, sizeof(text)}));
    assert_null(input.partial.bytes);
}

/* Before the rest of the record has arrived, and with it. */
static void headers_that_are_not_allowed_are_refused_at_once(void **state)
{
    static const struct {
        struct kv_slice header;
        int alert;
    } cases[] = {
        {{"\x14\3\3\0\1", 5}, KV_TLS_UNEXPECTED_MESSAGE}, /* ChangeCipherSpec */
        {{"\x15\3\3\0\2", 5}, KV_TLS_UNEXPECTED_MESSAGE}, /* in clear */
        {{"\x16\3\3\0\40", 5}, KV_TLS_UNEXPECTED_MESSAGE},
        {{"GET /", 5}, KV_TLS_UNEXPECTED_MESSAGE},
        {{"\x17\3\3\x41\1", 5}, KV_TLS_RECORD_OVERFLOW}, /* 16,641 */
        {{"\x17\3\3\xff\xff", 5}, KV_TLS_RECORD_OVERFLOW},
        {{"\x17\3\3\0\0", 5}, KV_TLS_BAD_RECORD_MAC},
        {{"\x17\3\3\0\x10", 5}, KV_TLS_BAD_RECORD_MAC},
    };
    static const char rest[70000];
    (void)state;
    for (size_t i = 0; i < 3 * sizeof(cases) / sizeof(cases[0]); i++) {
        kv_buffer_append(&sent, cases[i / 3].header);
        if (i % 3 == 1)
            kv_buffer_append(&sent, (struct kv_slice){rest, sizeof(rest)});
        if (i % 3 == 2) {
            assert_int_equal(arrive(kv_buffer_slice(&sent), 1), KV_TLS_CAME_BROKEN);
            assert_int_equal(input.alert, cases[i / 3].alert);
            again();
        } else {
            expect_fault(cases[i / 3].alert);
        }
    }
}

static void contents_that_are_not_allowed_are_refused(void **state)
{
    static const struct {
        unsigned type;
        struct kv_slice text;
        int alert;
    } cases[] = {
        {0, {"\0\0\0", 3}, KV_TLS_UNEXPECTED_MESSAGE}, /* no type */
        {20, {"\1", 1}, KV_TLS_UNEXPECTED_MESSAGE},
        {24, {"heartbeat", 9}, KV_TLS_UNEXPECTED_MESSAGE},
        {KV_TLS_ALERT, {"", 0}, KV_TLS_UNEXPECTED_MESSAGE},
        {KV_TLS_ALERT, {"\1", 1}, KV_TLS_DECODE_ERROR},
        {KV_TLS_ALERT, {"\1\0\1\0", 4}, KV_TLS_DECODE_ERROR},
        {KV_TLS_HANDSHAKE, {"", 0}, KV_TLS_UNEXPECTED_MESSAGE},
        {KV_TLS_HANDSHAKE, {"\1\0\0\1\0", 5}, KV_TLS_UNEXPECTED_MESSAGE}, /* ClientHello */
        {KV_TLS_HANDSHAKE, {"\x18\0\0\2\0\0", 6}, KV_TLS_DECODE_ERROR},
        {KV_TLS_HANDSHAKE, {"\x18\0\1", 3}, KV_TLS_DECODE_ERROR},
        {KV_TLS_HANDSHAKE, {"\x18\0\0\1\2", 5}, KV_TLS_ILLEGAL_PARAMETER},
        {KV_TLS_HANDSHAKE, {KEY_UPDATE KEY_UPDATE, 10}, KV_TLS_UNEXPECTED_MESSAGE},
        {KV_TLS_HANDSHAKE, {KEY_UPDATE "\x18", 6}, KV_TLS_UNEXPECTED_MESSAGE},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        send_text("text");
        send(cases[i].type, cases[i].text);
        send_text("more");
        assert_int_equal(arrive_together(), KV_TLS_CAME_BROKEN);
        assert_int_equal(input.alert, cases[i].alert);
        expect_got("text");
        again();
    }
}

static void changed_record_is_refused(void **state)
{
    (void)state;
    send_text("text");
    sent.bytes[sent.len - 1] ^= 1;
    expect_fault(KV_TLS_BAD_RECORD_MAC);
}

static void key_update_may_be_split_but_not_interrupted(void **state)
{
    (void)state;
    for (size_t first = 1; first < 5; first++) {
        send(KV_TLS_HANDSHAKE, (struct kv_slice){REQUEST, first});
        send_update((struct kv_slice){REQUEST + first, 5 - first});
        send_text("after");
        assert_int_equal(arrive_together(), KV_TLS_CAME_NOTHING);
        assert_true(input.owes_update);
        expect_got("after");
        again();
        send(KV_TLS_HANDSHAKE, (struct kv_slice){KEY_UPDATE, first});
        send_text("between");
        expect_fault(KV_TLS_UNEXPECTED_MESSAGE);
        send(KV_TLS_HANDSHAKE, (struct kv_slice){KEY_UPDATE, first});
        send(KV_TLS_ALERT, KV_SLICE("\1\0"));
        expect_fault(KV_TLS_UNEXPECTED_MESSAGE);
    }
}

static void only_requested_key_updates_are_owed(void **state)
{
    (void)state;
    send_update(KV_SLICE(KEY_UPDATE));
    send_text("a");
    assert_int_equal(arrive_together(), KV_TLS_CAME_NOTHING);
    assert_false(input.owes_update);
    send_update(KV_SLICE(REQUEST));
    send_update(KV_SLICE(KEY_UPDATE));
    send_text("b");
    assert_int_equal(arrive_together(), KV_TLS_CAME_NOTHING);
    assert_true(input.owes_update);
    expect_got("ab");
}

static void key_updates_are_limited_at_once_and_without_text(void **state)
{
    (void)state;
    for (int i = 0; i < 3 * KV_TLS_MOST_UPDATES; i++) { /* with text between them */
        send_update(KV_SLICE(KEY_UPDATE));
        send_text("x");
        assert_int_equal(arrive_together(), KV_TLS_CAME_NOTHING);
    }
    again();
    for (int i = 0; i < KV_TLS_MOST_UPDATES; i++) { /* an empty text is none */
        send_update(KV_SLICE(KEY_UPDATE));
        send(KV_TLS_TEXT, KV_SLICE(""));
        assert_int_equal(arrive_together(), KV_TLS_CAME_NOTHING);
    }
    send_update(KV_SLICE(KEY_UPDATE));
    expect_fault(KV_TLS_UNEXPECTED_MESSAGE);
    for (int i = 0; i <= KV_TLS_MOST_UPDATES; i++) {
        send_update(KV_SLICE(KEY_UPDATE));
        send_text("x");
    }
    expect_fault(KV_TLS_UNEXPECTED_MESSAGE);
}

static void close_notify_ends_the_input(void **state)
{
    (void)state;
    send_text("text");
    send(KV_TLS_ALERT, KV_SLICE("\1\0"));
    send_text("ignored");
    kv_buffer_append(&sent, KV_SLICE("and garbage"));
    assert_int_equal(arrive_together(), KV_TLS_CAME_END);
    kv_buffer_append(&sent, KV_SLICE("garbage"));
    assert_int_equal(arrive_together(), KV_TLS_CAME_END);
    assert_int_equal(input.alert, NONE);
    expect_got("text");
}

static void user_canceled_is_ignored_and_other_alerts_break_the_connection(void **state)
{
    (void)state;
    send(KV_TLS_ALERT, KV_SLICE("\1\x5a"));
    send_text("text");
    assert_int_equal(arrive_together(), KV_TLS_CAME_NOTHING);
    expect_got("text");
    send(KV_TLS_ALERT, KV_SLICE("\2\x2a"));
    expect_fault(NONE);
    send(KV_TLS_ALERT, KV_SLICE("\1\x50")); /* its level means nothing */
    expect_fault(NONE);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(records_arrive_however_they_are_cut),
        TEST(longest_record_is_kept_until_it_is_complete),
        TEST(headers_that_are_not_allowed_are_refused_at_once),
        TEST(contents_that_are_not_allowed_are_refused),
        TEST(changed_record_is_refused),
        TEST(key_update_may_be_split_but_not_interrupted),
        TEST(only_requested_key_updates_are_owed),
        TEST(key_updates_are_limited_at_once_and_without_text),
        TEST(close_notify_ends_the_input),
        TEST(user_canceled_is_ignored_and_other_alerts_break_the_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
