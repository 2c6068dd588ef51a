/*
 * Invariants over all changes that one store has told: checked at the end of each test.
 */
#ifndef KV_CONTRACT_HISTORY_H
#define KV_CONTRACT_HISTORY_H

#include "contract/store/fixture.h"

/* Must be called while no command is in progress. Returns: 0, or -1 and *reterr with the
 * violation. */
int history_check(const struct fixture *fixture, struct kv_error *reterr);

#endif
