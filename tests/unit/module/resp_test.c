/* The RESP reader: where messages end, in whatever pieces they arrive, and their content. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "resp.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))

enum {
    MOST = 10000
};

static void append_value(struct kv_buffer *out, const struct resp_value *value)
{
    switch (value->type) {
    case RESP_INTEGER:
    case RESP_BOOLEAN:
    case RESP_ARRAY:
    case RESP_SET:
    case RESP_PUSH:
    case RESP_MAP:
    case RESP_ATTRIBUTE:
        kv_buffer_printf(out, "%c%lld ", value->type, (long long)value->number);
        return;
    default:
        kv_buffer_printf(out, "%c<%.*s> ", value->type, (int)value->text.len, value->text.bytes);
    }
}

/* All values of a message as text. Owns: the caller. */
static struct kv_buffer values_of(struct kv_slice message)
{
    struct kv_buffer out = {0};
    struct resp_value value;
    while (resp_next(&message, &value))
        append_value(&out, &value);
    return out;
}

/* Scans the input in pieces of n bytes. Returns: the outcome; *ret_len: if it ended. */
static int scan(struct kv_slice bytes, size_t piece, size_t max_bytes, size_t *ret_len)
{
    struct resp_scanner scanner;
    int got = 0;
    resp_scanner_begin(&scanner, max_bytes);
    for (size_t len = 0; got == 0 && len < bytes.len;) {
        len = bytes.len - len < piece ? bytes.len : len + piece;
        got = resp_scan(&scanner, (struct kv_slice){bytes.bytes, len});
    }
    *ret_len = scanner.at;
    return got;
}

static const struct {
    struct kv_slice bytes;
    const char *values;
} messages[] = {
    {{"+OK\r\n", 5}, "+<OK> "},
    {{"-ERR no\r\n", 9}, "-<ERR no> "},
    {{"!6\r\nERR\r\nx\r\n", 12}, "-<ERR\r\nx> "},
    {{":-42\r\n", 6}, ":-42 "},
    {{":9223372036854775807\r\n", 22}, ":9223372036854775807 "},
    {{":-9223372036854775808\r\n", 23}, ":-9223372036854775808 "},
    {{"$0\r\n\r\n", 6}, "$<> "},
    {{"$5\r\na\r\nbc\r\n", 11}, "$<a\r\nbc> "},
    {{"=8\r\ntxt:four\r\n", 14}, "$<four> "},
    {{"_\r\n", 3}, "_<> "},
    {{"$-1\r\n", 5}, "_<> "},
    {{"*-1\r\n", 5}, "_<> "},
    {{"*-01\r\n", 6}, "_<> "},
    {{"#t\r\n", 4}, "#1 "},
    {{"#f\r\n", 4}, "#0 "},
    {{",1.5\r\n", 6}, ",<1.5> "},
    {{"(123456789012345678901\r\n", 24}, "(<123456789012345678901> "},
    {{"*0\r\n", 4}, "*0 "},
    {{"*2\r\n:1\r\n*1\r\n$1\r\na\r\n", 19}, "*2 :1 *1 $<a> "},
    {{"*3\r\n*0\r\n_\r\n~1\r\n+a\r\n", 19}, "*3 *0 _<> ~1 +<a> "},
    {{"%1\r\n+a\r\n*2\r\n:1\r\n:2\r\n", 20}, "%2 +<a> *2 :1 :2 "},
    {{">2\r\n+smessage\r\n$1\r\n\0\r\n", 22}, NULL},
    {{"|1\r\n+ttl\r\n:5\r\n$1\r\nv\r\n", 21}, "|2 +<ttl> :5 $<v> "},
};

static void messages_are_complete_at_their_last_byte(void **state)
{
    (void)state;
    for (size_t i = 0; i < N(messages); i++)
        for (size_t piece = 1; piece <= messages[i].bytes.len; piece++) {
            struct kv_slice bytes = messages[i].bytes;
            size_t len;
            assert_int_equal(scan(bytes, piece, MOST, &len), 1);
            assert_int_equal(len, bytes.len);
            bytes.len--;
            assert_int_equal(scan(bytes, piece, MOST, &len), 0);
        }
}

static void messages_are_parsed_into_their_values(void **state)
{
    (void)state;
    for (size_t i = 0; i < N(messages); i++) {
        struct kv_buffer values = values_of(messages[i].bytes);
        kv_buffer_append_char(&values, '\0');
        if (messages[i].values != NULL)
            assert_string_equal(values.bytes, messages[i].values);
        kv_buffer_fini(&values);
    }
}

static void bytes_after_a_message_are_left(void **state)
{
    struct kv_slice bytes = KV_SLICE("*1\r\n:1\r\n>1\r\n+push\r\n");
    struct resp_scanner scanner;
    (void)state;
    resp_scanner_begin(&scanner, MOST);
    assert_int_equal(resp_scan(&scanner, bytes), 1);
    assert_int_equal(scanner.at, 8);
    bytes = (struct kv_slice){bytes.bytes + 8, bytes.len - 8};
    resp_scanner_begin(&scanner, MOST);
    assert_int_equal(resp_scan(&scanner, bytes), 1);
    assert_int_equal(scanner.at, bytes.len);
}

static void malformed_resp_is_refused(void **state)
{
    static const char *const cases[] = {
        "\r\n",
        "\n",
        "HTTP/1.1 400 Bad Request\r\n",
        "+OK\n",
        "+a\rb\r\n",
        ":\r\n",
        ":-\r\n",
        ":1a\r\n",
        ":9223372036854775808\r\n",
        ": 1\r\n",
        "$-2\r\n",
        "$\r\n",
        "$1\r\nabc",
        "$1\r\nab\n",
        "$?\r\n",
        "*-2\r\n",
        "%-1\r\n",
        ">-1\r\n",
        "#\r\n",
        "#true\r\n",
        "_x\r\n",
        ",\r\n",
        "=3\r\ntxt\r\n",
        "=4\r\ntxt.\r\n",
        "*2\r\n:1\r\n;1\r\n",
        "*1\r\n.\r\n",
    };
    (void)state;
    for (size_t i = 0; i < N(cases); i++) {
        struct kv_slice bytes = kv_slice_of(cases[i]);
        size_t len;
        for (size_t piece = 1; piece <= bytes.len; piece++)
            assert_int_equal(scan(bytes, piece, MOST, &len), -1);
    }
}

static void too_long_values_are_refused_when_announced(void **state)
{
    static const char *const cases[] = {
        "$100\r\n",
        "*34\r\n",
        "%17\r\n",
        "*1\r\n*1\r\n$90\r\n",
        "*9999999999999\r\n",
        "$9223372036854775807\r\n",
        "%9223372036854775807\r\n",
    };
    size_t len;
    (void)state;
    for (size_t i = 0; i < N(cases); i++)
        assert_int_equal(scan(kv_slice_of(cases[i]), 1, 100, &len), -1);
    assert_int_equal(scan(KV_SLICE("$92\r\n"), 1, 100, &len), 0);
    assert_int_equal(scan(KV_SLICE("*31\r\n"), 1, 100, &len), 0);
}

static void the_length_of_a_line_is_limited(void **state)
{
    enum {
        LEN = 70000
    };
    struct kv_buffer line = {0};
    size_t len;
    (void)state;
    kv_buffer_append_char(&line, '+');
    memset(kv_buffer_reserve(&line, LEN), 'x', LEN);
    line.len += LEN;
    assert_int_equal(scan(kv_buffer_slice(&line), 1000, 1 << 20, &len), -1);
    kv_buffer_fini(&line);
}

static void deep_nesting_uses_no_stack(void **state)
{
    enum {
        DEPTH = 200000
    };
    struct kv_buffer message = {0};
    size_t len;
    (void)state;
    for (int i = 0; i < DEPTH; i++)
        kv_buffer_append(&message, KV_SLICE("*1\r\n"));
    kv_buffer_append(&message, KV_SLICE(":1\r\n"));
    assert_int_equal(scan(kv_buffer_slice(&message), 65536, 1 << 20, &len), 1);
    assert_int_equal(len, message.len);
    kv_buffer_fini(&message);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_are_complete_at_their_last_byte),
        cmocka_unit_test(messages_are_parsed_into_their_values),
        cmocka_unit_test(bytes_after_a_message_are_left),
        cmocka_unit_test(malformed_resp_is_refused),
        cmocka_unit_test(too_long_values_are_refused_when_announced),
        cmocka_unit_test(the_length_of_a_line_is_limited),
        cmocka_unit_test(deep_nesting_uses_no_stack),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
