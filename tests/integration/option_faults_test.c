/*
 * Faults that modules and scripts find in their options are reported at the option, all at once.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "faults.h"
#include "fixture.h"

#define HOOKS KV_SOURCES "/scripts/hooks/"

enum {
    MOST_FAULTS = 6
};

struct one_case {
    const char *module; /* that it needs; NULL: none that may be left out of the build */
    const char *yaml;
    const char *faults[MOST_FAULTS + 1];
};

static void run(const struct one_case *cases, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        size_t n_faults = 0;
        if (cases[i].module != NULL && !kv_test_has_module(cases[i].module))
            continue;
        while (cases[i].faults[n_faults] != NULL)
            n_faults++;
        kv_test_expect_faults(cases[i].yaml, cases[i].faults, n_faults);
    }
}

#define RUN(cases) run(cases, sizeof(cases) / sizeof((cases)[0]))

static void ttl_policies_report_every_fault_at_its_option(void **state)
{
    static const struct one_case cases[] = {
        {NULL,
         "ttl: [{module: bounded}]\n",
         {"16: ttl[0].options: one of default, minimum and maximum has to be given"}},
        {NULL,
         "ttl: [{module: bounded, options: {default: 1s, minimum: 2s, maximum: 1s}}]\n",
         {"44: ttl[0].options.default: 1000 ms is shorter than minimum (2000 ms)",
          "57: ttl[0].options.minimum: 2000 ms is longer than maximum (1000 ms)"}},
        {NULL,
         "ttl: [{module: sliding, options: {ttl: 1m, step: 2m}}]\n",
         {"50: ttl[0].options.step: 120000 ms is not shorter than ttl (60000 ms): keys would "
          "expire "
          "though they are read"}},
        {NULL,
         "ttl: [{module: sliding, ttl: 30m}]\n",
         {"16: ttl[0].options.ttl: required, but not given",
          "25: ttl[0]: unknown key \"ttl\" (does it belong under `options:`?)"}},
    };
    (void)state;
    RUN(cases);
}

static void stores_report_every_fault_at_its_option(void **state)
{
    static const struct one_case cases[] = {
        {"store/redis",
         "storage: {module: redis, redis: {nodes: [a:1, b, 'c:70000'], port: 1, database: 3}}\n",
         {"41: storage.redis.nodes: it cannot be combined with `host`, `port` or `unix`",
          "47: storage.redis.nodes[1]: an address is expected, as 127.0.0.1:7000",
          "50: storage.redis.nodes[2]: an address is expected, as 127.0.0.1:7000",
          "81: storage.redis.database: a Redis Cluster has only database 0"}},
        {"store/redis",
         "storage: {module: redis, redis: {partitions: 4, order: key, replicas: 2, prefix: '{'}}\n",
         {"46: storage.redis.partitions: it needs `nodes`",
          "56: storage.redis.order: it needs `nodes`",
          "71: storage.redis.replicas: it needs `ack: replicas`",
          "82: storage.redis.prefix: it may not have braces, by which Redis places keys"}},
        {"store/redis",
         "storage: {module: redis, redis: {nodes: [a:1], partitions: 65, order: none}}\n",
         {"60: storage.redis.partitions: \"65\" is out of range (2 to 64)",
          "71: storage.redis.order: \"none\" is not one of all, key"}},
        {"store/redis",
         "storage: {module: redis, redis: {sentinels: [a:1, 'b:'], host: c, sentinel_user: ann}}\n",
         {"33: storage.redis.master: the name of the master at the sentinels is expected",
          "45: storage.redis.sentinels: it cannot be combined with `host`, `port` or `unix`",
          "51: storage.redis.sentinels[1]: an address is expected, as 127.0.0.1:7000",
          "82: storage.redis.sentinel_user: it needs a `sentinel_password`"}},
        {"store/redis",
         "storage: {module: redis, redis: {sentinels: [a:1], master: m, nodes: [b:2]}}\n",
         {"70: storage.redis.nodes: it cannot be combined with `sentinels`"}},
        {"store/redis",
         "storage: {module: redis, redis: {master: m, sentinel_password: x}}\n",
         {"42: storage.redis.master: it needs `sentinels`",
          "64: storage.redis.sentinel_password: it needs `sentinels`"}},
    };
    (void)state;
    RUN(cases);
}

static void sinks_report_every_fault_at_its_option(void **state)
{
    static const struct one_case cases[] = {
        {NULL,
         "sinks: [{module: file, options: {path: /dev/null}}]\n",
         {"40: sinks[0].options.path: /dev/null is not a regular file"}},
        {"sink/redis",
         "sinks: [{module: redis, options: {name: '', unix: s, port: 1, user: ann}}]\n",
         {"41: sinks[0].options.name: the name of a stream or channel is expected",
          "51: sinks[0].options.unix: it stands in place of `host` and `port`, which are given",
          "69: sinks[0].options.user: it needs a `password`"}},
        {"sink/redis",
         "sinks: [{module: redis, options: {unix: s, tls: {ca: kvserver.yaml, cert: "
         "kvserver.yaml}}}]\n",
         {"49: sinks[0].options.tls: Redis has no TLS at a Unix socket",
          "75: sinks[0].options.tls.cert: it needs a `key`"}},
        {"sink/redis",
         "sinks: [{module: redis, options: {sentinels: [a], unix: s}}]\n",
         {"34: sinks[0].options.master: the name of the master at the sentinels is expected",
          "46: sinks[0].options.sentinels: it cannot be combined with `host`, `port` or `unix`",
          "47: sinks[0].options.sentinels[0]: an address is expected, as 127.0.0.1:7000"}},
        {"sink/nats",
         "sinks: [{module: nats, options: {subject: 'a..b', servers: [n:1, 'http://n'], password: "
         "x}}]\n",
         {"43: sinks[0].options.subject: \"a..b\" is not a subject to publish to",
          "66: sinks[0].options.servers[1]: an address is expected, as nats://127.0.0.1:4222 or "
          "tls://…",
          "89: sinks[0].options.password: it needs a `user`"}},
        {"sink/kafka",
         "sinks: [{module: kafka, options: {topic: 'a b', brokers: '', settings: {acke: all, "
         "enable.idempotence: 'no'}}}]\n",
         {"42: sinks[0].options.topic: \"a b\" is no name of a topic: up to 249 letters, digits, "
          "dots, dashes and underscores",
          "58: sinks[0].options.brokers: an address is expected, as 127.0.0.1:9092",
          "79: sinks[0].options.settings.acke: No such configuration property: \"acke\"",
          "104: sinks[0].options.settings.enable.idempotence: the sink sets it itself"}},
        {"sink/mqtt",
         "sinks: [{module: mqtt, options: {topic: 'a/#', password: x, certificate: "
         "kvserver.yaml}}]\n",
         {"41: sinks[0].options.topic: \"a/#\" is no topic to publish to",
          "58: sinks[0].options.password: it needs a `user`",
          "74: sinks[0].options.certificate: it needs a `ca_file`",
          "74: sinks[0].options.certificate: it needs a `private_key`"}},
        {"sink/webhook",
         "sinks: [{module: webhook, options: {url: 'ftp://u:p@h/'}}]\n",
         {"42: sinks[0].options.url: it begins with neither http:// nor https://"}},
        {"sink/webhook",
         "sinks: [{module: webhook, options: {url: 'http://u:p@h:x/', batch: 0, previous_secret: "
         "'whsec_?', headers: {'a b': c, x: \"1\\n2\"}}}]\n",
         {"42: sinks[0].options.url: this is no URL: Port number was not a decimal number between "
          "0 "
          "and 65535",
          "68: sinks[0].options.batch: \"0\" is out of range (1 to 1000)",
          "88: sinks[0].options.previous_secret: base64 is expected after whsec_",
          "88: sinks[0].options.previous_secret: it signs beside `secret`, which is not given",
          "116: sinks[0].options.headers.a b: this is no name of a header",
          "122: sinks[0].options.headers.x: it has more than one line"}},
    };
    (void)state;
#ifdef __SANITIZE_THREAD__ /* it does not know the threads of librdkafka */
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        if (cases[i].module == NULL || strcmp(cases[i].module, "sink/kafka") != 0)
            run(&cases[i], 1);
#else
    RUN(cases);
#endif
}

static void scripts_report_every_fault_at_its_option(void **state)
{
    static const struct one_case cases[] = {
        {NULL,
         "scripts: [{options: {keep: 30 moons, kepe: 1h, under: ''}, file: " HOOKS "audit.lua}]\n",
         {"28: scripts[0].options.keep: \"30 moons\" is not a duration: the unit is unknown",
          "44: scripts[0].options.kepe: this option is unknown (there are: under, keep)",
          "55: scripts[0].options.under: a prefix is expected"}},
        {NULL,
         "scripts: [{options: {from: '1:00', to: '25:00', days: sat 7 8}, file: " HOOKS
         "read_only.lua}]\n",
         {"40: scripts[0].options.to: a time such as 22:00 is expected, not 25:00",
          "55: scripts[0].options.days: there is no day 7 (there are: mon, tue, wed, thu, fri, "
          "sat, "
          "sun)",
          "55: scripts[0].options.days: there is no day 8 (there are: mon, tue, wed, thu, fri, "
          "sat, "
          "sun)"}},
        {NULL,
         "scripts: [{options: {u/: '{\"typ\":1,\"minimum\":\"1\"}', v/: '[]'}, file: " HOOKS
         "schema.lua}]\n",
         {NULL}},
    };
    (void)state;
    run(cases, 2); /* the order in which the third is told is Lua's */
    char *said = kv_test_faults_of(cases[2].yaml);
    kv_test_expect_part(said, ":1:26: scripts[0].options.u/: typ is not supported\n");
    kv_test_expect_part(said, ":1:26: scripts[0].options.u/: minimum is a number, not \"1\"\n");
    kv_test_expect_part(said, ":1:57: scripts[0].options.v/: a schema is an object\n");
    free(said);
}

static void faults_of_all_modules_and_scripts_are_reported_at_once(void **state)
{
    (void)state;
    char *said = kv_test_faults_of(
        "sinks: [{module: file, options: {path: dir}}, {module: file, options: {path: "
        "/dev/null}}]\n"
        "ttl: [{module: bounded}, {module: sliding, options: {ttl: 1s, step: 1s}}]\n"
        "scripts: [{file: " HOOKS "counter.lua}, {file: " HOOKS "index.lua, options: {a: ''}}]\n"
        "thread: 1\n");
    static const char *const faults[] = {"1:40: %s/dir (sinks[0].options.path",
                                         "1:78: sinks[1].options.path: ",
                                         "2:16: ttl[0].options: ",
                                         "2:69: ttl[1].options.step: ",
                                         "3:18: scripts[0].options: ",
                                         NULL,
                                         "4:1: unknown key \"thread\""};
    const char *at = said;
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        char expected[128];
        snprintf(expected, sizeof(expected), "kvserver: %%s/kvserver.yaml:%s",
                 faults[i] == NULL ? "3:" : faults[i]);
        if (strncmp(at, expected, strlen(expected)) != 0)
            fail_msg("fault %zu is not \"%s\": %s", i, expected, said);
        at = strchr(at, '\n') + 1;
    }
    assert_string_equal(at, "");
    kv_test_expect_part(said, "scripts[1].options.a: the prefix of its index is expected\n");
    free(said);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ttl_policies_report_every_fault_at_its_option),
        cmocka_unit_test(stores_report_every_fault_at_its_option),
        cmocka_unit_test(sinks_report_every_fault_at_its_option),
        cmocka_unit_test(scripts_report_every_fault_at_its_option),
        cmocka_unit_test(faults_of_all_modules_and_scripts_are_reported_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
