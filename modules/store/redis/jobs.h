/*
 * What the store has to do, in the order that it came: commands and scans of the host, and what the
 * store asks for itself.
 */
#ifndef KV_STORE_REDIS_JOBS_H
#define KV_STORE_REDIS_JOBS_H

#include <kvserver/store.h>

enum job_kind {
    JOB_COMMAND = 1,
    JOB_SCAN,
    JOB_EXPIRE,
    JOB_LOOK, /* where the chain ends at Redis, and what its clock says */
};

struct job {
    enum job_kind kind;
    uint32_t loop;
    struct kv_cmd *cmd;   /* JOB_COMMAND */
    struct kv_scan *scan; /* JOB_SCAN */
    uint32_t max;         /* JOB_EXPIRE */
    bool is_judged;       /* GET: by Redis, as whether the key has expired is close */
    bool is_long;         /* GET: the value is, so that it comes on the bulk */
    int64_t since_ms;     /* link_clock_ms() as it came */
    int64_t sent_at_ms;   /* the host's clock as it was sent */
    uint64_t number;      /* of its token */
    uint64_t revision;    /* of what it brings, once it is final */
    size_t n_bytes;       /* of its request */
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
