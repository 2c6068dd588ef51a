#include "daemon/metrics.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log_writer.h"
#include "daemon/certificates.h"
#include "script/metrics.h"

enum {
    NS_PER_US = 1000,
    NS_PER_S = 1000000000
};

/* ---- the process, with the names that Prometheus's own clients use ---- */

static uint64_t ns_of(struct timeval time)
{
    return (uint64_t)time.tv_sec * NS_PER_S + (uint64_t)time.tv_usec * NS_PER_US;
}

static void collect_time(struct kv_metrics_text *text)
{
    static const struct kv_metric metric = {"process_cpu_seconds", KV_METRIC_COUNTER, "seconds",
                                            "Time of processors, in user and system mode"};
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) != 0)
        return;
    kv_metrics_begin(text, &metric);
    kv_metrics_sample_ns(text, KV_NO_LABELS, ns_of(usage.ru_utime) + ns_of(usage.ru_stime));
}

static void collect_memory(struct kv_metrics_text *text)
{
    static const struct kv_metric size = {"process_virtual_memory_bytes", KV_METRIC_GAUGE, "bytes",
                                          "Virtual memory"};
    static const struct kv_metric resident = {"process_resident_memory_bytes", KV_METRIC_GAUGE,
                                              "bytes", "Resident memory"};
    unsigned long long pages, resident_pages;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file == NULL)
        return;
    int n = fscanf(file, "%llu %llu", &pages, &resident_pages);
    fclose(file);
    if (n != 2)
        return;
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    kv_metrics_number(text, &size, pages * page);
    kv_metrics_number(text, &resident, resident_pages * page);
}

static void collect_descriptor_limit(struct kv_metrics_text *text)
{
    static const struct kv_metric metric = {"process_max_fds", KV_METRIC_GAUGE, NULL,
                                            "File descriptors that may be open"};
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        kv_metrics_number(text, &metric, limit.rlim_cur);
}

static void collect_process(void *context, struct kv_metrics_text *text)
{
    static const struct kv_metric info = {"kvserver_build_info", KV_METRIC_GAUGE, NULL,
                                          "Always 1; the labels say which program it is"};
    static const struct kv_metric start = {"process_start_time_seconds", KV_METRIC_GAUGE, "seconds",
                                           "When the server started, as seconds since 1970"};
    static const struct kv_metric dropped = {
        "kvserver_log_lines_dropped", KV_METRIC_COUNTER, NULL,
        "Lines of the log that were dropped, since standard error took too little"};
    const struct kv_server *server = context;
    kv_metrics_begin(text, &info);
    kv_metrics_sample(
        text, (struct kv_labels){{{"version", KV_VERSION}, {"store", server->store_name}}}, 1);
    kv_metrics_begin(text, &start);
    kv_metrics_sample_ns(text, KV_NO_LABELS, (uint64_t)server->started_wall_us * NS_PER_US);
    collect_time(text);
    collect_memory(text);
    collect_descriptor_limit(text);
    kv_metrics_number(text, &dropped, kv_log_n_dropped());
}

/* ---- parts of the server ---- */

static void collect_loops(void *context, struct kv_metrics_text *text)
{
    const struct kv_server *server = context;
    kv_loops_collect(server->loops, server->config->n_threads, text);
}

static void collect_net(void *context, struct kv_metrics_text *text)
{
    kv_net_collect(context, text);
}

static void collect_certificates(void *context, struct kv_metrics_text *text)
{
    kv_certificates_collect(context, text);
}

static void collect_access(void *context, struct kv_metrics_text *text)
{
    kv_denials_collect(context, text);
}

static void collect_keys(void *context, struct kv_metrics_text *text)
{
    static const struct kv_metric loads = {
        "kvserver_key_set_loads", KV_METRIC_COUNTER, NULL,
        "Key sets of tokens' issuers that were fetched or read, by outcome"};
    static const struct kv_metric failing = {"kvserver_key_sets_failing", KV_METRIC_GAUGE, NULL,
                                             "Key sets that could not be used when they were last "
                                             "fetched or read; earlier keys stay valid"};
    static const struct kv_metric missing = {
        "kvserver_key_sets_missing", KV_METRIC_GAUGE, NULL,
        "Key sets without any keys yet: the tokens of their issuers are refused"};
    struct kv_jwt_key_count count = kv_jwt_sources_count(context);
    kv_metrics_begin(text, &loads);
    kv_metrics_sample(text, (struct kv_labels){{{"outcome", "ok"}}}, count.n_loaded);
    kv_metrics_sample(text, (struct kv_labels){{{"outcome", "failed"}}}, count.n_failed);
    kv_metrics_number(text, &failing, count.n_failing);
    kv_metrics_number(text, &missing, count.n_missing);
}

static void collect_http(void *context, struct kv_metrics_text *text)
{
    kv_http_collect(context, text);
}

static void collect_ws(void *context, struct kv_metrics_text *text)
{
    kv_ws_collect(context, text);
}

static void collect_events(void *context, struct kv_metrics_text *text)
{
    kv_events_collect(context, text);
}

static void collect_keyspace(void *context, struct kv_metrics_text *text)
{
    kv_keyspace_collect(context, text);
}

static void collect_sinks(void *context, struct kv_metrics_text *text)
{
    kv_sinks_collect(context, text);
}

static void collect_scripts(void *context, struct kv_metrics_text *text)
{
    kv_scripts_collect(context, text);
}

void kv_server_add_metrics(struct kv_server *server)
{
    struct kv_metrics *metrics = server->metrics;
    kv_metrics_add(metrics, collect_process, server);
    kv_metrics_add(metrics, collect_loops, server);
    kv_metrics_add(metrics, collect_net, server->net);
    kv_metrics_add(metrics, collect_certificates, server);
    kv_metrics_add(metrics, collect_access, kv_access_denials(server->access));
    kv_metrics_add(metrics, collect_keys, server->key_sources);
    kv_metrics_add(metrics, collect_http, server->http);
    kv_metrics_add(metrics, collect_ws, server->ws);
    kv_metrics_add(metrics, collect_events, server->events);
    kv_metrics_add(metrics, collect_keyspace, server->keyspace);
    if (server->sinks != NULL)
        kv_metrics_add(metrics, collect_sinks, server->sinks);
    if (server->config->n_scripts != 0)
        kv_metrics_add(metrics, collect_scripts, server->scripts);
}
