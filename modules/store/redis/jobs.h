/*
 * The store's jobs, in the order of their arrival: the host's commands and scans, and requests of
 * the store's own.
 */
#ifndef KV_STORE_REDIS_JOBS_H
#define KV_STORE_REDIS_JOBS_H

#include <kvserver/store.h>

enum job_kind {
    JOB_COMMAND = 1,
    JOB_SCAN,
    JOB_EXPIRE,
    JOB_WAKE,   /* gives back the next deadline of a partition */
    JOB_LOOK,   /* asks Redis for its newest revision and its time */
    JOB_LEASE,  /* asks for the lease of the observers, or renews it (lease.h) */
    JOB_SHOW,   /* reads changes from the log for observers */
    JOB_RECALL, /* reads earlier changes from the log (recall.h) */
    JOB_CHECK,  /* asks whether all keys are there (whole.h) */
};

struct job {
    enum job_kind kind;
    uint32_t loop;
    struct kv_cmd *cmd;   /* JOB_COMMAND */
    struct kv_scan *scan; /* JOB_SCAN */
    uint32_t max;         /* JOB_EXPIRE */
    int64_t deadline_ms;  /* JOB_WAKE */
    bool is_from_start;   /* JOB_SCAN: from the start, regardless of its cursor */
    bool is_judged;       /* GET: Redis decides whether the key has expired, as it is close */
    bool is_long;         /* GET: the value is long, so it comes over the bulk connection */
    int64_t since_ms;     /* link_clock_ms() when it arrived */
    int64_t sent_at_ms;   /* the host's clock when it was sent */
    uint64_t number;      /* of its token; JOB_LEASE, JOB_SHOW: the claim */
    uint64_t revision; /* of its result, once it is final; JOB_SHOW: there are changes up to it */
    uint64_t after;    /* of a write: its revision has to be larger than this one; JOB_LEASE: what
                          observers have taken; JOB_SHOW: what has been shown */
    size_t n_bytes;    /* of its request */
    bool is_refused;   /* Redis refused it, and the answer is held */
    bool was_cut_off;  /* the connection broke when Redis had got a part of it */
};

/* A ring. Begins as zeros. */
struct jobs {
    struct job *slots;
    size_t first;
    size_t n;
    size_t capacity; /* a power of two, or 0 */
};

/* Makes room for n more. Returns: false where there is no memory. */
bool jobs_reserve(struct jobs *jobs, size_t n);

/* There has to be room. */
void jobs_append(struct jobs *jobs, const struct job *job);
void jobs_prepend(struct jobs *jobs, const struct job *job);

/* The i-th from the front. */
struct job *jobs_at(const struct jobs *jobs, size_t i);
/* There has to be one. */
struct job jobs_take_first(struct jobs *jobs);
struct job jobs_take_last(struct jobs *jobs);

void jobs_clear(struct jobs *jobs);

#endif
