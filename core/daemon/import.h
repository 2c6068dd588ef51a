/*
 * Import: fills the store from a file of lines (wire/line.h) before it serves.
 *
 * It stops at the first line that is wrong, or that the store does not take. What was imported by
 * then stays, and so may what follows a refused line by a few thousand lines, which were under way
 * together; an import that is repeated from the start does no harm, as the same writes come again.
 * Time to live counts on from the import, past the policies of the configuration: a key that is
 * carried over keeps its time.
 */
#ifndef KV_DAEMON_IMPORT_H
#define KV_DAEMON_IMPORT_H

#include "daemon/config.h"

struct kv_import;

/* Opens the file; `-` is standard input. Opening a named pipe waits for its writer. Lent: path, and
 * config until it is closed. Owns: the caller, by kv_import_close(). Returns: NULL and *reterr. */
struct kv_import *kv_import_open(const char *path, const struct kv_config *config,
                                 struct kv_error *reterr);

/* The same for a backup, which is restored into a new store. It is checked as a whole first, and
 * where the store is durable, it is marked as unfinished (unfinished.h) until all is loaded. */
struct kv_import *kv_import_open_backup(const char *path, const struct kv_config *config,
                                        struct kv_error *reterr);

/* Waits for the first byte of the standard input. Returns: false where that ends without one. */
bool kv_import_has_input(const struct kv_import *import);

/* What loads it: for the keyspace, which calls it once. Errors name the file and the line. */
struct kv_loader *kv_import_loader(struct kv_import *import);

/* Ends the loading, with an error, at the next line that has not arrived yet. Threads: any. */
void kv_import_stop(struct kv_import *import);

/* After the keyspace has ended. Accepts NULL. */
void kv_import_close(struct kv_import *import);

#endif
