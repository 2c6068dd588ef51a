/*
 * Paths of files in the configuration: resolves relative ones, and checks whether they can be used.
 */
#ifndef KV_CONF_FILE_PATH_H
#define KV_CONF_FILE_PATH_H

#include <kvserver/option.h>

struct kv_conf;
struct kv_conf_path;

/* The folder that relative paths in this file are resolved against: an absolute path without links.
 * The working directory if the file is not a regular one (`file` is its descriptor). Owns: the
 * caller. */
char *kv_file_path_folder(int file, const char *path);

/* The path as handed out: absolute, if the configuration has a folder. */
struct kv_slice kv_file_path_resolve(struct kv_conf *conf, struct kv_slice text);

/* Remembers a path for kv_conf_check_paths(). Copies its texts, except for `text`. */
void kv_file_path_remember(struct kv_conf *conf, const struct kv_conf_path *path);

/* The number of PATH values checked so far. */
size_t kv_conf_n_paths(const struct kv_conf *conf);

/* Checks whether the paths from number `from` up to `to` can be used as the flags of their options
 * say; notes the faults. */
void kv_conf_check_paths(struct kv_conf *conf, size_t from, size_t to);

#endif
