/*
 * The touches of a backup (backup_line.h): they determine the final deadlines of its states. A
 * touch may come before or after the line of its state, so note all of them before you ask for a
 * deadline.
 */
#ifndef KV_WIRE_BACKUP_TOUCHES_H
#define KV_WIRE_BACKUP_TOUCHES_H

#include "base/table.h"
#include "wire/backup_line.h"

struct kv_backup_touch;

/* The newest touch of each key. All zero: none. Owns: the caller, by kv_backup_touches_fini(). */
struct kv_backup_touches {
    struct kv_table table;
    struct kv_backup_touch *first; /* of a list of all */
};

void kv_backup_touches_fini(struct kv_backup_touches *touches);

/* line: of kind KV_BACKUP_TOUCH; its key is copied. Call kv_hash_init() before. */
void kv_backup_touches_note(struct kv_backup_touches *touches, const struct kv_backup_line *line);

/* The final deadline of the state in this line, in milliseconds since 1970; 0: none. Threads: any,
 * while nobody changes the touches. */
int64_t kv_backup_touches_deadline(const struct kv_backup_touches *touches,
                                   const struct kv_backup_line *line);

#endif
