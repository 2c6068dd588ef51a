/*
 * Looks at all partitions of a cluster before any is opened: whether the store is whole, or is to
 * be made. If a master has lost its data, some partitions are gone while others are there. Then the
 * server does not start unless the option `accept_loss` names the store's epoch: what is left
 * becomes a store with a new epoch. All servers derive the same new epoch, and each step can be
 * repeated, so several may do this at once, and one may continue after another one's death.
 */
#ifndef KV_STORE_REDIS_SURVEY_H
#define KV_STORE_REDIS_SURVEY_H

#include "finding.h"

enum survey_state {
    STORE_NEW = 1, /* all is to be made, or the rest of it: another server is making it, or died */
    STORE_WHOLE,
    STORE_DAMAGED,
};

struct survey {
    uint32_t n;
    struct found found[MOST_PARTS];
};

enum survey_state survey_judge(const struct survey *survey);

/* Returns: the epoch whose loss can be accepted, so that all partitions can be used together; NULL:
 * there is none, as keys would be in the wrong partitions. */
const char *survey_suggest(const struct survey *survey);

/* Sets `may_create` of the partitions, which are in no use yet. A reader does not wait for a store
 * that nobody has begun to make. Returns: -1 and *reterr. */
int survey_partitions(struct kv_store *const *parts, uint32_t n, struct kv_error *reterr);

/* Notes in Redis that a new store has been made; does nothing otherwise. first: of the partitions.
 * Returns: -1 and *reterr. */
int survey_end(struct kv_store *first, struct kv_error *reterr);

#endif
