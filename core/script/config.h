/*
 * The configuration of one script.
 */
#ifndef KV_SCRIPT_CONFIG_H
#define KV_SCRIPT_CONFIG_H

#include <kvserver/types.h>

struct kv_script_limits {
    int64_t instructions; /* of one hook, and of loading the script */
    int64_t time_us;      /* the same, while it runs; waiting does not count */
    size_t memory;        /* bytes of one state */
};

/* The maximum sizes, in bytes, of what a script writes. They can change while it runs. */
struct kv_script_sizes {
    size_t key, value;
};

/* A text of the script's options. */
struct kv_script_option {
    struct kv_slice name, text;
};

struct kv_script_config {
    const char *file;
    const char *name;                /* for the log: `script/audit.lua` */
    const struct kv_slice *prefixes; /* of keys; none: all keys */
    size_t n_prefixes;
    const struct kv_script_option *options; /* the table kv.options */
    size_t n_options;
    bool passes_on_error; /* a before-hook that fails passes the write, or refuses it */
    struct kv_script_limits limits;
    uint32_t max_depth;   /* of hooks that are called for what hooks write */
    uint32_t max_pending; /* after-hooks under way on a loop; beyond it writes are held back */
    struct kv_script_sizes sizes;
};

/* Where what is wrong with scripts goes as they are loaded. */
struct kv_script_faults {
    /* option: the name of the one at fault, "" for the options as a whole; NULL: the script itself.
     * text: what is wrong; of a script with file and line. Both are lent for the call. */
    void (*add)(struct kv_script_faults *faults, const struct kv_script_config *config,
                const char *option, const char *text);
};

#endif
