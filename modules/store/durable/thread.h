/* A named thread of the store, which may not exist. */
#ifndef KV_DURABLE_THREAD_H
#define KV_DURABLE_THREAD_H

#include <pthread.h>
#include <stdbool.h>

struct thread {
    pthread_t id;
    bool is_there;
};

/* name: of 15 letters at most. Returns: an error number, or 0. */
static inline int thread_start(struct thread *thread, const char *name, void *(*run)(void *),
                               void *argument)
{
    int fault = pthread_create(&thread->id, NULL, run, argument);
    thread->is_there = fault == 0;
    if (thread->is_there)
        pthread_setname_np(thread->id, name);
    return fault;
}

/* Waits until it has ended, if it exists. */
static inline void thread_join(struct thread *thread)
{
    if (thread->is_there)
        pthread_join(thread->id, NULL);
    thread->is_there = false;
}

#endif
