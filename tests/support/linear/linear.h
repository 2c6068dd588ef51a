/*
 * Decides whether what several clients saw of one key can be explained: whether there is an order
 * of their commands, in which each takes effect at one moment between its call and its return, and
 * which gives the outcomes that they got ("linearizability": Herlihy and Wing, 1990).
 *
 * The search is Wing and Gong's ("Testing and verifying concurrent objects", 1993) with Lowe's
 * pruning ("Testing for linearizability", 2017): a set of commands already placed that leads to a
 * state seen before with the same set is not tried again. Keys are independent of each other, so
 * each is decided for itself.
 *
 * Time: a key may be gone from its deadline on. Commands say what the clock showed when they were
 * called and when they returned; the search keeps how late it must be by now.
 */
#ifndef KV_TEST_LINEAR_H
#define KV_TEST_LINEAR_H

#include <kvserver/store.h>

/* A revision that the client was not told. */
#define LINEAR_NOT_TOLD UINT64_MAX

/* A command and its outcome. */
struct linear_op {
    /* Call and return, stamped with numbers that order those of all clients. */
    uint64_t called, returned;
    int64_t called_ms, returned_ms;
    uint32_t client; /* commands of one client take effect in the order called */

    enum kv_op op;
    uint32_t cond; /* enum kv_cond */
    uint64_t if_revision;
    uint64_t
        value; /* SET, UPDATE: a number for the bytes; equal numbers are equal bytes. 0 is none */
    /* SET, TOUCH, UPDATE: between which times the deadline lies; KV_NEVER twice for none. */
    int64_t earliest_deadline_ms, latest_deadline_ms;
    bool keeps_deadline; /* UPDATE */

    enum kv_status status;
    uint64_t revision; /* or LINEAR_NOT_TOLD */
    uint64_t
        seen_value; /* GET with OK; UPDATE: of which the new value was made, 0: there was none */
};

/* What a key is. All zero (with deadlines that do not matter): never there. */
struct linear_state {
    bool is_there;
    uint64_t revision; /* LINEAR_NOT_TOLD matches any */
    uint64_t value;
    int64_t earliest_deadline_ms, latest_deadline_ms;
    uint64_t newest; /* no change from now on has a revision up to this one */
    int64_t time_ms; /* it is not earlier than this */
};

/* Whether there is such an order, beginning with `state`. *ret_stuck: where there is none, the
 * command that could not be placed in the longest order found. */
bool linear_check(const struct linear_state *state, const struct linear_op *ops, size_t n,
                  const struct linear_op **ret_stuck);

/* How many commands a test is to judge: what KV_TEST_OPERATIONS says; or `n`, or a fifth of them
 * where KV_TEST_LENGTH is `short`, as another test makes the long run. */
size_t linear_operations(size_t n);

/* `op` in words, for a message. */
void linear_describe(const struct linear_op *op, struct kv_error *ret);

#endif
