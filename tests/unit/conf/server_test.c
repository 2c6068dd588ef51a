/* A whole file like the server's own, with a schema like the server's. */
#include "conf_support.h"

static const char text[] =
    "listen:\n"
    "  - host: 127.0.0.1          # loopback unless told otherwise\n"
    "    port: 3000\n"
    "threads: auto\n"
    "modules: build/modules       # where modules are found (default: beside the program)\n"
    "storage:\n"
    "  module: rocksdb            # swap by changing this line\n"
    "  rocksdb: {path: data, durability: always}\n"
    "  lmdb: {path: data-lmdb}    # blocks of modules that are not selected are checked\n"
    "ttl: [{module: fixed}]\n"
    "sinks: []                    # - {module: webhook, options: {url: …}}\n"
    "scripts: []                  # - {file: scripts/hooks/audit.lua}\n"
    "origins: []                  # pages of other machines that may write and open WebSockets\n"
    "limits: {key: 1MiB, value: 256MiB, message: 257MiB, depth: 1024, connections: 100000, "
    "subscriptions_per_connection: 10000, unsent_per_connection: 16MiB, "
    "pending_per_connection: 1024}\n"
    "timeouts: {idle: 75s, request_progress: 30s, websocket_ping: 25s, stalled_reader: 30s, "
    "drain: 10s}\n"
    "log: {level: info, format: text}\n";

static const char *const levels[] = {"debug", "info", "warn", "error", NULL};
static const char *const formats[] = {"text", "json", NULL};
static const char *const durabilities[] = {"always", "interval", "never", NULL};

#define SIZE(name_, fallback_)                                                                     \
    {                                                                                              \
        .name = name_, .type = KV_OPTION_SIZE, .fallback = fallback_                               \
    }
#define INT(name_, fallback_, max_)                                                                \
    {                                                                                              \
        .name = name_, .type = KV_OPTION_INT, .fallback = fallback_, .min = 1, .max = max_         \
    }
#define DURATION(name_, fallback_)                                                                 \
    {                                                                                              \
        .name = name_, .type = KV_OPTION_DURATION, .fallback = fallback_                           \
    }
#define BLOCK(name_, fields_)                                                                      \
    {                                                                                              \
        .name = name_, .type = KV_OPTION_BLOCK, .fields = fields_, .n_fields = N_OF(fields_)       \
    }
#define LIST(name_, element_)                                                                      \
    {                                                                                              \
        .name = name_, .type = KV_OPTION_LIST, .fields = &element_, .n_fields = 1                  \
    }

static const struct kv_option address[] = {
    {.name = "host", .type = KV_OPTION_STRING, .fallback = "127.0.0.1"},
    INT("port", "3000", 65535),
};
static const struct kv_option script[] = {
    {.name = "file", .type = KV_OPTION_STRING, .flags = KV_OPTION_REQUIRED},
};
static const struct kv_option listen_element = BLOCK(NULL, address);
static const struct kv_option script_element = BLOCK(NULL, script);
static const struct kv_option origin_element = {.type = KV_OPTION_STRING};
static const struct kv_option limits[] = {
    SIZE("key", "1MiB"),
    SIZE("value", "256MiB"),
    SIZE("message", "257MiB"),
    INT("depth", "1024", 100000),
    INT("connections", "100000", INT32_MAX),
    INT("subscriptions_per_connection", "10000", INT32_MAX),
    SIZE("unsent_per_connection", "16MiB"),
    INT("pending_per_connection", "1024", INT32_MAX),
};
static const struct kv_option timeouts[] = {
    DURATION("idle", "75s"),           DURATION("request_progress", "30s"),
    DURATION("websocket_ping", "25s"), DURATION("stalled_reader", "30s"),
    DURATION("drain", "10s"),
};
static const struct kv_option log_options[] = {
    {.name = "level", .type = KV_OPTION_CHOICE, .choices = levels, .fallback = "info"},
    {.name = "format", .type = KV_OPTION_CHOICE, .choices = formats},
};

enum {
    LISTEN,
    THREADS,
    MODULES,
    STORAGE,
    TTL,
    SINKS,
    SCRIPTS,
    ORIGINS,
    LIMITS,
    TIMEOUTS,
    LOG,
};

static const struct kv_option server[] = {
    [LISTEN] = LIST("listen", listen_element),
    [THREADS] = {.name = "threads",
                 .type = KV_OPTION_INT,
                 .min = 1,
                 .max = 1024,
                 .keyword = "auto",
                 .fallback = "auto",
                 .doc = "Event loops; auto: one a CPU."},
    [MODULES] = {.name = "modules", .type = KV_OPTION_STRING},
    [STORAGE] = {.name = "storage", .type = KV_OPTION_TREE},
    [TTL] = {.name = "ttl", .type = KV_OPTION_TREE},
    [SINKS] = {.name = "sinks", .type = KV_OPTION_TREE},
    [SCRIPTS] = LIST("scripts", script_element),
    [ORIGINS] = LIST("origins", origin_element),
    [LIMITS] = BLOCK("limits", limits),
    [TIMEOUTS] = BLOCK("timeouts", timeouts),
    [LOG] = BLOCK("log", log_options),
};

static const struct kv_option rocksdb[] = {
    {.name = "path", .type = KV_OPTION_STRING, .fallback = "data"},
    {.name = "durability", .type = KV_OPTION_CHOICE, .choices = durabilities},
    SIZE("cache", "64MiB"),
};

static void whole_file_is_checked(void **state)
{
    (void)state;
    struct kv_conf *conf = parse(text);
    const struct kv_option_value *values = check(conf, server, N_OF(server));
    const struct kv_option_value *address_values = values[LISTEN].list.items[0].list.items;
    assert_string_equal(address_values[0].string.bytes, "127.0.0.1");
    assert_int_equal(address_values[1].integer, 3000);
    assert_true(values[THREADS].integer == KV_OPTION_KEYWORD);
    assert_string_equal(values[MODULES].string.bytes, "build/modules");
    assert_int_equal(values[LIMITS].list.items[2].integer, 257 << 20);
    assert_int_equal(values[TIMEOUTS].list.items[0].integer, 75000);
    assert_int_equal(values[LOG].list.items[0].integer, 1);
    assert_int_equal(kv_conf_node_size(values[TTL].tree), 1);
    assert_int_equal(kv_conf_node_size(values[SINKS].tree), 0);
    kv_conf_destroy(conf);
}

static void blocks_of_modules_are_checked_by_their_own_schema(void **state)
{
    (void)state;
    struct kv_conf *conf = parse(text);
    const struct kv_conf_node *storage = check(conf, server, N_OF(server))[STORAGE].tree;
    assert_string_equal(kv_conf_node_text(kv_conf_node_find(storage, "module")), "rocksdb");
    const struct kv_option_value *values;
    const struct kv_conf_block block =
        block_of(kv_conf_node_find(storage, "rocksdb"), rocksdb, N_OF(rocksdb));
    assert_int_equal(kv_conf_check(conf, &block, &values), 0);
    assert_int_equal(values[1].integer, 0);
    assert_int_equal(values[2].integer, 64 << 20);
    char *printed = print(rocksdb, N_OF(rocksdb), values, 4);
    assert_string_equal(printed, "    path: data\n    durability: always\n    cache: 64MiB\n");
    free(printed);
    kv_conf_destroy(conf);
}

static void printed_file_loads_to_the_same(void **state)
{
    (void)state;
    struct kv_conf *conf = parse(text);
    char *once = print(server, N_OF(server), check(conf, server, N_OF(server)), 0);
    struct kv_conf *again = parse(once);
    char *twice = print(server, N_OF(server), check(again, server, N_OF(server)), 0);
    assert_string_equal(once, twice);
    assert_non_null(strstr(once, "listen:\n  - host: 127.0.0.1\n    port: 3000\n"));
    assert_non_null(strstr(once, "threads: auto  # Event loops; auto: one a CPU.\n"));
    assert_non_null(strstr(once, "timeouts:\n  idle: 75s\n"));
    free(twice);
    kv_conf_destroy(again);
    free(once);
    kv_conf_destroy(conf);
}

static void mistakes_are_reported_at_their_place(void **state)
{
    (void)state;
    assert_check_fails("limits:\n  key: 1MiB\n  valeu: 1GiB\n", server, N_OF(server),
                       "conf.yaml:3:3: limits: unknown key \"valeu\" (did you mean \"value\"?)");
    assert_check_fails("tread: 3\n", server, N_OF(server),
                       "conf.yaml:1:1: unknown key \"tread\" (did you mean \"threads\"?)");
    assert_check_fails("listen:\n  - port: 70000\n", server, N_OF(server),
                       "conf.yaml:2:11: listen[0].port: \"70000\" is out of range (1 to 65535)");
    assert_check_fails("scripts: [{}]\n", server, N_OF(server),
                       "conf.yaml:1:11: scripts[0].file: required, but not given");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_file_is_checked),
        cmocka_unit_test(blocks_of_modules_are_checked_by_their_own_schema),
        cmocka_unit_test(printed_file_loads_to_the_same),
        cmocka_unit_test(mistakes_are_reported_at_their_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
