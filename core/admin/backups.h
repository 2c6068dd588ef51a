/*
 * Backups over HTTP: on connections that HTTP has handed over, the lines of a backup
 * (keyspace/backup.h, wire/backup_line.h), at the pace at which the peer takes them.
 */
#ifndef KV_ADMIN_BACKUPS_H
#define KV_ADMIN_BACKUPS_H

#include "access/access.h"
#include "keyspace/keyspace.h"
#include "net/connection.h"

struct kv_backups;

enum {
    KV_BACKUPS_AT_ONCE = 4 /* of the whole server */
};

/* Adds a stage to each loop, after the keyspace's. Before the loops run. Lent until
 * kv_backups_destroy(): access, keyspace, loops. */
struct kv_backups *kv_backups_create(const struct kv_patience *patience, struct kv_access *access,
                                     struct kv_keyspace *keyspace, struct kv_loop *const *loops,
                                     uint32_t n_loops);

/* Takes one of the places for backups, which is given back by kv_backups_leave(), or when a backup
 * that was opened ends. Returns: false where all are taken. Threads: any. */
bool kv_backups_enter(struct kv_backups *backups);
void kv_backups_leave(struct kv_backups *backups);

/* Sends a backup on a connection to which the head of the response has been sent, and closes it at
 * the end. principal: for whom it is, who had the right to it; borrowed. On the thread of that
 * loop, whose connection it is. */
void kv_backups_open(struct kv_backups *backups, uint32_t loop, struct kv_connection *connection,
                     struct kv_principal *principal);

/* Other rules are in force, which the loop has taken up: backups of those who may not have them any
 * more are cut off. On a loop's own thread, as those below. */
void kv_backups_revise(struct kv_backups *backups, uint32_t loop);

/* The server shuts down: backups may end until it is time to abort them. */
void kv_backups_abort(struct kv_backups *backups, uint32_t loop);

/* After the loops have ended, and after kv_backups_abort() on each. Accepts NULL. */
void kv_backups_destroy(struct kv_backups *backups);

#endif
