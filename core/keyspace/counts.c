#include "keyspace/counts.h"

#include "base/mem.h"

static const char *const operations[KV_N_COMMAND_KINDS] = {
    [KV_COMMAND_GET] = "get",
    [KV_COMMAND_SET] = "set",
    [KV_COMMAND_DELETE] = "delete",
    [KV_COMMAND_TOUCH] = "renew",
    [KV_COMMAND_UPDATE] = "update",
    [KV_COMMAND_SCAN] = "list",
    [KV_COMMAND_SUBSCRIBE] = "subscribe",
    [KV_COMMAND_UNSUBSCRIBE] = "unsubscribe",
    [KV_COMMAND_NOTE] = NULL, /* it does nothing */
    [KV_COMMAND_CATCH_UP] = NULL,
};

/* Those without a name do not reach a client. */
static const char *outcome_name(unsigned outcome)
{
    static const char *const names[KV_N_OUTCOMES] = {
        [KV_OK] = "ok",
        [KV_UNCHANGED] = "unchanged",
        [KV_MISSING] = "missing",
        [KV_CONDITION] = "condition_failed",
        [KV_FULL] = "full",
        [KV_IO] = "store_failed",
        [KV_TOO_BIG] = "too_big",
        [KV_CLOSED] = "closed",
        [KV_UNKNOWN] = "unknown",
        [KV_UNAVAILABLE] = "store_unavailable",
        [KV_N_STORE_OUTCOMES + KV_REFUSED - KV_REFUSED] = "refused",
        [KV_N_STORE_OUTCOMES + KV_TOO_MANY_TOPICS - KV_REFUSED] = "too_many_subscriptions",
        [KV_N_STORE_OUTCOMES + KV_INAPPLICABLE - KV_REFUSED] = "inapplicable",
        [KV_N_STORE_OUTCOMES + KV_CONTENDED - KV_REFUSED] = "contended",
        [KV_N_STORE_OUTCOMES + KV_BAD_CURSOR - KV_REFUSED] = "bad_cursor",
        [KV_N_STORE_OUTCOMES + KV_CROWDED - KV_REFUSED] = "too_many_subscriptions_in_all",
        [KV_N_STORE_OUTCOMES + KV_FORBIDDEN - KV_REFUSED] = "forbidden",
        [KV_N_STORE_OUTCOMES + KV_UNIDENTIFIED - KV_REFUSED] = "unidentified",
        [KV_N_STORE_OUTCOMES + KV_EXPIRED - KV_REFUSED] = "expired",
        [KV_N_STORE_OUTCOMES + KV_NOT_OPEN - KV_REFUSED] = "unavailable",
    };
    return names[outcome];
}

static unsigned outcome_of(int status)
{
    return status < KV_N_STORE_OUTCOMES ? (unsigned)status
                                        : (unsigned)(status - KV_REFUSED + KV_N_STORE_OUTCOMES);
}

const char *kv_counts_operation(enum kv_command_kind kind)
{
    return operations[kind];
}

const char *kv_counts_outcome(int status)
{
    return outcome_name(outcome_of(status));
}

/* ---- counting ---- */

static unsigned others_of(enum kv_command_kind kind)
{
    return KV_N_COMMAND_KINDS + kind;
}

static void count_outcome(struct kv_counts *counts, const struct kv_command *command)
{
    kv_counter_add(&counts->other_outcomes[command->kind][outcome_of(command->status)], 1);
}

void kv_counts_finish_late(struct kv_counts *counts, const struct kv_command *command)
{
    int64_t took_ns = *counts->began_ns - command->sent_ns;
    count_outcome(counts, command);
    kv_histogram_add(&counts->durations[others_of(command->kind)], took_ns, 1);
    if (counts->look != NULL)
        counts->look(counts->slow_log, command, took_ns);
}

static void use_series(struct kv_counts *counts, unsigned series)
{
    counts->series = series;
    counts->work.durations = &counts->durations[series];
}

void kv_counts_init(struct kv_counts *counts, const int64_t *began_ns)
{
    counts->began_ns = began_ns;
    use_series(counts, KV_COMMAND_GET);
}

static void count_aside(struct kv_turn_work *work, uint64_t took_ns, unsigned bucket)
{
    struct kv_counts *counts = KV_CONTAINER(work, struct kv_counts, work);
    for (uint32_t left = counts->has_aside; left != 0; left &= left - 1) {
        unsigned series = (unsigned)__builtin_ctz(left);
        kv_histogram_add_in(&counts->durations[series], bucket, took_ns, counts->n_aside[series]);
        counts->n_aside[series] = 0;
    }
    counts->has_aside = 0;
}

/* The end of the turn counts the commands that the series has had up to now. */
static void put_aside(struct kv_counts *counts)
{
    _Static_assert(KV_N_SERIES <= 32, "a bit for each series");
    counts->n_aside[counts->series] += counts->work.n_done;
    counts->has_aside |= 1U << counts->series;
    counts->work.n_done = 0;
    counts->work.count_rest = count_aside;
}

void kv_counts_finish_otherwise(struct kv_counts *counts, const struct kv_command *command)
{
    bool is_other = command->status != KV_OK;
    unsigned series = is_other ? others_of(command->kind) : command->kind;
    if (is_other)
        count_outcome(counts, command);
    if (series != counts->series && counts->work.n_done != 0)
        put_aside(counts);
    use_series(counts, series);
    counts->work.n_done++;
}

/* ---- collecting ---- */

/* The sum of one counter over all loops: where it is in a struct kv_counts. */
static uint64_t sum_at(const struct kv_counts *const *all, uint32_t n, size_t offset)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < n; i++)
        sum += kv_counter_read(
            (const struct kv_counter *)(const void *)((const char *)all[i] + offset));
    return sum;
}

static size_t offset_of_outcome(unsigned kind, unsigned outcome)
{
    return offsetof(struct kv_counts, other_outcomes) +
           (kind * KV_N_OUTCOMES + outcome) * sizeof(struct kv_counter);
}

/* How many durations there are. */
static uint64_t n_of(const struct kv_counts *const *all, uint32_t n, unsigned kind)
{
    struct kv_histogram_sum sum = {0};
    uint64_t count = 0;
    for (uint32_t i = 0; i < n; i++)
        kv_histogram_sum_add(&sum, &all[i]->durations[kind]);
    for (size_t i = 0; i < KV_HISTOGRAM_BUCKETS; i++)
        count += sum.buckets[i];
    return count;
}

/* Outcomes that have never been are left out. */
static void collect_outcomes(const struct kv_counts *const *all, uint32_t n,
                             struct kv_metrics_text *text)
{
    static const struct kv_metric metric = {"kvserver_commands", KV_METRIC_COUNTER, NULL,
                                            "Commands of clients and hooks, by outcome"};
    kv_metrics_begin(text, &metric);
    for (unsigned kind = 0; kind < KV_N_COMMAND_KINDS; kind++)
        for (unsigned outcome = 0; operations[kind] != NULL && outcome < KV_N_OUTCOMES; outcome++) {
            uint64_t count = sum_at(all, n, offset_of_outcome(kind, outcome)) +
                             (outcome == KV_OK ? n_of(all, n, kind) : 0);
            const char *name = outcome_name(outcome);
            if (name == NULL || (count == 0 && outcome != KV_OK))
                continue;
            kv_metrics_sample(
                text, (struct kv_labels){{{"operation", operations[kind]}, {"outcome", name}}},
                count);
        }
}

static void collect_durations(const struct kv_counts *const *all, uint32_t n,
                              struct kv_metrics_text *text)
{
    static const struct kv_metric metric = {
        "kvserver_command_duration_seconds", KV_METRIC_HISTOGRAM, "seconds",
        "Time from a command's arrival until its answer is handed to the connection"};
    kv_metrics_begin(text, &metric);
    for (unsigned kind = 0; kind < KV_N_COMMAND_KINDS; kind++) {
        struct kv_histogram_sum sum = {0};
        if (operations[kind] == NULL)
            continue;
        for (uint32_t i = 0; i < n; i++) {
            kv_histogram_sum_add(&sum, &all[i]->durations[kind]);
            kv_histogram_sum_add(&sum, &all[i]->durations[others_of(kind)]);
        }
        kv_metrics_histogram(text, (struct kv_labels){{{"operation", operations[kind]}}}, &sum);
    }
}

static void collect_subscriptions(const struct kv_counts *const *all, uint32_t n,
                                  struct kv_metrics_text *text)
{
    static const struct kv_metric metric = {"kvserver_subscriptions", KV_METRIC_GAUGE, NULL,
                                            "Subscriptions of all connections"};
    kv_metrics_begin(text, &metric);
    kv_metrics_sample(text, (struct kv_labels){{{"to", "key"}}},
                      sum_at(all, n, offsetof(struct kv_counts, key_subscriptions)));
    kv_metrics_sample(text, (struct kv_labels){{{"to", "prefix"}}},
                      sum_at(all, n, offsetof(struct kv_counts, prefix_subscriptions)));
}

static void collect_syncs(const struct kv_counts *const *all, uint32_t n,
                          struct kv_metrics_text *text)
{
    static const char *const reasons[KV_N_SYNC_REASONS] = {
        [KV_SYNC_INITIAL] = "initial", [KV_SYNC_RESUMED] = "since", [KV_SYNC_RESET] = "reset"};
    static const struct kv_metric metric = {
        "kvserver_subscription_syncs", KV_METRIC_COUNTER, NULL,
        "Subscriptions that were sent the present state, resumed from a revision, or were reset"};
    kv_metrics_begin(text, &metric);
    for (unsigned i = 0; i < KV_N_SYNC_REASONS; i++)
        kv_metrics_sample(
            text, (struct kv_labels){{{"reason", reasons[i]}}},
            sum_at(all, n, offsetof(struct kv_counts, syncs) + i * sizeof(struct kv_counter)));
}

void kv_counts_collect(const struct kv_counts *const *all, uint32_t n, struct kv_metrics_text *text)
{
    static const struct kv_metric sent = {
        "kvserver_states_sent", KV_METRIC_COUNTER, NULL,
        "States of keys that were sent to subscribers: changes, snapshots and replays"};
    static const struct kv_metric collapsed = {
        "kvserver_states_collapsed", KV_METRIC_COUNTER, NULL,
        "Those among them that may have replaced older ones, as the subscriber was behind"};
    collect_outcomes(all, n, text);
    collect_durations(all, n, text);
    collect_subscriptions(all, n, text);
    collect_syncs(all, n, text);
    kv_metrics_number(text, &sent, sum_at(all, n, offsetof(struct kv_counts, states_sent)));
    kv_metrics_number(text, &collapsed,
                      sum_at(all, n, offsetof(struct kv_counts, states_collapsed)));
}
