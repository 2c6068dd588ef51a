/*
 * The progress of long work, on standard error if that is a terminal.
 */
#ifndef KV_KVCTL_METER_H
#define KV_KVCTL_METER_H

#include "kvctl/verb.h"

/* The caller's memory. */
struct kv_ctl_meter {
    const char *verb; /* "imported" */
    bool is_shown;
    uint64_t n, n_bytes;
    int64_t began_ms, next_ms;
};

/* verb: a constant. Not shown with --quiet. */
void kv_ctl_meter_start(struct kv_ctl_meter *meter, const struct kv_ctl_call *call,
                        const char *verb);

void kv_ctl_meter_add(struct kv_ctl_meter *meter, uint64_t n_keys, uint64_t n_bytes);

/* Erases the progress line from the terminal. */
void kv_ctl_meter_erase(const struct kv_ctl_meter *meter);

/* Prints the totals, if standard error is a terminal. */
void kv_ctl_meter_finish(const struct kv_ctl_meter *meter);

#endif
