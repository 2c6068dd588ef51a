/*
 * The progress of a transfer, on standard error: a line that is redrawn on a terminal, and the
 * total at the end.
 */
#ifndef KV_DAEMON_METER_H
#define KV_DAEMON_METER_H

#include <stdbool.h>
#include <stdint.h>

struct kv_meter {
    const char *verb; /* `exported` */
    bool is_shown;    /* while the transfer runs */
    uint64_t n;       /* keys so far */
    int64_t began_ms;
    int64_t next_ms; /* when to redraw the line */
};

/* is_shown: whether to show the progress, if standard error is a terminal. */
void kv_meter_start(struct kv_meter *meter, const char *verb, bool is_shown);

/* Sets the number of keys so far. Cheap. */
void kv_meter_set(struct kv_meter *meter, uint64_t n);

/* Prints the total. */
void kv_meter_finish(struct kv_meter *meter);

/* Call before an error is printed, instead of kv_meter_finish(): there is no total. */
void kv_meter_erase(const struct kv_meter *meter);

#endif
