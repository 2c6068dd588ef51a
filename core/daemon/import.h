/*
 * Import: fills the store from a file of lines (wire/line.h) before it serves.
 *
 * It stops at the first line that is invalid, or that the store refuses. Lines imported before
 * remain, and so may up to a few thousand lines after a refused one, which were under way at the
 * same time; repeating an import from the start does no harm, as it makes the same writes. The time
 * to live counts from the import, regardless of the configured policies: a transferred key keeps
 * its time.
 */
#ifndef KV_DAEMON_IMPORT_H
#define KV_DAEMON_IMPORT_H

#include "daemon/config.h"

struct kv_import;

/* Opens the file; `-` is standard input. Refuses a backup if it can be read twice. Opening a named
 * pipe waits for its writer. Lent: path, and config until it is closed. Owns: the caller, by
 * kv_import_close(). Returns: NULL and *reterr. */
struct kv_import *kv_import_open(const char *path, const struct kv_config *config,
                                 struct kv_error *reterr);

/* The same for a backup, which is restored into a new store. It is first checked as a whole, and a
 * durable store is marked as unfinished (unfinished.h) until everything is loaded. */
struct kv_import *kv_import_open_backup(const char *path, const struct kv_config *config,
                                        struct kv_error *reterr);

/* Waits for the first byte of standard input. Returns: false if that ends without one. */
bool kv_import_has_input(const struct kv_import *import);

/* Refuses a backup that shows in the first lines of the input, before a store is created. Waits for
 * input; consumes none. Returns: 0, or -1 and *reterr. */
int kv_import_refuse_backup_ahead(struct kv_import *import, struct kv_error *reterr);

/* The loader for the keyspace, which calls it once. Errors name the file and the line. */
struct kv_loader *kv_import_loader(struct kv_import *import);

/* Ends the loading, with an error, before the next line that has not arrived yet. Threads: any. */
void kv_import_stop(struct kv_import *import);

/* Call after the keyspace has ended. Accepts NULL. */
void kv_import_close(struct kv_import *import);

#endif
