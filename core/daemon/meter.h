/*
 * How far a transfer has come: a line that is drawn anew on a terminal meanwhile, and the total at
 * the end. On standard error.
 */
#ifndef KV_DAEMON_METER_H
#define KV_DAEMON_METER_H

#include <stdbool.h>
#include <stdint.h>

struct kv_meter {
    const char *verb; /* `exported` */
    bool is_shown;    /* while it runs */
    uint64_t n;       /* keys so far */
    int64_t began_ms;
    int64_t next_ms; /* when the line is to be drawn anew */
};

/* is_shown: whether to show it while it runs, where standard error is a terminal. */
void kv_meter_start(struct kv_meter *meter, const char *verb, bool is_shown);

/* So many keys so far. Cheap. */
void kv_meter_set(struct kv_meter *meter, uint64_t n);

/* Tells the total. */
void kv_meter_finish(struct kv_meter *meter);

/* In place of kv_meter_finish(), before an error is told: there is no total. */
void kv_meter_erase(const struct kv_meter *meter);

#endif
