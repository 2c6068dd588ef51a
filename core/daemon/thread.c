#include "daemon/thread.h"

enum {
    STACK_BYTES = 8 << 20
};

int kv_thread_start(pthread_t *ret_thread, void *(*run)(void *), void *argument,
                    struct kv_error *reterr)
{
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    int failed = pthread_create(ret_thread, &attributes, run, argument);
    pthread_attr_destroy(&attributes);
    return failed == 0 ? 0 : kv_error_set(reterr, "cannot start a thread: %s", strerror(failed));
}
