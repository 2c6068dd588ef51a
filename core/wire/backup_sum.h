/*
 * The checksum of a backup: SHA-256, so that a text of any length can be checked as it comes, and
 * by sha256sum(1).
 */
#ifndef KV_WIRE_BACKUP_SUM_H
#define KV_WIRE_BACKUP_SUM_H

#include "wire/backup_line.h"

struct kv_backup_sum;

/* Owns: the caller, by kv_backup_sum_destroy(), which accepts NULL. */
struct kv_backup_sum *kv_backup_sum_create(void);
void kv_backup_sum_destroy(struct kv_backup_sum *sum);

void kv_backup_sum_add(struct kv_backup_sum *sum, struct kv_slice bytes);

/* Ends it: nothing can be added any more. */
void kv_backup_sum_print(struct kv_backup_sum *sum, char ret[KV_BACKUP_SUM + 1]);

#endif
