/*
 * sink_contract <module.so> delivers|waits [options as YAML]: what kvserver/sink.h requires of
 * every sink. `delivers`: the sink's destination is available. `waits`: it is not available; open()
 * succeeds nevertheless, and no event is settled. `@folder` in the options stands for a folder of
 * the run.
 */
#include <kvserver/sink.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "support/module/opened.h"

enum {
    N_EVENTS = 64,
    SOON_MS = 15000, /* generous, for busy machines */
};

static struct kv_test_module module;
static const struct kv_sink_ops *ops;
static bool delivers;

/* ---- the host ---- */

static atomic_bool is_over;
static atomic_uint_least64_t n_given_up;

static int64_t now_ms(const struct kv_host *host)
{
    (void)host;
    return kv_clock_now_ms(&kv_clock_boot);
}

static int64_t wall_us(const struct kv_host *host)
{
    (void)host;
    return kv_wall_us();
}

static void log_line(const struct kv_host *host, enum kv_log_level level, const char *format, ...)
{
    va_list args;
    (void)host;
    va_start(args, format);
    fprintf(stderr, "%s: ", level >= KV_LOG_ERROR ? "error" : "log");
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
}

static void gave_up(const struct kv_sink_host *host, uint64_t n)
{
    (void)host;
    atomic_fetch_add(&n_given_up, n);
}

static bool is_ending(const struct kv_sink_host *host)
{
    (void)host;
    return atomic_load(&is_over);
}

static void drop(const struct kv_sink_host *host, const struct kv_event *event, const char *format,
                 ...)
{
    va_list args;
    (void)host;
    (void)event;
    va_start(args, format);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    atomic_fetch_add(&n_given_up, 1);
}

static void refused(const struct kv_sink_host *host)
{
    (void)host;
}

static const struct kv_sink_host host = {
    .base = {.size = sizeof(host), .now_ms = now_ms, .wall_us = wall_us, .log = log_line},
    .gave_up = gave_up,
    .is_ending = is_ending,
    .drop = drop,
    .refused = refused,
};

/* ---- events ---- */

static struct kv_event events[N_EVENTS];
static char ids[N_EVENTS][64], texts[N_EVENTS][256];

static void make_events(void)
{
    static const struct {
        struct kv_slice key;
        const char *json;
    } keys[] = {{{"", 0}, "\"\""},
                {{"a", 1}, "\"a\""},
                {{"a\0b", 3}, "\"a\\u0000b\""},
                {{"\xc3\xa4 +#/", 6}, "\"\xc3\xa4 +#/\""}};
    for (size_t i = 0; i < N_EVENTS; i++) {
        struct kv_event *event = &events[i];
        struct kv_slice value = KV_SLICE("{\"x\":[1,null]}");
        size_t key = i % (sizeof(keys) / sizeof(keys[0]));
        *event = (struct kv_event){.type = KV_EVENT_SET + (int)(i % 3),
                                   .key = keys[key].key,
                                   .revision = 1000 + i,
                                   .time_us = kv_wall_us()};
        if (event->type == KV_EVENT_SET)
            event->value = value;
        else
            event->previous = value;
        event->id.bytes = ids[i];
        event->id.len = (size_t)snprintf(ids[i], sizeof(ids[i]),
                                         "0123456789abcdef0123456789abcdef-%zu", 1000 + i);
        event->json.bytes = texts[i];
        event->json.len = (size_t)snprintf(
            texts[i], sizeof(texts[i]),
            "{\"id\":\"%s\",\"type\":\"%s\",\"key\":%s,\"%s\":{\"x\":[1,null]},\"revision\":%zu,"
            "\"time\":\"2026-11-26T11:52:03.123456Z\"}",
            ids[i], kv_event_type_name(event->type), keys[key].json,
            event->type == KV_EVENT_SET ? "value" : "previous", 1000 + i);
    }
}

/* ---- requirements ---- */

static struct kv_sink *open_sink(void)
{
    struct kv_sink *sink = NULL;
    struct kv_error error;
    atomic_store(&is_over, false);
    atomic_store(&n_given_up, 0);
    if (ops->open(&host, module.options, &sink, &error) != 0)
        fail_msg("%s", error.text);
    assert_non_null(sink);
    return sink;
}

/* If events remain unsettled, deliver() gives a reason. */
static size_t deliver(struct kv_sink *sink, size_t from, size_t n)
{
    struct kv_error error = {.text = ""};
    size_t settled = ops->deliver(sink, events + from, n, &error);
    assert_true(settled <= n);
    assert_true(settled == n || error.text[0] != '\0');
    assert_true(atomic_load(&n_given_up) <= from + settled);
    return settled;
}

static void unused_sink_is_closed(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++)
        ops->close(open_sink());
}

static void events_are_settled_if_the_peer_is_there(void **state)
{
    (void)state;
    struct kv_sink *sink = open_sink();
    size_t settled = deliver(sink, 0, 1);
    assert_int_equal(settled, delivers ? 1 : 0);
    while (delivers && settled < N_EVENTS) {
        size_t more = deliver(sink, settled, N_EVENTS - settled);
        assert_true(more != 0);
        settled += more;
    }
    ops->close(sink);
}

/* A retry passes the same events again, or only the later ones. */
static void retries_are_harmless(void **state)
{
    (void)state;
    struct kv_sink *sink = open_sink();
    for (size_t n = 1; n <= 4; n++)
        deliver(sink, 0, n);
    for (size_t from = 0; from < 4; from++)
        deliver(sink, from, 4);
    ops->close(sink);
}

static void one_module_is_opened_several_times(void **state)
{
    (void)state;
    struct kv_sink *one = open_sink(), *other = open_sink();
    assert_ptr_not_equal(one, other);
    deliver(one, 0, 2);
    deliver(other, 0, 2);
    ops->close(one);
    assert_int_equal(deliver(other, 2, 2), delivers ? 2 : 0);
    ops->close(other);
}

static void delivery_continues_after_reopen(void **state)
{
    (void)state;
    struct kv_sink *sink = open_sink();
    for (size_t i = 0; i < 3; i++) {
        if (ops->reopen != NULL)
            ops->reopen(sink);
        assert_int_equal(deliver(sink, i, 1), delivers ? 1 : 0);
    }
    ops->close(sink);
}

static void add_fault(const struct kv_faults *faults, const char *option, const char *format, ...)
{
    (void)faults;
    fail_msg("%s: %s", option, format);
}

/* check() must not disturb a sink that is open with the same options, either. */
static void check_finds_no_faults_in_accepted_options(void **state)
{
    const struct kv_faults faults = {.size = sizeof(faults), .add = add_fault};
    (void)state;
    if (ops->check == NULL)
        skip(); /* the schema covers everything */
    struct kv_sink *sink = open_sink();
    deliver(sink, 0, 1);
    ops->check(module.options, &faults);
    assert_int_equal(deliver(sink, 1, 1), delivers ? 1 : 0);
    ops->close(sink);
}

static void deliver_returns_soon_when_the_server_is_ending(void **state)
{
    (void)state;
    struct kv_sink *sink = open_sink();
    deliver(sink, 0, 1);
    atomic_store(&is_over, true);
    struct kv_error error;
    int64_t from_ms = kv_clock_now_ms(&kv_clock_boot);
    ops->deliver(sink, events + 1, N_EVENTS - 1, &error);
    ops->close(sink);
    assert_true(kv_clock_now_ms(&kv_clock_boot) - from_ms < SOON_MS);
}

/* ---- the program ---- */

/* Owns: the caller, by free(). */
static char *with_folder(const char *options, const char *folder)
{
    struct kv_buffer text = {0};
    for (const char *mark; (mark = strstr(options, "@folder")) != NULL; options = mark + 7) {
        kv_buffer_append(&text, (struct kv_slice){options, (size_t)(mark - options)});
        kv_buffer_append(&text, kv_slice_of(folder));
    }
    kv_buffer_append(&text, kv_slice_of(options));
    kv_buffer_append_char(&text, '\0');
    return text.bytes;
}

static int run(const char *path, const char *options)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unused_sink_is_closed),
        cmocka_unit_test(events_are_settled_if_the_peer_is_there),
        cmocka_unit_test(retries_are_harmless),
        cmocka_unit_test(one_module_is_opened_several_times),
        cmocka_unit_test(delivery_continues_after_reopen),
        cmocka_unit_test(check_finds_no_faults_in_accepted_options),
        cmocka_unit_test(deliver_returns_soon_when_the_server_is_ending),
    };
    struct kv_error error;
    if (kv_test_module_load(&module, path, KV_MODULE_SINK, options, &error) != 0) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    ops = kv_module_sink_ops(module.module);
    make_events();
    int n_failed = cmocka_run_group_tests(tests, NULL, NULL);
    kv_test_module_unload(&module);
    return n_failed == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    char folder[] = "/tmp/kv-sink-XXXXXX", command[64];
    if (argc < 3 || (strcmp(argv[2], "delivers") != 0 && strcmp(argv[2], "waits") != 0)) {
        fprintf(stderr, "usage: %s <module.so> delivers|waits [options as YAML]\n", argv[0]);
        return 2;
    }
    if (mkdtemp(folder) == NULL) {
        perror(folder);
        return 1;
    }
    delivers = strcmp(argv[2], "delivers") == 0;
    char *options = with_folder(argc > 3 ? argv[3] : "", folder);
    int result = run(argv[1], options);
    free(options);
    snprintf(command, sizeof(command), "rm -rf '%s'", folder);
    return system(command) == 0 ? result : 1;
}
