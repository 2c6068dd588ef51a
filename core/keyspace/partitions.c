/* The samples of a metric must be adjacent, but the store reports one part after the other: so the
 * figures of all parts are kept first. */
#include "keyspace/partitions.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"

enum {
    FIRST_CAPACITY = 64
};

/* Receives the states of the store's parts. The texts of a state are not kept. */
struct states {
    struct kv_parts_out out;
    struct kv_part_state *all;
    size_t n, capacity;
};

struct kv_part_state kv_partition_state(const struct kv_part_state *given)
{
    struct kv_part_state state = {0};
    memcpy(&state, given, given->size < sizeof(state) ? given->size : sizeof(state));
    return state;
}

static void keep(struct kv_parts_out *out, const struct kv_part_state *state)
{
    struct states *states = KV_CONTAINER(out, struct states, out);
    if (states->n == states->capacity) {
        states->capacity = states->capacity == 0 ? FIRST_CAPACITY : 2 * states->capacity;
        states->all = kv_realloc(states->all, states->capacity * sizeof(*states->all));
    }
    states->all[states->n++] = kv_partition_state(state);
}

static struct states ask(const struct kv_store_link *store)
{
    struct states states = {.out = {.size = sizeof(struct kv_parts_out), .part = keep}};
    store->ops->parts(store->store, &states.out);
    return states;
}

struct kv_partition_counts kv_partitions_count(const struct kv_store_link *store)
{
    struct states states = ask(store);
    struct kv_partition_counts counts = {.n = (uint32_t)states.n};
    for (size_t i = 0; i < states.n; i++)
        counts.n_connected += states.all[i].is_connected;
    free(states.all);
    return counts;
}

/* ---- metrics ---- */

static uint64_t is_connected(const struct kv_part_state *state)
{
    return state->is_connected;
}

static uint64_t lag_ns(const struct kv_part_state *state)
{
    return state->lag_ms < 0 ? 0 : (uint64_t)state->lag_ms * KV_NS_PER_MS;
}

static uint64_t n_unfinished(const struct kv_part_state *state)
{
    return state->n_waiting + state->n_sent + state->n_held;
}

static uint64_t n_reconnects(const struct kv_part_state *state)
{
    return state->n_reconnects;
}

static uint64_t n_resyncs(const struct kv_part_state *state)
{
    return state->n_resyncs;
}

struct figure {
    struct kv_metric metric;
    uint64_t (*of)(const struct kv_part_state *state); /* in nanoseconds, if it is a duration */
};

static const struct figure figures[] = {
    {{"kvserver_store_partition_connected", KV_METRIC_GAUGE, NULL,
      "Whether the server that has the partition is connected"},
     is_connected},
    {{"kvserver_store_partition_lag_seconds", KV_METRIC_GAUGE, "seconds",
      "How long ago the server last had all changes of the partition"},
     lag_ns},
    {{"kvserver_store_partition_commands", KV_METRIC_GAUGE, NULL,
      "Commands to the partition that have no answer yet"},
     n_unfinished},
    {{"kvserver_store_partition_reconnects", KV_METRIC_COUNTER, NULL,
      "Connections to the partition made anew"},
     n_reconnects},
    {{"kvserver_store_partition_resyncs", KV_METRIC_COUNTER, NULL,
      "Times that changes of the partition were missed or lost"},
     n_resyncs},
};

static void write_figure(const struct states *states, const struct figure *figure,
                         struct kv_metrics_text *text)
{
    char number[16];
    kv_metrics_begin(text, &figure->metric);
    for (size_t i = 0; i < states->n; i++) {
        const struct kv_part_state *state = &states->all[i];
        snprintf(number, sizeof(number), "%u", state->part);
        struct kv_labels labels = {{{"partition", number}}};
        if (figure->metric.unit != NULL)
            kv_metrics_sample_ns(text, labels, figure->of(state));
        else
            kv_metrics_sample(text, labels, figure->of(state));
    }
}

void kv_partitions_collect(const struct kv_store_link *store, struct kv_metrics_text *text)
{
    if (!kv_partitions_are_told(store))
        return;
    struct states states = ask(store);
    for (size_t i = 0; i < sizeof(figures) / sizeof(figures[0]); i++)
        write_figure(&states, &figures[i], text);
    free(states.all);
}
