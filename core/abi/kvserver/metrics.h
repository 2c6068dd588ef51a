/*
 * Metrics: figures about the running server. Each part of the server counts in counters and
 * histograms of its own, and reports them when the server is asked for its metrics.
 *
 * Counters and histograms are written by one thread and read by any: each event loop has its own,
 * so counting costs an unlocked addition to memory, and no thread waits for another. Counters that
 * several threads write need the functions whose names end in `shared`.
 */
#ifndef KVSERVER_METRICS_H
#define KVSERVER_METRICS_H

#include <stdatomic.h>
#include <stdint.h>

/* ---- counting ---- */

/* Written by one thread, or by one at a time. Zero at first. */
struct kv_counter {
    _Atomic uint64_t n;
};

static inline void kv_counter_add(struct kv_counter *counter, uint64_t n)
{
#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__) /* which does not see it */
    /* The load and the store below in one instruction: compilers do not combine atomic ones. */
    __asm__("add{q %1, %0| %0, %1}" : "+m"(counter->n) : "er"(n) : "cc");
#else
    uint64_t before = atomic_load_explicit(&counter->n, memory_order_relaxed);
    atomic_store_explicit(&counter->n, before + n, memory_order_relaxed);
#endif
}

/* Counts down, for counters of what exists at present (gauges). */
static inline void kv_counter_take(struct kv_counter *counter, uint64_t n)
{
    kv_counter_add(counter, 0 - n);
}

/* As kv_counter_add(), for counters that several threads write. */
static inline void kv_counter_add_shared(struct kv_counter *counter, uint64_t n)
{
    atomic_fetch_add_explicit(&counter->n, n, memory_order_relaxed);
}

/* Threads: any. */
static inline uint64_t kv_counter_read(const struct kv_counter *counter)
{
    return atomic_load_explicit(&counter->n, memory_order_relaxed);
}

enum {
    KV_HISTOGRAM_FIRST_BIT = 14, /* the first bucket ends at 2^14 ns (16.384 microseconds), and */
    KV_HISTOGRAM_BUCKETS = 22    /* each next one at twice that; the last but one at 17.2 s; the
                                    last has no upper bound */
};

/* A histogram of durations. Written by one thread, or by one at a time. Zero at first. */
struct kv_histogram {
    struct kv_counter buckets[KV_HISTOGRAM_BUCKETS];
    struct kv_counter sum_ns;
};

/* The bucket of a duration. */
static inline unsigned kv_histogram_bucket(uint64_t ns)
{
    if (ns <= 1U << KV_HISTOGRAM_FIRST_BIT)
        return 0;
    unsigned bucket = 64 - (unsigned)__builtin_clzll(ns - 1) - KV_HISTOGRAM_FIRST_BIT;
    return bucket < KV_HISTOGRAM_BUCKETS ? bucket : KV_HISTOGRAM_BUCKETS - 1;
}

/* Counts a duration n times, if its bucket is known. */
static inline void kv_histogram_add_in(struct kv_histogram *histogram, unsigned bucket, uint64_t ns,
                                       uint64_t n)
{
    kv_counter_add(&histogram->buckets[bucket], n);
    kv_counter_add(&histogram->sum_ns, ns * n);
}

/* Counts a duration n times. A negative one counts as 0. */
static inline void kv_histogram_add(struct kv_histogram *histogram, int64_t ns, uint64_t n)
{
    uint64_t duration = ns < 0 ? 0 : (uint64_t)ns;
    kv_histogram_add_in(histogram, kv_histogram_bucket(duration), duration, n);
}

/* Counts a duration once, in a histogram that several threads write. */
static inline void kv_histogram_add_shared(struct kv_histogram *histogram, int64_t ns)
{
    uint64_t duration = ns < 0 ? 0 : (uint64_t)ns;
    kv_counter_add_shared(&histogram->buckets[kv_histogram_bucket(duration)], 1);
    kv_counter_add_shared(&histogram->sum_ns, duration);
}

/* ---- reporting ---- */

enum kv_metric_type {
    KV_METRIC_COUNTER,
    KV_METRIC_GAUGE,
    KV_METRIC_HISTOGRAM /* of durations, in seconds */
};

/* Names follow the rules of Prometheus: base units (seconds, bytes) at the end; the server appends
 * `_total` to the names of counters. A module's metrics begin with `kvserver_`, its kind and its
 * name (`kvserver_store_rocksdb_…`), or only with `kvserver_` and its kind if other modules of the
 * kind have the same metric. Constant. */
struct kv_metric {
    const char *name;
    enum kv_metric_type type;
    const char *unit; /* the end of the name; NULL: a number of things */
    const char *help; /* a sentence without a full stop */
};

/* Receives a module's figures, each metric once. All arguments are lent for the call. */
struct kv_metrics_out {
    uint32_t size; /* sizeof(struct kv_metrics_out) */
    /* A counter or a gauge. With the unit `seconds`, the value is in nanoseconds; if the module was
     * built for 1.7 or before, in whole seconds. */
    void (*number)(struct kv_metrics_out *out, const struct kv_metric *metric, uint64_t value);
    void (*durations)(struct kv_metrics_out *out, const struct kv_metric *metric,
                      const struct kv_histogram *histogram);
};

#endif
