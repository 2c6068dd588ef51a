/*
 * Decides whether the results that several clients got for one key can be explained: whether there
 * is an order of their commands in which each takes effect at one moment between its call and its
 * return, and which yields those results ("linearizability": Herlihy and Wing, 1990).
 *
 * The search is Wing and Gong's ("Testing and verifying concurrent objects", 1993) with Lowe's
 * pruning ("Testing for linearizability", 2017): if a set of commands already placed leads to a
 * state seen before with the same set, it is not tried again. Keys are independent of each other,
 * so each is decided separately.
 *
 * Time: a key may have expired from its deadline on. Commands record the clock at their call and at
 * their return; the search tracks the earliest possible time.
 */
#ifndef KV_TEST_LINEAR_H
#define KV_TEST_LINEAR_H

#include <kvserver/store.h>

/* A revision that the client did not learn. */
#define LINEAR_NOT_TOLD UINT64_MAX

/* A command and its outcome. */
struct linear_op {
    /* Call and return, as stamps that order the events of all clients. */
    uint64_t called, returned;
    int64_t called_ms, returned_ms;
    uint32_t client; /* commands of one client take effect in the order called */

    enum kv_op op;
    uint32_t cond; /* enum kv_cond */
    uint64_t if_revision;
    uint64_t value; /* SET, UPDATE: a number that stands for the bytes; 0: none */
    /* SET, TOUCH, UPDATE: the range that contains the deadline; KV_NEVER twice: no deadline. */
    int64_t earliest_deadline_ms, latest_deadline_ms;
    bool keeps_deadline; /* SET, UPDATE: of a key that exists */

    enum kv_status status;
    uint64_t revision;   /* or LINEAR_NOT_TOLD */
    uint64_t seen_value; /* GET with OK; UPDATE: the value it was computed from; 0: none */
};

/* The state of a key. All zero (the deadlines are ignored): never set. */
struct linear_state {
    bool is_there;
    uint64_t revision; /* LINEAR_NOT_TOLD matches any */
    uint64_t value;
    int64_t earliest_deadline_ms, latest_deadline_ms;
    uint64_t newest; /* all later changes have larger revisions */
    int64_t time_ms; /* the time is at least this */
};

/* Whether such an order exists, starting at `state`. *ret_stuck: if not, the command that could not
 * be placed in the longest order found. */
bool linear_check(const struct linear_state *state, const struct linear_op *ops, size_t n,
                  const struct linear_op **ret_stuck);

/* The number of commands that a test is to judge: KV_TEST_OPERATIONS if set; otherwise `n`, or a
 * fifth of it if KV_TEST_LENGTH is `short`, as another test makes the long run. */
size_t linear_operations(size_t n);

/* Describes `op` for a message. */
void linear_describe(const struct linear_op *op, struct kv_error *ret);

#endif
