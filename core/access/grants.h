/*
 * Grants: the rights of a principal. Nothing is granted unless it is listed, and grants add up.
 */
#ifndef KV_ACCESS_GRANTS_H
#define KV_ACCESS_GRANTS_H

#include "access/prefixes.h"

/* Rights over keys: a set. */
enum kv_right {
    KV_RIGHT_READ = 1 << 0,
    KV_RIGHT_WRITE = 1 << 1,
};

/* Rights over the server: a set. */
enum kv_admin_right {
    KV_ADMIN_METRICS = 1 << 0,
    KV_ADMIN_BACKUP = 1 << 1,
    KV_ADMIN_CLIENTS = 1 << 2,
    KV_ADMIN_SLOWLOG = 1 << 3,
    KV_ADMIN_RESTORE = 1 << 4,
    KV_ADMIN_CLUSTER = 1 << 5,
};

/* The names of the rights over the server, in the order of their bits; NULL at the end. */
extern const char *const kv_admin_right_names[];

/* All zero grants nothing. Owns: the prefixes, until kv_grants_fini(). */
struct kv_grants {
    struct kv_prefixes read;
    struct kv_prefixes write;
    struct kv_prefixes revoke; /* of `write`, those that name the prefix of revocations */
    uint32_t admin;            /* enum kv_admin_right */
};

void kv_grants_fini(struct kv_grants *grants);

bool kv_grants_are_none(const struct kv_grants *grants);

/* Whether all of `rights` (enum kv_right) are granted over a key, or over all keys that begin with
 * a prefix. */
static inline bool kv_grants_cover(const struct kv_grants *grants, uint32_t rights,
                                   struct kv_slice text)
{
    return ((rights & KV_RIGHT_READ) == 0 || kv_prefixes_cover(&grants->read, text)) &&
           ((rights & KV_RIGHT_WRITE) == 0 || kv_prefixes_cover(&grants->write, text));
}

#endif
