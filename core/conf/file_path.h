/*
 * Paths of files in the configuration: where relative ones count from, and whether they can be
 * used.
 */
#ifndef KV_CONF_FILE_PATH_H
#define KV_CONF_FILE_PATH_H

#include <kvserver/option.h>

struct kv_conf;
struct kv_conf_path;

/* The folder that relative paths of this file count from: an absolute path without links. Where it
 * is no regular file (`file` is its descriptor), the working directory. Owns: the caller. */
char *kv_file_path_folder(int file, const char *path);

/* The path as it is handed out: absolute, where the configuration has a folder. */
struct kv_slice kv_file_path_resolve(struct kv_conf *conf, struct kv_slice text);

/* Remembers a path for kv_conf_check_paths(). The texts are copied, but for `text`. */
void kv_file_path_remember(struct kv_conf *conf, const struct kv_conf_path *path);

/* How many values of the type PATH have been checked out so far. */
size_t kv_conf_n_paths(const struct kv_conf *conf);

/* Looks whether the paths from `from` up to `to`, in the order of their checks, can be used as the
 * flags of their options say; notes the faults. */
void kv_conf_check_paths(struct kv_conf *conf, size_t from, size_t to);

#endif
