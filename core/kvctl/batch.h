/*
 * Sends writes to the server in batches, by POST /batch. The writes of a batch take effect one by
 * one: if one of them is refused, the others are carried out nevertheless.
 */
#ifndef KV_KVCTL_BATCH_H
#define KV_KVCTL_BATCH_H

#include "kvctl/ask.h"
#include "kvctl/meter.h"

/* Owns what it holds, by kv_ctl_batch_fini(). */
struct kv_ctl_batch {
    struct kv_ctl_call *call;
    const char *name;  /* of the file that the writes come from; lent */
    uint64_t *numbers; /* of the lines in the batch */
    uint64_t n, most;  /* writes in it */
    uint64_t n_done;   /* writes of earlier batches */
    struct kv_buffer text;
    struct kv_ctl_answer answer;
    struct kv_ctl_meter meter;
};

/* Also starts the meter. most: writes in a batch, at least 1. verb: of the meter.
 * Returns: 0; or -1 if there is no memory for so many, which has been told. */
int kv_ctl_batch_init(struct kv_ctl_batch *batch, struct kv_ctl_call *call, const char *name,
                      uint64_t most, const char *verb);
void kv_ctl_batch_fini(struct kv_ctl_batch *batch);

/* Add a write. number: of its line, for messages. key, value, ttl: JSON texts; ttl: bytes NULL:
 * none. */
void kv_ctl_batch_set(struct kv_ctl_batch *batch, uint64_t number, struct kv_slice key,
                      struct kv_slice value, struct kv_slice ttl);
void kv_ctl_batch_delete(struct kv_ctl_batch *batch, uint64_t number, struct kv_slice key);

/* Whether the batch must be sent before more writes are added. */
bool kv_ctl_batch_is_full(const struct kv_ctl_batch *batch);

/* Sends what it has. Returns: the exit code, told. */
int kv_ctl_batch_send(struct kv_ctl_batch *batch);

/* Tells how many writes are done when the work ends early; those in the current batch may have
 * taken effect or not. */
void kv_ctl_batch_tell_how_far(const struct kv_ctl_batch *batch);

#endif
