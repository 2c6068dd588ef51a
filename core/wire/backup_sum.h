/*
 * The checksum of a backup: SHA-256, which can be computed while a text arrives, and checked with
 * sha256sum(1).
 */
#ifndef KV_WIRE_BACKUP_SUM_H
#define KV_WIRE_BACKUP_SUM_H

#include "wire/backup_line.h"

struct kv_backup_sum;

/* Owns: the caller, by kv_backup_sum_destroy(), which accepts NULL. */
struct kv_backup_sum *kv_backup_sum_create(void);
void kv_backup_sum_destroy(struct kv_backup_sum *sum);

void kv_backup_sum_add(struct kv_backup_sum *sum, struct kv_slice bytes);

/* Writes the sum and ends it: nothing can be added afterwards. */
void kv_backup_sum_print(struct kv_backup_sum *sum, char ret[KV_BACKUP_SUM + 1]);

#endif
