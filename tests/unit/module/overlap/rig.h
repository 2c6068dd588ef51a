/* A durable store on the disk of disk.h, with a host that records its calls. */
#ifndef KV_TEST_OVERLAP_RIG_H
#define KV_TEST_OVERLAP_RIG_H

#include "disk.h"
#include "durable.h"

#define KEY    KV_SLICE("key")
#define NOW_MS INT64_C(500000)

enum {
    MOST_TOLD = 16384
};

struct told {
    enum kv_reason reason;
    uint64_t revision;
};

/* The calls of the host, and its clock; under the disk's lock. */
struct heard {
    size_t n_done, n_scanned; /* without barriers */
    struct told told[MOST_TOLD];
    size_t n_told;
    int64_t now_ms;
};
extern struct heard heard;

struct rig {
    char folder[32];
    char *path;
    struct kv_store *store;
    int64_t durability; /* enum durability */
    uint64_t first;     /* the revision of KEY's first value, which is synced */
};

/* For cmocka: a store in which KEY is "0" and synced. Further syncs wait for disk_allow(). */
int rig_set_up(void **state);
int rig_tear_down(void **state);

/* Opens a store in that folder, after the previous one was closed. */
void rig_open(struct rig *rig, const char *path);

/* The hash of commands on this key. */
uint64_t rig_hash(struct kv_slice key);

/* A command that sets KEY. */
struct kv_cmd setting(const char *value);

/* Sends a command to the store; it is lent until it completes. */
void rig_send(struct rig *rig, struct kv_cmd *cmd);

/* The same; also waits until the writer has judged it. */
void rig_send_and_wait(struct rig *rig, struct kv_cmd *cmd);

/* Sends prepared commands in one vector, and waits likewise. */
void rig_submit_and_wait(struct rig *rig, struct kv_cmd *const *cmds, size_t n);

/* `one` is being synced (the second sync of the store) when `other` arrives. */
void rig_send_two(struct rig *rig, struct kv_cmd *one, struct kv_cmd *other);

/* The number of completed commands. */
size_t done_so_far(void);

/* Asserts the value of KEY that a reader gets from memory now (NULL: missing). */
void assert_shows(struct rig *rig, const char *value);

/* The same, where the engine may have to be read. */
void assert_shows_in_the_end(struct rig *rig, const char *value);

/* Asserts the total number of changes. */
void assert_told(size_t n);

#define RIG_TEST(name) cmocka_unit_test_setup_teardown(name, rig_set_up, rig_tear_down)

#endif
