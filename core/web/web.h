/*
 * Files that are built into the program (embed.cmake): the descriptions of its contract, the
 * client, the console. Their sources are plain files in this folder.
 */
#ifndef KV_WEB_WEB_H
#define KV_WEB_WEB_H

#include <kvserver/types.h>

/* One form of a file. */
struct kv_web_form {
    struct kv_slice bytes;
    struct kv_slice etag; /* an entity tag, with its quotes */
};

struct kv_web_file {
    struct kv_slice path; /* where it is served */
    struct kv_slice type; /* `Content-Type` */
    struct kv_web_form plain;
    struct kv_web_form zipped; /* by gzip; without bytes where that is no shorter */
};

/* Constant. */
extern const struct kv_web_file kv_web_files[];
extern const size_t kv_web_n_files;

/* The file that is served at a path. Returns: NULL for none. */
const struct kv_web_file *kv_web_find(struct kv_slice path);

#endif
