/*
 * Child processes that end with the test, even if it is killed.
 */
#ifndef KV_TEST_FORK_H
#define KV_TEST_FORK_H

#include <sys/types.h>

/* Like fork(), but the child never outlives this process: it is killed when the thread that called
 * this ends. */
pid_t kv_test_fork(void);

#endif
