/*
 * Redis Sentinel: servers that watch a master and its replicas, promote a replica when the master
 * is lost, and tell clients which server is the current master.
 */
#ifndef KV_REDIS_CLIENT_SENTINEL_H
#define KV_REDIS_CLIENT_SENTINEL_H

#include "options.h"

enum {
    EPOCH_UNKNOWN = -1 /* the sentinel refuses the question */
};

struct sentinel;

/* For one thread at a time. Initialize it with zeros. */
struct sentinels {
    struct sentinel *all;
    size_t n;
    struct kv_slice master; /* its name */
    struct kv_slice user, password;
};

/* The current master. A sentinel that has missed a failover still names the previous one, with a
 * smaller epoch. */
struct master_address {
    char host[REDIS_LONGEST_HOST];
    int port;
    int64_t epoch;
};

/* Reads the options, whose texts are borrowed. gives_up: ends waits early. Returns: -1 and *reterr
 * if memory runs out. */
int sentinels_init(struct sentinels *sentinels, const struct kv_option_value *options,
                   const atomic_bool *gives_up, struct kv_error *reterr);
/* Accepts zeros. */
void sentinels_fini(struct sentinels *sentinels);

/* Asks all sentinels that can be reached, and takes the answer of the largest epoch. Keeps the
 * connections for the next time. patience_ms: for all of them together. Returns: -1 and *reterr if
 * none of them knows the master. */
int sentinels_find_master(struct sentinels *sentinels, int64_t patience_ms,
                          struct master_address *ret, struct kv_error *reterr);

/* Read the answers of a sentinel. The first returns 0 if it does not know the master, and -1 if the
 * answer is malformed. */
int sentinel_read_address(struct kv_slice reply, struct master_address *ret);
int64_t sentinel_read_epoch(struct kv_slice reply);

bool master_address_equals(const struct master_address *one, const struct master_address *other);

#endif
