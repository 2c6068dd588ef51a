/*
 * The journal of a disk: each change of the files below a folder, in order, as kv_power.so writes
 * it and disk.c reads it. Nodes are files and folders, identified by their inodes; POWER_MAKE for a
 * reused number starts a new node.
 */
#ifndef KV_TEST_POWER_JOURNAL_H
#define KV_TEST_POWER_JOURNAL_H

#include <stdint.h>

enum power_kind {
    POWER_MAKE,    /* a new node under a name */
    POWER_LINK,    /* a further name of a node */
    POWER_DROP,    /* a name is removed */
    POWER_MOVE,    /* a name is moved, and replaces the one at its destination */
    POWER_WRITE,   /* bytes of a file */
    POWER_SIZE,    /* a file's size is set */
    POWER_SYNCING, /* a sync of a node has begun */
    POWER_SYNC,    /* everything about this node that precedes `at` in the journal is on the disk */
};

struct power_record {
    uint32_t kind;
    uint8_t is_folder;   /* MAKE */
    uint8_t is_durable;  /* WRITE: through a descriptor opened for synchronous writes */
    uint16_t name_len;   /* with its NUL */
    uint64_t node;       /* all but DROP */
    int64_t time_ms;     /* SYNCING, SYNC: CLOCK_MONOTONIC */
    uint64_t folder;     /* of the name: MAKE, LINK, DROP, MOVE */
    uint64_t new_folder; /* MOVE */
    uint64_t at;         /* WRITE: offset; SIZE: the size; SYNC: a place in the journal */
    uint64_t len;        /* of the data that follows: the bytes; the name; for MOVE, both names */
};

#endif
