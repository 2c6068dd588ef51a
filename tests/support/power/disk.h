/*
 * A disk whose power can be cut: a folder in which the server's program works with kv_power.so
 * preloaded, and which is then reduced to the content that a power cut would have left.
 *
 * Synced data is there: a file's bytes after a sync of the file, a name after a sync of its folder.
 * Unsynced data is gone, or, as on real disks, partly there: any pages of unsynced bytes in any
 * order, the last ones torn within a page; unsynced names up to some moment, as journaling file
 * systems keep the order of names.
 */
#ifndef KV_TEST_POWER_DISK_H
#define KV_TEST_POWER_DISK_H

#include <stdint.h>

struct kv_test_disk_node;

struct kv_test_disk {
    char *root;                     /* the folder */
    char *journal;                  /* the file of kv_power.so */
    struct kv_test_disk_node *base; /* the content of the disk since the previous cut */
    int64_t longest_sync_ms; /* among completed syncs and the one that a cut ended; reset by the
                              * caller */
};

/* Takes the folder's present content as synced, and starts a journal beside it; sets the
 * environment of programs started from now on. Owns: the caller, by kv_test_disk_close(). */
void kv_test_disk_open(struct kv_test_disk *disk, const char *root);

/* Reduces the folder to the content that the cut leaves; no program may be using it. seed: 0 keeps
 * exactly the synced data; others keep more, at random. */
void kv_test_disk_cut(struct kv_test_disk *disk, uint64_t seed);

/* The folder itself stays. */
void kv_test_disk_close(struct kv_test_disk *disk);

#endif
