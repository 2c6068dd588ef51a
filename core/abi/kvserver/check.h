/*
 * What is wrong with options beyond their schema: one that excludes another, a URL that is none, a
 * folder that belongs to somebody else. Each kind's table of functions may end with a `check` that
 * finds it, so that the operator is told of everything at once, each fault at its place in the
 * file.
 */
#ifndef KVSERVER_CHECK_H
#define KVSERVER_CHECK_H

#include <kvserver/option.h>

/* Where a check puts what it finds. */
struct kv_faults {
    uint32_t size; /* sizeof(struct kv_faults) as the server was built */

    /* Adds a fault of an option. option: its path in the module's block: `url`, `servers[1]`,
     * `settings.acks`, or "" for the block as a whole. The text says what is wrong, and not where;
     * secrets are no part of it. Copied. */
    void (*add)(const struct kv_faults *faults, const char *option, const char *format, ...)
        KV_PRINTF(3, 4);
};

/*
 * Adds everything that is wrong with the options, which are aligned with the module's schema. Both
 * arguments are lent for the call.
 *
 * The server calls it before open(), at every start and for `--check-config`, and opens nothing
 * where it found something. So open() need not look again at what cannot change in between.
 *
 * It only looks: it makes, changes and locks nothing, and waits for no peer. What a running server
 * uses just then is no fault. Where the schema has refused an option, the value is the default, or
 * zero where there is none; faults of such options are ignored.
 * Threads: the main one; also while the module is open.
 */
typedef void (*kv_check_fn)(const struct kv_option_value *options, const struct kv_faults *faults);

#endif
