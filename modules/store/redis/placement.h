/*
 * Which partition a key belongs to: by a hash whose secret is stored with the store, so that
 * clients cannot choose keys of one partition.
 */
#ifndef KV_STORE_REDIS_PLACEMENT_H
#define KV_STORE_REDIS_PLACEMENT_H

#include <kvserver/store.h>

enum {
    SEED_BYTES = 16,
    SEED_DIGITS = 2 * SEED_BYTES,
};

/* Stores of format 1 have no seed: they hash their first epoch, the salt, which clients know. */
struct placement {
    bool has_seed;
    unsigned char seed[SEED_BYTES];
    char salt[KV_EPOCH_MAX]; /* without a seed */
};

/* Draws a seed. Returns: false if the system has no random bytes. */
bool placement_make(struct placement *ret);

/* The stored form. */
struct placement_text {
    const char *field; /* of the hash kv{…}i */
    char value[SEED_DIGITS + 1];
};

void placement_write(const struct placement *placement, struct placement_text *ret);

/* seed, salt: as stored; each empty if it is not. Returns: false if they are malformed. */
bool placement_read(struct kv_slice seed, struct kv_slice salt, struct kv_slice epoch,
                    struct placement *ret);

bool placement_equals(const struct placement *one, const struct placement *other);

uint32_t placement_part_of(const struct placement *placement, struct kv_slice key,
                           uint32_t n_parts);

/* The epoch that a store gets in place of that one when the loss of partitions is accepted: the
 * same at all servers, so that several can make the change at the same time. */
void placement_next_epoch(const char *epoch, char ret[KV_EPOCH_MAX]);

#endif
