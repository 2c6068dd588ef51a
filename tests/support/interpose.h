/*
 * For preloaded libraries that replace functions of the system's.
 */
#ifndef KV_TEST_INTERPOSE_H
#define KV_TEST_INTERPOSE_H

#include <dlfcn.h>
#include <stdlib.h>

static inline void *next(const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);
    if (found == NULL)
        abort();
    return found;
}

/* The replaced function. */
#define REAL(name)                                                                                 \
    static __typeof__(&name) real;                                                                 \
    if (real == NULL)                                                                              \
    *(void **)&real = next(#name)

#endif
