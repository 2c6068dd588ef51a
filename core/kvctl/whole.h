/*
 * Whether a backup (PROTOCOL B6) is whole: its last line says how many lines come before it, and
 * their sum.
 */
#ifndef KV_KVCTL_WHOLE_H
#define KV_KVCTL_WHOLE_H

#include "base/buffer.h"
#include "wire/backup_sum.h"

/* Owns what it holds, by kv_ctl_whole_fini(). */
struct kv_ctl_whole {
    struct kv_backup_sum *sum; /* of the lines so far */
    uint64_t n_lines;
    struct kv_buffer held; /* the beginning of a line, or all of the last one */
    bool is_in_line;       /* a line that is not the last has begun and is not held any more */
    bool has_last;         /* the last line has begun */
};

void kv_ctl_whole_init(struct kv_ctl_whole *whole);
void kv_ctl_whole_fini(struct kv_ctl_whole *whole);

/* Takes the next bytes. Returns: how many lines ended there. */
uint64_t kv_ctl_whole_take(struct kv_ctl_whole *whole, struct kv_slice bytes);

/* Call at the end of the backup. Returns: 0 if it is complete, or -1 and *reterr, which names what
 * is missing. */
int kv_ctl_whole_end(struct kv_ctl_whole *whole, struct kv_error *reterr);

#endif
