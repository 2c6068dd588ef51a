/*
 * The configuration of one script.
 */
#ifndef KV_SCRIPT_CONFIG_H
#define KV_SCRIPT_CONFIG_H

#include <kvserver/types.h>

struct kv_script_limits {
    int64_t instructions; /* of one hook, and of loading the script */
    int64_t time_us;      /* the same; time spent waiting does not count */
    size_t memory;        /* bytes for each state */
};

/* The maximum sizes, in bytes, of keys and values that a script writes. They can change while it
 * runs. */
struct kv_script_sizes {
    size_t key, value;
};

/* An option of the script. */
struct kv_script_option {
    struct kv_slice name, text;
};

struct kv_script_config {
    const char *file;
    const char *name;                /* for the log: `script/audit.lua` */
    const struct kv_slice *prefixes; /* of keys; n_prefixes is 0: all keys */
    size_t n_prefixes;
    const struct kv_script_option *options; /* the table kv.options */
    size_t n_options;
    bool passes_on_error; /* if a before-hook fails, the write passes; otherwise it is refused */
    struct kv_script_limits limits;
    uint32_t max_depth;   /* of chains of hooks that are called for the writes of hooks */
    uint32_t max_pending; /* running after-hooks on a loop; beyond this, writes are held back */
    struct kv_script_sizes sizes;
};

/* Collects the faults of scripts as they are loaded. */
struct kv_script_faults {
    /* option: the name of the faulty one, "" for the options as a whole; NULL: the script itself.
     * text: the fault; for a script with file and line. Both are lent for the call. */
    void (*add)(struct kv_script_faults *faults, const struct kv_script_config *config,
                const char *option, const char *text);
};

#endif
