/*
 * For libraries that are loaded ahead of the system's, to stand in for some of its functions.
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

/* The function that this one stands in for. */
#define REAL(name)                                                                                 \
    static __typeof__(&name) real;                                                                 \
    if (real == NULL)                                                                              \
    *(void **)&real = next(#name)

#endif
