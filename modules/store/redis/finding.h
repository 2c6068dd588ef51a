/*
 * Finds or creates the store in Redis: what the hash kv{…}i and the newest revision of a partition
 * say.
 */
#ifndef KV_STORE_REDIS_FINDING_H
#define KV_STORE_REDIS_FINDING_H

#include "login.h"

/* A partition as it is in Redis. */
struct found {
    bool is_described; /* the hash is there; otherwise the rest is not known, except: */
    bool has_newest;   /* the newest revision is there */
    bool has_keys;
    bool is_being_made; /* more partitions are to be made */
    char epoch[KV_EPOCH_MAX];
    struct placement placement;
};

/* Looks without changing anything. Returns: -1 and *reterr: Redis cannot be asked, or the partition
 * is of another format or number of partitions. */
int finding_look(const struct attempt *attempt, struct found *ret);

/* Finds the store, and creates it if it may. It has to be the same as before, and as that of the
 * other partitions. Sets epoch and placement. Returns: -1 and *reterr. */
int finding_open(const struct attempt *attempt);

/* Says that there is no store, which was to exist. Returns: -1 and *reterr. */
int finding_miss(struct kv_store *store, struct kv_error *reterr);

/* All partitions of the new store have been made. Returns: -1 and *reterr. */
int finding_end_making(const struct attempt *attempt);

/* Makes what is left of the partition, which may be nothing, part of the store with that epoch.
 * Returns: -1 and *reterr. */
int finding_adopt(const struct attempt *attempt, const char *epoch,
                  const struct placement *placement);

#endif
