/* The metrics of GET /metrics, in the text format of Prometheus: `name{label="value"} number`. */
#include "kvctl/stats.h"

#include "kvctl/ask.h"
#include "kvctl/output.h"

/* A sample. Labels are unparsed, without braces. */
struct sample {
    struct kv_slice name, labels, number;
};

static const struct kv_slice bucket = {"_bucket", 7};

static struct kv_slice until(struct kv_slice *rest, char end)
{
    const char *at = rest->len == 0 ? NULL : memchr(rest->bytes, end, rest->len);
    size_t n = at == NULL ? rest->len : (size_t)(at - rest->bytes);
    struct kv_slice part = {rest->bytes, n};
    size_t skipped = at == NULL ? n : n + 1;
    *rest = (struct kv_slice){rest->bytes + skipped, rest->len - skipped};
    return part;
}

/* The number comes after the last blank, as labels may contain blanks. Returns: whether the line is
 * a sample. */
static bool read_sample(struct kv_slice line, struct sample *ret)
{
    size_t at = line.len;
    while (at != 0 && line.bytes[at - 1] != ' ')
        at--;
    if (line.len == 0 || line.bytes[0] == '#' || at < 2)
        return false;
    struct kv_slice front = {line.bytes, at - 1};
    *ret = (struct sample){.number = {line.bytes + at, line.len - at}, .name = until(&front, '{')};
    if (front.len != 0)
        ret->labels = (struct kv_slice){front.bytes, front.len - 1};
    return true;
}

/* Writes `a="b",c="d"` as `"a":"b","c":"d"`: names need no escapes, values have those of JSON. */
static void put_labels(struct kv_slice labels)
{
    bool is_first = true;
    while (labels.len != 0) {
        struct kv_slice name = until(&labels, '=');
        size_t n = 1;
        while (n < labels.len && labels.bytes[n] != '"')
            n += labels.bytes[n] == '\\' ? 2 : 1;
        n = n < labels.len ? n + 1 : labels.len;
        kv_ctl_putf("%s\"%.*s\":%.*s", is_first ? "" : ",", (int)name.len, name.bytes, (int)n,
                    labels.bytes);
        is_first = false;
        n += n < labels.len && labels.bytes[n] == ',';
        labels = (struct kv_slice){labels.bytes + n, labels.len - n};
    }
}

static void put_json(const struct sample *sample)
{
    bool is_number = sample->number.bytes[0] != 'N' && sample->number.bytes[0] != '+';
    const char *quote = is_number ? "" : "\"";
    kv_ctl_putf("{\"name\":\"%.*s\",\"labels\":{", (int)sample->name.len, sample->name.bytes);
    put_labels(sample->labels);
    kv_ctl_putf("},\"value\":%s%.*s%s}", quote, (int)sample->number.len, sample->number.bytes,
                quote);
}

static bool is_bucket(struct kv_slice name)
{
    return name.len > bucket.len &&
           memcmp(name.bytes + name.len - bucket.len, bucket.bytes, bucket.len) == 0;
}

/* Zeros, and the buckets of histograms, are left out for people. */
static void put_text(const struct sample *sample)
{
    static const struct kv_slice ours = {"kvserver_", 9};
    struct kv_slice name = sample->name;
    if (is_bucket(name) || kv_slice_equals(sample->number, KV_SLICE("0")))
        return;
    if (kv_slice_has_prefix(name, ours))
        name = (struct kv_slice){name.bytes + ours.len, name.len - ours.len};
    kv_ctl_putf("%-44.*s %14.*s  %.*s\n", (int)name.len, name.bytes, (int)sample->number.len,
                sample->number.bytes, (int)sample->labels.len, sample->labels.bytes);
}

static void put(const struct kv_ctl_call *call, struct kv_slice text)
{
    struct sample sample;
    size_t n = 0;
    if (call->format == KV_CTL_JSON)
        kv_ctl_put(KV_SLICE("["));
    while (text.len != 0) {
        if (!read_sample(until(&text, '\n'), &sample))
            continue;
        if (call->format == KV_CTL_TEXT) {
            put_text(&sample);
            continue;
        }
        if (call->format == KV_CTL_JSON && n++ != 0)
            kv_ctl_put(KV_SLICE(",\n "));
        put_json(&sample);
        if (call->format == KV_CTL_JSONL)
            kv_ctl_put(KV_SLICE("\n"));
    }
    if (call->format == KV_CTL_JSON)
        kv_ctl_put(KV_SLICE("]\n"));
}

int kv_ctl_stats_run(struct kv_ctl_call *call)
{
    struct kv_ctl_answer answer = {0};
    struct kv_ctl_request request = {.method = "GET", .path = KV_SLICE("/metrics")};
    int code = kv_ctl_ask(call, &request, "stats", 0, &answer);
    if (code == KV_CTL_DONE && call->format == KV_CTL_RAW)
        kv_ctl_put(kv_buffer_slice(&answer.body));
    else if (code == KV_CTL_DONE)
        put(call, kv_buffer_slice(&answer.body));
    kv_ctl_answer_fini(&answer);
    return code;
}
