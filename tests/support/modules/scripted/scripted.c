/*
 * A sink that a test controls through a file, which it reads at each call: `ok` delivers all
 * events, `one` the first, `fail` none; `drop` settles all as given up, `refuse` refuses events
 * with the value "bad", `hang` does not return until the file says something else, and `stuck`
 * never returns. Delivered events are lines of its output.
 */
#include <kvserver/sink.h>

#include <stdlib.h>
#include <unistd.h>

enum {
    OPTION_ORDERS,
    OPTION_OUTPUT,
    N_OPTIONS
};

struct kv_sink {
    const struct kv_sink_host *host;
    const char *orders;
    const char *output;
};

static const struct kv_option options[N_OPTIONS] = {
    [OPTION_ORDERS] = {.name = "orders", .type = KV_OPTION_STRING, .flags = KV_OPTION_REQUIRED},
    [OPTION_OUTPUT] = {.name = "output", .type = KV_OPTION_STRING, .flags = KV_OPTION_REQUIRED},
};

static int scripted_open(const struct kv_sink_host *host, const struct kv_option_value *values,
                         struct kv_sink **ret_sink, struct kv_error *reterr)
{
    if (kv_slice_equals(values[OPTION_ORDERS].string, KV_SLICE("refuse")))
        return kv_error_set(reterr, "orders: as you like");
    struct kv_sink *sink = malloc(sizeof(*sink));
    *sink = (struct kv_sink){.host = host,
                             .orders = values[OPTION_ORDERS].string.bytes,
                             .output = values[OPTION_OUTPUT].string.bytes};
    *ret_sink = sink;
    return 0;
}

static bool is_ordered(const struct kv_sink *sink, const char *order)
{
    char text[16] = "";
    FILE *file = fopen(sink->orders, "r");
    if (file != NULL) {
        if (fgets(text, sizeof(text), file) == NULL)
            text[0] = '\0';
        fclose(file);
    }
    return strncmp(text, order, strlen(order)) == 0;
}

static void write_line(const struct kv_sink *sink, const char *text, size_t len)
{
    FILE *file = fopen(sink->output, "a");
    if (file == NULL)
        abort();
    fprintf(file, "%.*s\n", (int)len, text);
    fclose(file);
}

static bool has_bad(const struct kv_event *events, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (kv_slice_equals(events[i].value, KV_SLICE("\"bad\"")))
            return true;
    return false;
}

static size_t scripted_deliver(struct kv_sink *sink, const struct kv_event *events, size_t n,
                               struct kv_error *reterr)
{
    kv_error_set(reterr, "told to fail");
    while (is_ordered(sink, "stuck") ||
           (is_ordered(sink, "hang") && !sink->host->is_ending(sink->host)))
        usleep(5000);
    if (is_ordered(sink, "fail") || is_ordered(sink, "hang"))
        return 0;
    if (is_ordered(sink, "drop")) {
        sink->host->gave_up(sink->host, n);
        return n;
    }
    if (is_ordered(sink, "refuse") && has_bad(events, n)) {
        sink->host->refused(sink->host);
        return 0;
    }
    if (is_ordered(sink, "one"))
        n = 1;
    for (size_t i = 0; i < n; i++)
        write_line(sink, events[i].json.bytes, events[i].json.len);
    return n;
}

static void scripted_reopen(struct kv_sink *sink)
{
    write_line(sink, "reopened", 8);
}

static void scripted_close(struct kv_sink *sink)
{
    write_line(sink, "closed", 6);
    free(sink);
}

static const struct kv_sink_ops ops = {
    .size = sizeof(ops),
    .open = scripted_open,
    .deliver = scripted_deliver,
    .reopen = scripted_reopen,
    .close = scripted_close,
};

static const struct kv_module module = {
    KV_MODULE_IDENTITY, .kind = KV_MODULE_SINK, .name = "scripted", .version = "1.0",
    .options = options, .n_options = N_OPTIONS, .ops = &ops,
};

KV_MODULE_EXPORT(&module)
