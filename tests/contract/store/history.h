/*
 * What must be true of all changes that one store has ever told: checked at the end of each test.
 */
#ifndef KV_CONTRACT_HISTORY_H
#define KV_CONTRACT_HISTORY_H

#include "contract/store/fixture.h"

/* No command is under way. Returns: 0, or -1 and *reterr with what is wrong. */
int history_check(const struct fixture *fixture, struct kv_error *reterr);

#endif
