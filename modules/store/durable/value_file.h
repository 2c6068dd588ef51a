/*
 * Values of the journal that are too long for its records: each is in a file of its own beside the
 * segments, which is written and synced before the record that refers to it. So no other write
 * waits for it.
 *
 *   <folder>/<number>.value             the bytes of the value, and nothing else
 *   <folder>/<number>.<record>.logged   the same, once the engine has that record on its disk
 *
 * A file without a record, as left by a crash or a refused write, is deleted. A file with a record
 * is kept for the engine at first, and then only for the change log: its name shows that, so an
 * opening recognizes it without reading the log.
 *
 * Threads: any, but for opening and closing.
 */
#ifndef KV_DURABLE_VALUE_FILE_H
#define KV_DURABLE_VALUE_FILE_H

#include "engine.h"

struct value_file {
    struct value_file *next; /* among the kept ones */
    struct value_files *files;
    uint64_t number;
    uint64_t len;
    uint64_t sum;
    uint64_t sequence; /* of the record that refers to it */
};

struct value_files {
    const char *folder;   /* the caller's; NULL: not open */
    pthread_mutex_t lock; /* for everything below */
    pthread_cond_t fewer;
    struct value_file *kept;   /* files of records that the engine may lack */
    size_t bytes;              /* of these */
    struct value_file *logged; /* files kept only for the log */
    size_t logged_bytes;
    uint64_t number;  /* the highest one given to a file */
    bool is_released; /* waiting for fewer files has ended */
};

/* A record's reference to a file, as bytes. */
enum {
    VALUE_REFERENCE_BYTES = 24
};
void value_reference_write(const struct value_file *file, char bytes[VALUE_REFERENCE_BYTES]);

/* folder: exists, and lives as long. */
int value_files_open(struct value_files *files, const char *folder, struct kv_error *reterr);
void value_files_close(struct value_files *files); /* accepts one of zeros */

/* ---- writing ---- */

/* Waits while the files kept for the engine have more than `most` bytes, unless released. */
void value_files_await_room(struct value_files *files, size_t most);

/* Releases the waiters while writes are refused. */
void value_files_release(struct value_files *files, bool is_released);

/* Writes and syncs a file in pieces, so that other syncs get their turn in between. Returns: FULL
 * or FAILED on failure. Owns: the caller, by one of the two functions below. */
enum kv_engine_status value_file_write(struct value_files *files, struct kv_slice value,
                                       struct value_file **ret);

/* The record `sequence` refers to it. */
void value_file_keep(struct value_file *file, uint64_t sequence);

/* No record does. Accepts NULL. */
void value_file_discard(struct value_file *file);

/* The engine has persisted all records up to this one: their files are kept for the log, except
 * those longer than `most` bytes. */
void value_files_forget(struct value_files *files, uint64_t sequence, size_t most);

size_t value_files_bytes(struct value_files *files); /* of the files kept for the engine */

/* ---- those of the log ---- */

size_t value_files_logged_bytes(struct value_files *files);

/* The record of the oldest one; 0 where there is none. */
uint64_t value_files_oldest_logged(struct value_files *files);

/* Removes the oldest one, and chains it to `former`. Returns: the chain, for
 * value_files_delete(). */
struct value_file *value_files_take_logged(struct value_files *files, struct value_file *former);
void value_files_delete(struct value_file *chain);

/* ---- reading ---- */

/* The length of the value that a record refers to. Returns: false if the bytes are no reference. */
bool value_reference_len(struct kv_slice reference, size_t *ret);

/* Reads that value to `into`. Returns: false if the file is missing or damaged. */
bool value_files_read(struct value_files *files, struct kv_slice reference, char *into);

/* The same for a reference in the record `sequence`, which the engine may have. */
bool value_files_read_logged(struct value_files *files, struct kv_slice reference,
                             uint64_t sequence, char *into);

/* At opening: claims the file of a valid record. Once all are claimed, the others are deleted.
 * Returns: false if memory runs out. */
bool value_files_claim(struct value_files *files, struct kv_slice reference, uint64_t sequence);
void value_files_discard_unclaimed(struct value_files *files);

#endif
