/*
 *   kv_load KIND PORT [name=number …]
 *
 * KIND: a protocol's name (http-get, http-list, http-post, webdis-get, ws-get, ws-set), fill,
 * fan-out, fan-out-prefix, fan-out-redis, expiry or told. Numbers: connections, depth, seconds,
 * keys, value, ttl, spread, background, rate, other, prefixes, pace (requests a second, independent
 * of the answers), tls (1: on), deflate (1: fan-out's subscribers offer it), victim, signal, fault,
 * resume (see load.h). With KV_BENCH_TOKEN, HTTP requests have this token.
 */
#include <stdlib.h>

#include "load.h"

static void read_setting(const char *text, struct load_options *options)
{
    const struct {
        const char *name;
        size_t *number;
    } settings[] = {
        {"connections=", &options->n_connections},
        {"depth=", &options->depth},
        {"deflate=", &options->deflate},
        {"keys=", &options->workload.n_keys},
        {"value=", &options->workload.value_bytes},
        {"background=", &options->background},
        {"rate=", &options->rate},
        {"other=", &options->other},
        {"pace=", &options->pace},
        {"prefixes=", &options->prefixes},
        {"ttl=", &options->workload.ttl_ms},
        {"spread=", &options->workload.spread_ms},
        {"tls=", &options->tls},
        {"victim=", &options->victim},
        {"signal=", &options->signal},
        {"fault=", &options->fault_ms},
        {"resume=", &options->resume_ms},
    };
    if (strncmp(text, "seconds=", 8) == 0) {
        options->seconds = strtod(text + 8, NULL);
        return;
    }
    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
        size_t len = strlen(settings[i].name);
        if (strncmp(text, settings[i].name, len) == 0) {
            *settings[i].number = strtoul(text + len, NULL, 10);
            return;
        }
    }
    die("unknown setting: %s", text);
}

static void run(const char *kind, const struct load_options *options)
{
    const struct protocol *protocol = protocol_find(kind);
    if (protocol != NULL)
        load_requests(protocol, options);
    else if (strcmp(kind, "fill") == 0)
        load_fill(protocol_find("ws-set"), options);
    else if (strcmp(kind, "fan-out") == 0)
        load_fan_out(FAN_OUT_KEY, options);
    else if (strcmp(kind, "fan-out-prefix") == 0)
        load_fan_out(FAN_OUT_PREFIX, options);
    else if (strcmp(kind, "fan-out-redis") == 0)
        load_fan_out(FAN_OUT_REDIS, options);
    else if (strcmp(kind, "expiry") == 0)
        load_expiry(options);
    else if (strcmp(kind, "told") == 0)
        load_told(options);
    else
        die("unknown kind: %s", kind);
}

int main(int argc, char **argv)
{
    struct load_options options = {.n_connections = 64,
                                   .depth = 1,
                                   .seconds = 2,
                                   .workload = {.n_keys = 1000000, .value_bytes = 32},
                                   .rate = 10000};
    if (argc < 3)
        die("usage: kv_load KIND PORT [name=number ...]");
    options.port = (uint16_t)atoi(argv[2]);
    for (int i = 3; i < argc; i++)
        read_setting(argv[i], &options);
    srand((unsigned)time_us()); /* to repeat another run's values would change nothing */
    if (options.tls != 0)
        conn_speak_tls();
    load_hold_prefixes(options.port, options.prefixes);
    run(argv[1], &options);
    return 0;
}
