/*
 * What one hook may use.
 */
#ifndef KV_SCRIPT_LIMITS_H
#define KV_SCRIPT_LIMITS_H

#include <stddef.h>
#include <stdint.h>

struct kv_script_limits {
    int64_t instructions; /* of one hook, and of loading the script */
    int64_t time_us;      /* the same, while it runs; waiting does not count */
    size_t memory;        /* bytes of one state */
};

#endif
