/*
 * Writes that go to the server some at a time, by POST /batch. Those of a batch take effect one by
 * one: where one of them is refused, the others have been carried out.
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

/* most: writes in a batch, at least 1. verb: as of the meter, which it starts.
 * Returns: 0, or -1 where there is no memory for so many, told. */
int kv_ctl_batch_init(struct kv_ctl_batch *batch, struct kv_ctl_call *call, const char *name,
                      uint64_t most, const char *verb);
void kv_ctl_batch_fini(struct kv_ctl_batch *batch);

/* Add a write. number: of its line, for messages. key, value, ttl: JSON texts; ttl: bytes NULL:
 * none. */
void kv_ctl_batch_set(struct kv_ctl_batch *batch, uint64_t number, struct kv_slice key,
                      struct kv_slice value, struct kv_slice ttl);
void kv_ctl_batch_delete(struct kv_ctl_batch *batch, uint64_t number, struct kv_slice key);

/* Whether it is to be sent before more is added. */
bool kv_ctl_batch_is_full(const struct kv_ctl_batch *batch);

/* Sends what it has. Returns: the exit code, told. */
int kv_ctl_batch_send(struct kv_ctl_batch *batch);

/* Says that the work ends here, with some of what is in the batch done or not. */
void kv_ctl_batch_tell_how_far(const struct kv_ctl_batch *batch);

#endif
