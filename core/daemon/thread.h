/*
 * Threads with a fixed stack size.
 */
#ifndef KV_DAEMON_THREAD_H
#define KV_DAEMON_THREAD_H

#include <kvserver/types.h>

#include <pthread.h>

/* Returns: 0, or -1 and *reterr. Owns: the caller, by pthread_join(). */
int kv_thread_start(pthread_t *ret_thread, void *(*run)(void *), void *argument,
                    struct kv_error *reterr);

#endif
