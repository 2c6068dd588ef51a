/*
 * Backups over HTTP: sends the lines of a backup (keyspace/backup.h, wire/backup_line.h) on
 * connections that HTTP has handed over, as fast as the peer takes them.
 */
#ifndef KV_ADMIN_BACKUPS_H
#define KV_ADMIN_BACKUPS_H

#include "access/access.h"
#include "keyspace/keyspace.h"
#include "net/connection.h"

struct kv_backups;

enum {
    KV_BACKUPS_AT_ONCE = 4 /* on the whole server */
};

/* Adds a stage to each loop, after the keyspace's. Call before the loops run. Lent until
 * kv_backups_destroy(): access, keyspace, loops. */
struct kv_backups *kv_backups_create(const struct kv_patience *patience, struct kv_access *access,
                                     struct kv_keyspace *keyspace, struct kv_loop *const *loops,
                                     uint32_t n_loops);

/* Reserves one of the KV_BACKUPS_AT_ONCE places. It is released by kv_backups_leave(), or at the
 * end of the backup that is opened with it. Returns: false if all are taken. Threads: any. */
bool kv_backups_enter(struct kv_backups *backups);
void kv_backups_leave(struct kv_backups *backups);

/* Sends a backup on a connection to which the head of the response has been sent, and closes the
 * connection at the end. principal: of the client, which must have the right; borrowed. Threads:
 * that of the loop, which owns the connection. */
void kv_backups_open(struct kv_backups *backups, uint32_t loop, struct kv_connection *connection,
                     struct kv_principal *principal);

/* Call when the loop has taken up other rules: aborts the backups of clients that have lost the
 * right. On the loop's own thread, as the next function. */
void kv_backups_revise(struct kv_backups *backups, uint32_t loop);

/* Replaces the timeouts for peers that do not read. patience: copied. Threads: the loop's own. */
void kv_backups_take_patience(struct kv_backups *backups, uint32_t loop,
                              const struct kv_patience *patience);

/* Aborts all backups of the loop. During a shutdown they may continue until then. */
void kv_backups_abort(struct kv_backups *backups, uint32_t loop);

/* Call after the loops have ended, and after kv_backups_abort() on each. Accepts NULL. */
void kv_backups_destroy(struct kv_backups *backups);

#endif
