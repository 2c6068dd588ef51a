/*
 * The scripts in scripts/hooks, unchanged, configured as in their comments.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "fixture.h"
#include "support/client/folder.h"

static struct kv_test_server server;

/* script: with its options, in one line of YAML. */
static uint16_t start(const char *script)
{
    struct kv_buffer yaml = {0};
    kv_buffer_printf(&yaml, "scripts:\n  - {file: " KV_HOOKS "/%s}\n", script);
    kv_buffer_append_char(&yaml, '\0');
    kv_test_start(&server, yaml.bytes);
    kv_buffer_fini(&yaml);
    return server.port;
}

/* The same, with what the line says in the store: an import calls no hooks. */
static uint16_t start_importing(const char *script, const char *line)
{
    char *folder = kv_test_folder_make(), *yaml = kv_test_yaml("");
    char *lines = kv_test_path(folder, "lines");
    struct kv_buffer text = {0};
    kv_test_file_put(folder, "lines", line);
    kv_buffer_printf(&text, "%sscripts:\n  - {file: " KV_HOOKS "/%s}\n", yaml, script);
    kv_buffer_append_char(&text, '\0');
    kv_test_server_start_importing(&server, text.bytes, lines);
    kv_test_server_await_ready(&server);
    kv_buffer_fini(&text);
    kv_test_folder_remove(folder);
    free(folder);
    free(yaml);
    free(lines);
    return server.port;
}

static void stop(void)
{
    kv_test_server_stop_cleanly(&server);
}

static void post(uint16_t port, const char *key, const char *body)
{
    char path[128];
    snprintf(path, sizeof(path), "/storage/%s", key);
    assert_int_equal(kv_test_http_status(port, "POST", path, NULL, body), 202);
}

static void delete_key(uint16_t port, const char *key)
{
    char path[128];
    snprintf(path, sizeof(path), "/storage/%s", key);
    assert_int_equal(kv_test_http_status(port, "DELETE", path, NULL, NULL), 200);
}

static void await_missing(uint16_t port, const char *key)
{
    int64_t until_ms = kv_test_now_ms() + KV_TEST_LIMIT_MS;
    char path[128];
    snprintf(path, sizeof(path), "/storage/%s", key);
    while (kv_test_http_status(port, "GET", path, NULL, NULL) != 204)
        assert_true(kv_test_now_ms() < until_ms);
}

/* body: NULL for a delete. */
static void expect_refusal(uint16_t port, const char *key, const char *body, const char *reason)
{
    struct kv_test_stream stream;
    struct kv_test_response response = {0};
    char path[128];
    snprintf(path, sizeof(path), "/storage/%s", key);
    kv_test_stream_open(&stream, port);
    int status =
        kv_test_http_ask(&stream, body == NULL ? "DELETE" : "POST", path, NULL, body, &response);
    kv_buffer_append_char(&response.body, '\0');
    if (status != 403 || strstr(response.body.bytes, reason) == NULL)
        fail_msg("%s: expected a refusal with %s, got %d %s", body, reason, status,
                 response.body.bytes);
    kv_test_response_fini(&response);
    kv_test_stream_close(&stream);
}

static void schema_refuses_invalid_values(void **state)
{
    (void)state;
    static const struct {
        const char *value, *reason;
    } bad[] = {
        {"1", "value is number, not object"},
        {"[]", "value is array, not object"},
        {"{}", "value lacks name"},
        {"{\"name\":\"\"}", "value.name is too short"},
        {"{\"name\":null}", "value.name is null, not string"},
        {"{\"name\":\"a\",\"age\":-1}", "value.age is too small"},
        {"{\"name\":\"a\",\"age\":1.5}", "value.age is number, not integer"},
        {"{\"name\":\"a\",\"x\":1}", "value may not have x"},
        {"{\"name\":\"a\",\"tags\":{}}", "value.tags is object, not array"},
        {"{\"name\":\"a\",\"tags\":[\"b\",1]}", "value.tags[1] is number, not string"},
        {"{\"name\":\"a\",\"role\":\"king\"}", "value.role is none of"},
        {"{\"name\":\"a\",\"code\":\"12\"}", "value.code does not match"},
    };
    uint16_t port =
        start("schema.lua, options: {user/: '{\"type\":\"object\",\"required\":[\"name\"],"
              "\"additionalProperties\":false,\"properties\":{\"name\":{\"type\":\"string\","
              "\"minLength\":1},\"age\":{\"type\":\"integer\",\"minimum\":0},"
              "\"tags\":{\"type\":\"array\",\"items\":{\"type\":\"string\"},\"maxItems\":2},"
              "\"role\":{\"enum\":[\"admin\",null]},\"code\":{\"pattern\":\"^%a+$\"}}}',"
              " user/any/: '{}'}");
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char body[128];
        snprintf(body, sizeof(body), "{\"value\":%s}", bad[i].value);
        expect_refusal(port, "user/1", body, bad[i].reason);
    }
    kv_test_expect_missing(port, "user/1");
    kv_test_store(port, "user/1",
                  "{\"name\":\"a\",\"age\":1e3,\"tags\":[],\"role\":null,\"code\":\"ab\"}");
    kv_test_store(port, "user/any/1", "[1]");
    kv_test_store(port, "other", "[1]");
    stop();
}

/* Reads a key into the buffer, as a text. Returns: whether it was there. */
static bool read_key(uint16_t port, const char *key, struct kv_buffer *ret)
{
    struct kv_test_stream stream;
    struct kv_test_response response = {0};
    char path[256];
    snprintf(path, sizeof(path), "/storage/%s", key);
    kv_test_stream_open(&stream, port);
    int status = kv_test_http_ask(&stream, "GET", path, NULL, NULL, &response);
    ret->len = 0;
    kv_buffer_append(ret, kv_buffer_slice(&response.body));
    kv_buffer_append_char(ret, '\0');
    kv_test_response_fini(&response);
    kv_test_stream_close(&stream);
    return status == 200;
}

static void await_part(uint16_t port, const char *key, const char *part)
{
    int64_t until_ms = kv_test_now_ms() + KV_TEST_LIMIT_MS;
    struct kv_buffer value = {0};
    while (!read_key(port, key, &value) || strstr(value.bytes, part) == NULL)
        if (kv_test_now_ms() > until_ms)
            fail_msg("%s: \"%s\" is not in %s", key, part, value.bytes);
    kv_buffer_fini(&value);
}

/* Reads a list into the buffer, as a text. */
static void read_list(uint16_t port, const char *query, struct kv_buffer *ret)
{
    struct kv_test_stream stream;
    struct kv_test_response response = {0};
    char path[256];
    snprintf(path, sizeof(path), "/storage?values=true&%s", query);
    kv_test_stream_open(&stream, port);
    assert_int_equal(kv_test_http_ask(&stream, "GET", path, NULL, NULL, &response), 200);
    ret->len = 0;
    kv_buffer_append(ret, kv_buffer_slice(&response.body));
    kv_buffer_append_char(ret, '\0');
    kv_test_response_fini(&response);
    kv_test_stream_close(&stream);
}

/* Waits until the list has the part, or has it no more. */
static void await_in_list(uint16_t port, const char *query, const char *part, bool is_there,
                          struct kv_buffer *ret)
{
    int64_t until_ms = kv_test_now_ms() + KV_TEST_LIMIT_MS;
    do {
        read_list(port, query, ret);
        if (kv_test_now_ms() > until_ms)
            fail_msg("%s: \"%s\" is %s: %s", query, part, is_there ? "missing" : "still there",
                     ret->bytes);
    } while ((strstr(ret->bytes, part) != NULL) != is_there);
}

static void audit_records_are_found_by_prefix(void **state)
{
    (void)state;
    static const char *const expected[] = {
        "\"value\":{\"a\":1},\"what\":\"set\"}",
        "\"previous\":{\"a\":1},\"revision\":",
        "\"value\":2,\"what\":\"set\"}",
        "\"previous\":2,\"revision\":",
        "\"what\":\"delete\"}",
        "\"value\":3,\"what\":\"set\"}",
        "\"previous\":3,\"revision\":",
        "\"what\":\"expire\"}",
    };
    if (!kv_test_lists_in_order())
        kv_test_skip_for("records are in the order of their keys, which is not that of lists");
    uint16_t port = start("audit.lua, prefixes: [user/], options: {keep: 1h}");
    struct kv_buffer list = {0};
    kv_test_store(port, "user/1/x", "1");
    kv_test_store(port, "user/1", "{\"a\":1}");
    kv_test_store(port, "user/1", "2");
    delete_key(port, "user/1");
    post(port, "user/1", "{\"value\":3,\"ttl\":1}");
    await_in_list(port, "prefix=audit/user/1/&delimiter=/", "\"what\":\"expire\"", true, &list);
    const char *at = list.bytes;
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        at = strstr(at, expected[i]);
        if (at == NULL)
            fail_msg("\"%s\" is not in its place in %s", expected[i], list.bytes);
        at += strlen(expected[i]);
    }
    assert_null(strstr(list.bytes, "\"key\":\"user/1/x\""));
    await_in_list(port, "prefix=audit/user/1/x/", "\"key\":\"user/1/x\"", true, &list);
    kv_buffer_fini(&list);
    stop();
}

static void audit_records_expire(void **state)
{
    (void)state;
    uint16_t port = start("audit.lua, options: {keep: 200ms}");
    struct kv_buffer list = {0};
    kv_test_store(port, "k", "1");
    await_in_list(port, "prefix=audit/k/", "\"what\":\"set\"", true, &list);
    await_in_list(port, "prefix=audit/k/", "\"what\":\"set\"", false, &list);
    kv_buffer_fini(&list);
    stop();
}

static void counter_follows_the_number_of_keys(void **state)
{
    (void)state;
    uint16_t port = start("counter.lua, options: {users: user/, all: ''}");
    kv_test_store(port, "user/1", "1");
    kv_test_store(port, "user/1", "2");
    kv_test_store(port, "user/2", "1");
    post(port, "user/3", "{\"value\":1,\"ttl\":1}");
    kv_test_await_value(port, "count/users", "2");
    delete_key(port, "user/1");
    delete_key(port, "user/1");
    kv_test_await_value(port, "count/users", "1");
    stop();
}

static void email_is_kept_in_one_form(void **state)
{
    (void)state;
    uint16_t port = start("email.lua, prefixes: [user/]");
    post(port, "user/Ann@Example.org",
         "{\"value\":{\"email\":\" Ann@EXAMPLE.org \"},\"ttl\":\"1h\"}");
    kv_test_await_value(port, "user/ann@example.org", "{\"email\":\"ann@example.org\"}");
    await_missing(port, "user/Ann@Example.org");
    expect_refusal(port, "user/b", "{\"value\":{\"email\":\"none\"}}",
                   "email is no e-mail address");
    kv_test_store(port, "user/B", "{\"email\":7}");
    kv_test_expect_value(port, "user/B", "{\"email\":7}");
    stop();
    port = start("email.lua, options: {keys: refuse}");
    expect_refusal(port, "A@b.c", "{\"value\":1}", "the key is a@b.c");
    kv_test_store(port, "a@b.c", "1");
    stop();
}

static void read_only_window_refuses_writes(void **state)
{
    (void)state;
    uint16_t port = start("read_only.lua, options: {from: '00:00', to: '24:00', reason: closed}");
    expect_refusal(port, "k", "{\"value\":1}", "closed");
    expect_refusal(port, "k", NULL, "closed");
    kv_test_expect_missing(port, "k");
    stop();
    /* A window that is hours away, and reaches over midnight when the other does not. */
    time_t now = time(NULL);
    int hour = (int)(now / 3600 % 24);
    char script[128];
    snprintf(script, sizeof(script), "read_only.lua, options: {from: '%02d:30', to: '%02d:30'}",
             (hour + 2) % 24, (hour + 22) % 24);
    port = start(script);
    kv_test_store(port, "k", "1");
    stop();
    snprintf(script, sizeof(script), "read_only.lua, options: {from: '%02d:30', to: '%02d:30'}",
             (hour + 22) % 24, (hour + 2) % 24);
    port = start(script);
    expect_refusal(port, "k", "{\"value\":1}", "read-only from");
    stop();
}

static void cascade_deletes_the_keys_below_a_key(void **state)
{
    (void)state;
    uint16_t port = start("cascade.lua, prefixes: [user/], options: {parents: user/}");
    kv_test_store(port, "user/1", "1");
    kv_test_store(port, "user/1/a", "1");
    kv_test_store(port, "user/1/b/c", "1");
    kv_test_store(port, "user/1/d", "1");
    kv_test_store(port, "user/11/a", "1");
    delete_key(port, "user/1/a");
    delete_key(port, "user/1");
    await_missing(port, "user/1/d");
    kv_test_expect_missing(port, "user/1/a");
    kv_test_expect_missing(port, "user/1/b/c");
    kv_test_expect_value(port, "user/11/a", "1");
    post(port, "user/2", "{\"value\":1,\"ttl\":200}");
    kv_test_store(port, "user/2/a", "1");
    await_missing(port, "user/2/a");
    stop();
}

static void index_finds_keys_by_a_member(void **state)
{
    (void)state;
    uint16_t port = start("index.lua, prefixes: [user/], options: {city: index/city/}");
    kv_test_store(port, "user/1", "{\"city\":\"Oslo\"}");
    kv_test_store(port, "user/2", "{\"city\":\"Oslo\"}");
    kv_test_store(port, "user/3", "{\"city\":null}");
    kv_test_store(port, "user/4", "4");
    kv_test_await_value(port, "index/city/Oslo", "[\"user/1\",\"user/2\"]");
    kv_test_store(port, "user/1", "{\"city\":\"Bergen\"}");
    kv_test_await_value(port, "index/city/Oslo", "[\"user/2\"]");
    kv_test_await_value(port, "index/city/Bergen", "[\"user/1\"]");
    delete_key(port, "user/2");
    await_missing(port, "index/city/Oslo");
    stop();
}

/* Of the keys, and of the lists, more than are gone through at once. */
static void index_is_rebuilt_at_the_start(void **state)
{
    (void)state;
    enum {
        KEYS = 250
    };
    struct kv_buffer lines = {0}, expected = {0};
    if (kv_test_has_twins())
        kv_test_skip_for("where a store is durable, its server ends with an import");
    for (int i = 0; i < KEYS; i++) {
        kv_buffer_printf(&lines, "{\"key\":\"user/%03d\",\"value\":{\"city\":\"Oslo\"}}\n", i);
        kv_buffer_printf(&expected, "%c\"user/%03d\"", i == 0 ? '[' : ',', i);
    }
    kv_buffer_printf(&expected, "]%c", '\0');
    kv_buffer_printf(&lines, "{\"key\":\"index/Bergen\",\"value\":[\"user/000\"");
    for (int i = 0; i < KEYS; i++)
        kv_buffer_printf(&lines, ",\"user/gone/%03d\"", i);
    kv_buffer_printf(&lines, "]}\n{\"key\":\"index/Rome\",\"value\":[\"user/001\"]}\n%c", '\0');
    uint16_t port =
        start_importing("index.lua, prefixes: [user/], options: {city: index/}", lines.bytes);
    kv_test_await_value(port, "index/Oslo", expected.bytes);
    await_missing(port, "index/Bergen");
    await_missing(port, "index/Rome");
    kv_test_store(port, "user/000", "{\"city\":\"Rome\"}");
    kv_test_await_value(port, "index/Rome", "[\"user/000\"]");
    kv_buffer_fini(&lines);
    kv_buffer_fini(&expected);
    stop();
}

static void clients_cannot_write_the_keys_of_hooks(void **state)
{
    (void)state;
    static const struct {
        const char *script, *key;
        bool is_written;
    } cases[] = {
        {"audit.lua, prefixes: [user/], options: {under: log/}", "log/user/1/0000000000000001",
         false},
        {"counter.lua, options: {users: user/}", "count/users", true},
        {"index.lua, prefixes: [user/], options: {city: index/city/}", "index/city/Oslo", true},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint16_t port = start(cases[i].script);
        expect_refusal(port, cases[i].key, "{\"value\":[]}", " are written by script/");
        kv_test_store(port, "user/1", "{\"city\":\"Oslo\"}");
        if (cases[i].is_written)
            await_part(port, cases[i].key, "value");
        expect_refusal(port, cases[i].key, "{\"value\":[]}", " are written by script/");
        expect_refusal(port, cases[i].key, NULL, " are written by script/");
        if (cases[i].is_written)
            await_part(port, cases[i].key, "value");
        stop();
    }
}

/* ---- options ---- */

static void expect_complaint(const char *script, const char *part)
{
    struct kv_test_outcome outcome;
    struct kv_buffer yaml = {0};
    kv_buffer_printf(&yaml, "modules: %s\nscripts:\n  - {file: " KV_HOOKS "/%s}\n",
                     getenv("KV_TEST_MODULES"), script);
    kv_buffer_append_char(&yaml, '\0');
    kv_test_program_run_with_file("--check-config", yaml.bytes, &outcome);
    if (outcome.exit_code == 0 || strstr(outcome.err, part) == NULL)
        fail_msg("%s: %d, \"%s\" is not in: %s", script, outcome.exit_code, part, outcome.err);
    kv_test_outcome_fini(&outcome);
    kv_buffer_fini(&yaml);
}

static void options_are_checked_when_a_script_is_loaded(void **state)
{
    (void)state;
    static const struct {
        const char *script, *part;
    } cases[] = {
        {"audit.lua, options: {keep: 30 moons}", "options.keep: \"30 moons\" is not a duration"},
        {"audit.lua, options: {keep: 30}",
         "scripts[0].options.keep: 30 has no unit; write 30ms, 30s or 30m"},
        {"audit.lua, options: {keep: ''}", "options.keep: \"\" is not a duration"},
        {"audit.lua, options: {kepe: 1h}",
         "options.kepe: this option is unknown (there are: under, keep)"},
        {"audit.lua, options: {under: ''}", "options.under: a prefix is expected"},
        {"cascade.lua", "options.parents: the prefix of the parents is expected"},
        {"cascade.lua, options: {parents: ''}", "options.parents: the prefix of the parents"},
        {"cascade.lua, options: {parent: u/}", "options.parent: this option is unknown"},
        {"counter.lua", "options: a name, and the prefix of the keys"},
        {"email.lua, options: {keys: drop}",
         "options.keys: move, refuse or keep is expected, not drop"},
        {"email.lua, options: {member: ''}", "options.member: a name is expected"},
        {"email.lua, options: {members: a}", "options.members: this option is unknown"},
        {"index.lua", "options: a member, and the prefix of its index, is expected"},
        {"index.lua, options: {city: ''}", "options.city: the prefix of its index is expected"},
        {"index.lua, options: {a: i/, b: i/b/}", "options.b: its index is within that of a"},
        {"read_only.lua", "options.from: a time such as 22:00 is expected"},
        {"read_only.lua, options: {from: '1:00', to: '25:00'}",
         "options.to: a time such as 22:00 is expected, not 25:00"},
        {"read_only.lua, options: {from: '1:00', to: '01:00'}",
         "options.to: this is the same time"},
        {"read_only.lua, options: {from: '1:00', to: '2:00', days: sat 7}", "there is no day 7"},
        {"read_only.lua, options: {from: '1:00', to: '2:00', day: sat}",
         "options.day: this option is unknown"},
        {"schema.lua", "options: a prefix, and its schema, is expected"},
        {"schema.lua, options: {u/: '{'}", "options.u/: bad JSON at byte"},
        {"schema.lua, options: {u/: '[]'}", "options.u/: a schema is an object"},
        {"schema.lua, options: {u/: '{\"typ\":1}'}", "options.u/: typ is not supported"},
        {"schema.lua, options: {u/: '{\"type\":\"text\"}'}", "options.u/: type is null, boolean"},
        {"schema.lua, options: {u/: '{\"minimum\":\"1\"}'}", "options.u/: minimum is a number"},
        {"schema.lua, options: {u/: '{\"pattern\":\"[\"}'}",
         "options.u/: pattern is a pattern of Lua"},
        {"schema.lua, options: {u/: '{\"required\":[1]}'}",
         "options.u/: required is a list of names"},
        {"schema.lua, options: {u/: '{\"items\":{\"maxItems\":-1}}'}",
         "options.u/: items: maxItems is a number"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        expect_complaint(cases[i].script, cases[i].part);
}

enum {
    MANY = 1000 /* at once */
};

/* Sets keys in one city, whose names end in 0000 and on. */
static void set_many(struct kv_test_ws *ws, const char *prefix)
{
    for (int i = 0; i < MANY; i++)
        kv_test_ws_put_text(
            ws, "{\"type\":\"set\",\"payload\":{\"key\":\"%s%04d\",\"value\":{\"city\":\"a\"}}}",
            prefix, i);
    kv_test_stream_flush(&ws->stream);
}

/* Waits until the value names all of them. */
static void await_many(uint16_t port, const char *list, const char *prefix)
{
    struct kv_buffer expected = {0};
    for (int i = 0; i < MANY; i++)
        kv_buffer_printf(&expected, "%c\"%s%04d\"", i == 0 ? '[' : ',', prefix, i);
    kv_buffer_printf(&expected, "]%c", '\0');
    kv_test_await_value(port, list, expected.bytes);
    kv_buffer_fini(&expected);
}

static void index_misses_nothing_under_load(void **state)
{
    (void)state;
    struct kv_test_ws ws;
    uint16_t port = start("index.lua, options: {city: index/}, prefixes: [user/]");
    kv_test_ws_open(&ws, port);
    set_many(&ws, "user/");
    await_many(port, "index/a", "user/");
    kv_test_ws_close(&ws);
    stop();
}

static void cascade_misses_nothing_under_load(void **state)
{
    (void)state;
    struct kv_test_ws ws;
    struct kv_buffer list = {0};
    uint16_t port = start("cascade.lua, prefixes: [user/], options: {parents: user/}");
    kv_test_store(port, "user/1", "1");
    kv_test_ws_open(&ws, port);
    set_many(&ws, "user/1/");
    kv_test_await_value(port, "user/1/0999", "{\"city\":\"a\"}");
    delete_key(port, "user/1");
    await_in_list(port, "prefix=user/1", "user/1", false, &list);
    kv_buffer_fini(&list);
    kv_test_ws_close(&ws);
    stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(schema_refuses_invalid_values),
        cmocka_unit_test(audit_records_are_found_by_prefix),
        cmocka_unit_test(audit_records_expire),
        cmocka_unit_test(counter_follows_the_number_of_keys),
        cmocka_unit_test(email_is_kept_in_one_form),
        cmocka_unit_test(read_only_window_refuses_writes),
        cmocka_unit_test(cascade_deletes_the_keys_below_a_key),
        cmocka_unit_test(index_finds_keys_by_a_member),
        cmocka_unit_test(index_is_rebuilt_at_the_start),
        cmocka_unit_test(clients_cannot_write_the_keys_of_hooks),
        cmocka_unit_test(options_are_checked_when_a_script_is_loaded),
        cmocka_unit_test(index_misses_nothing_under_load),
        cmocka_unit_test(cascade_misses_nothing_under_load),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
