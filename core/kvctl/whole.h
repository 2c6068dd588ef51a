/*
 * Checks whether a backup (PROTOCOL B6) is complete: its last line has the number of lines before
 * it, and their sum.
 */
#ifndef KV_KVCTL_WHOLE_H
#define KV_KVCTL_WHOLE_H

#include "base/buffer.h"
#include "wire/backup_sum.h"

/* Owns its members, until kv_ctl_whole_fini(). */
struct kv_ctl_whole {
    struct kv_backup_sum *sum; /* of the lines so far */
    uint64_t n_lines;
    struct kv_buffer held; /* the beginning of a line, or the whole last line */
    bool is_in_line;       /* a line other than the last has begun, and is not held any more */
    bool has_last;         /* the last line has begun */
};

void kv_ctl_whole_init(struct kv_ctl_whole *whole);
void kv_ctl_whole_fini(struct kv_ctl_whole *whole);

/* Reads the next bytes. Returns: the number of lines that ended in them. */
uint64_t kv_ctl_whole_take(struct kv_ctl_whole *whole, struct kv_slice bytes);

/* Call at the end of the backup. Returns: 0 if it is complete, or -1 and *reterr, which describes
 * what is missing. */
int kv_ctl_whole_end(struct kv_ctl_whole *whole, struct kv_error *reterr);

#endif
