/*
 * Checks of options beyond their schema: options that exclude each other, a malformed URL, a folder
 * that belongs to another program. Each kind's table of functions may end with a `check`, so that
 * the operator sees all faults at once, each with its place in the file.
 */
#ifndef KVSERVER_CHECK_H
#define KVSERVER_CHECK_H

#include <kvserver/option.h>

/* Collects the faults that a check finds. */
struct kv_faults {
    uint32_t size; /* sizeof(struct kv_faults) as the server was built */

    /* Adds a fault of an option. option: its path in the module's block: `url`, `servers[1]`,
     * `settings.acks`, or "" for the block as a whole. The text describes the fault, without its
     * place and without secrets. Copied. */
    void (*add)(const struct kv_faults *faults, const char *option, const char *format, ...)
        KV_PRINTF(3, 4);
};

/*
 * Adds every fault of the options, which are aligned with the module's schema. Both arguments are
 * lent for the call.
 *
 * The server calls check() before open(), at every start and for `--check-config`, and opens
 * nothing if there is a fault. So open() need not repeat checks whose result cannot change in
 * between.
 *
 * A check only looks: it makes, changes and locks nothing, and waits for no peer. Resources that a
 * running server is using are no fault. If the schema has refused an option, its value is the
 * default, or zero if it has none; faults of such options are ignored.
 * Threads: the main one; also while the module is open.
 */
typedef void (*kv_check_fn)(const struct kv_option_value *options, const struct kv_faults *faults);

#endif
