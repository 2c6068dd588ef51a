/*
 * A disk whose power can be cut: a folder in which the server's program works with kv_power.so
 * preloaded, and which is then made into what a power cut would have left of it.
 *
 * What was synced is there: a file's bytes after a sync of the file, a name after a sync of its
 * folder. What was not is gone; or, as disks do, some of it is there: of unsynced bytes any pages
 * in any order, the last ones torn within a page; of unsynced names those up to some moment, as
 * file systems with a journal keep the order of names.
 */
#ifndef KV_TEST_POWER_DISK_H
#define KV_TEST_POWER_DISK_H

#include <stdint.h>

struct kv_test_disk_node;

struct kv_test_disk {
    char *root;                     /* the folder */
    char *journal;                  /* the file of kv_power.so */
    struct kv_test_disk_node *base; /* what is on the disk since the cut before */
    int64_t longest_sync_ms; /* that a cut has ended, or one that ended; the caller's to reset */
};

/* Takes the folder's present content as synced, and begins a journal beside it; sets the
 * environment of programs started from now on. Owns: the caller, by kv_test_disk_close(). */
void kv_test_disk_open(struct kv_test_disk *disk, const char *root);

/* No program works in the folder any more: makes of it what the cut leaves.
 * seed: 0 leaves exactly what was synced; others more, by chance. */
void kv_test_disk_cut(struct kv_test_disk *disk, uint64_t seed);

/* The folder itself stays. */
void kv_test_disk_close(struct kv_test_disk *disk);

#endif
