/*
 * The known nodes of a Redis Cluster: those of the configuration, and those that they name. All
 * partitions share them. To connect, a partition asks any node that answers which node has its slot
 * (CLUSTER SLOTS), and then connects to that node.
 */
#ifndef KV_STORE_REDIS_NODES_H
#define KV_STORE_REDIS_NODES_H

#include "login.h"
#include "../../redis_client/options.h"

enum {
    MOST_NODES = 256,
};

struct owner {
    struct kv_slice host;
    int port;
    uint32_t node; /* as in struct kv_store */
};

struct place {
    char host[REDIS_LONGEST_HOST];
    int port;
    bool has_failed; /* the last connection to it */
};

/* Returns: NULL where there is no memory. */
struct nodes *nodes_create(void);
/* Accepts NULL. */
void nodes_destroy(struct nodes *nodes);

/* Adds a node of the configuration. Beyond a limit it is ignored. */
void nodes_add(struct nodes *nodes, struct kv_slice host, int port);

/* Notes whether the node could be reached. One that could not, and is not of the configuration, is
 * forgotten once an answer to CLUSTER SLOTS lacks it. */
void nodes_note(struct nodes *nodes, struct kv_slice host, int port, bool is_reached);

/* Lists the nodes that have been named as masters. Returns: their number. One may be there by two
 * names. */
size_t nodes_list_masters(struct nodes *nodes, struct place ret[MOST_NODES]);

/* Asks the node that is connected which of these partitions it has; if it is one partition, whether
 * it is the node that the store has found. ret_has: n. Returns: -1 and *reterr. */
int nodes_find_own(const struct attempt *attempt, struct kv_store *const *parts, uint32_t n,
                   bool *ret_has);

unsigned nodes_slot_of(const char *tag);

/* Writes the hash tag of a partition. The tags spread the partitions evenly over the slots. */
void nodes_write_tag(uint32_t part, uint32_t n_parts, char tag[LONGEST_TAG]);

/* Points the store to a server. */
void nodes_point_to(struct kv_store *store, struct kv_slice host, int port);

/* How long Redis may be silent: only a part of the timeout if another server may have been
 * promoted.
 */
int64_t nodes_patience_ms(const struct kv_store *store);

/* Points the store to the next node in turn, of its own turn: so none is left out. */
void nodes_try_next(struct kv_store *store);

/* Reads the answer to CLUSTER SLOTS, and adds the nodes in it: beyond the limit, each in place of
 * another one that was not in the configuration. *ret_owner: the master of the store's partition;
 * its host is in the answer or in the store, and empty if there is none. Returns: -1 if the answer
 * is malformed. */
int nodes_read_slots(struct kv_store *store, struct kv_slice reply, struct owner *ret_owner);

/* A number for the address that the store points to; not 0. */
uint64_t nodes_number(const struct kv_store *store);

/* Connects to the node that has the partition, notes which it is, and logs in. Returns: -1 and
 * *reterr. */
int nodes_connect(const struct attempt *attempt, uint64_t *ret_id);

/* Asks the node that is connected which of these partitions it has, besides the attempt's own, and
 * points them to it. ret_are_beside: n. Returns: -1 and *reterr. */
int nodes_find_beside(const struct attempt *attempt, struct kv_store *const *parts, uint32_t n,
                      bool *ret_are_beside);

#endif
