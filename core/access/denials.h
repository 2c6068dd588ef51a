/*
 * The log of what was denied: so many lines a second at most, so that nobody can fill the log. No
 * line has a token in it.
 *
 * Threads: any.
 */
#ifndef KV_ACCESS_DENIALS_H
#define KV_ACCESS_DENIALS_H

#include <stdatomic.h>

#include "access/principal.h"

enum {
    KV_DENIALS_A_SECOND = 5
};

/* All zero to begin with. */
struct kv_denials {
    _Atomic int64_t second;     /* that is counted */
    _Atomic uint32_t n;         /* denials in it */
    _Atomic uint32_t n_omitted; /* that were not logged, and have not been told */
};

/* A command was denied. action: "get", "list", …; key: of the command, or the prefix. */
void kv_denials_log(struct kv_denials *denials, const struct kv_principal *principal,
                    const char *action, struct kv_slice key, const char *why);

/* A token was refused, by that part of the program ("http", "websocket"). */
void kv_denials_log_token(struct kv_denials *denials, const char *part, const char *why);

#endif
