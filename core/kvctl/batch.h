/*
 * Sends writes to the server in batches, by POST /batch. The writes of a batch take effect one by
 * one: if one of them is refused, the others are still carried out.
 */
#ifndef KV_KVCTL_BATCH_H
#define KV_KVCTL_BATCH_H

#include "kvctl/ask.h"
#include "kvctl/meter.h"

/* Owns its members, until kv_ctl_batch_fini(). */
struct kv_ctl_batch {
    struct kv_ctl_call *call;
    const char *name;  /* of the file with the writes; lent */
    uint64_t *numbers; /* line numbers of the writes in the batch */
    uint64_t n, most;  /* number of writes in the batch, and the maximum */
    uint64_t n_done;   /* writes of earlier batches */
    struct kv_buffer text;
    struct kv_ctl_answer answer;
    struct kv_ctl_meter meter;
};

/* Also starts the meter. most: writes in a batch, at least 1. verb: for the meter.
 * Returns: 0; or -1 if there is no memory for that many, which has been reported. */
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

/* Sends the batch. Returns: the exit code; failures have been reported. */
int kv_ctl_batch_send(struct kv_ctl_batch *batch);

/* Reports how many writes are done when the work ends early; those in the current batch may have
 * taken effect or not. */
void kv_ctl_batch_tell_how_far(const struct kv_ctl_batch *batch);

#endif
