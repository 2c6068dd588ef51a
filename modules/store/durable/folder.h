/*
 * The folder of a durable store: created if it is missing, marked with the store's name and the
 * version of its format, and locked against a second server.
 *
 *   <path>/FORMAT         `kvserver store <name> format <version>`
 *   <path>/kvserver.lock  locked while a server has the store open
 *   <path>/db/            the engine's
 *   <path>/journal/       the journal's (journal.h)
 */
#ifndef KV_DURABLE_FOLDER_H
#define KV_DURABLE_FOLDER_H

#include "engine.h"

enum {
    FOLDER_FORMAT = 4, /* written by this code, which reads all earlier ones */
    FOLDER_FORMAT_WITHOUT_JOURNAL = 1
};

struct folder {
    char *database; /* the engine's folder */
    char *journal;
    int lock;    /* a descriptor */
    bool is_new; /* it has no mark yet */
    int format;  /* of the mark; for a new folder, of its future mark */
};

/* name: of the store. All of these return 0, or -1 and *reterr, which names the path. */

/* Whether the folder belongs to this store, or can be used for it. Changes nothing; a folder that a
 * server has open passes. */
int folder_judge(const char *path, const char *name, struct kv_error *reterr);

/* Creates the folder if it is missing, and locks it. */
int folder_open(const char *path, const char *name, struct folder *ret, struct kv_error *reterr);

/* The same for an existing folder, which stays unchanged. */
int folder_find(const char *path, const char *name, struct folder *ret, struct kv_error *reterr);

/* Marks the folder with the present format, if it is new or had another one. The store must be
 * complete. */
int folder_mark(const char *path, const char *name, const struct folder *folder,
                struct kv_error *reterr);
void folder_close(struct folder *folder);

/* The status for an error number of a write. */
enum kv_engine_status folder_status(int fault);

/* Makes the names in the folder survive a power cut. Returns: -1 and errno if it cannot. */
int folder_sync(const char *path);

/* Whether the disk takes some megabytes more, and syncs. Returns: KV_ENGINE_FULL or _FAILED if
 * not. */
enum kv_engine_status folder_try_room(const char *path);

#endif
