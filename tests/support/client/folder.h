/*
 * Files and folders of tests. Errors: any failure fails the test.
 */
#ifndef KV_TEST_FOLDER_H
#define KV_TEST_FOLDER_H

#include "base/buffer.h"

/* A fresh, empty folder. Owns: the path, by free(); the folder, by kv_test_folder_remove(). */
char *kv_test_folder_make(void);

/* kv_test_folder_empty() deletes the content, with all subfolders; kv_test_folder_remove() deletes
 * the folder as well. */
void kv_test_folder_empty(const char *path);
void kv_test_folder_remove(const char *path);

/* Mounts a file system in memory there, which only this process and its children see, and which
 * ends with them. flags, options: as for mount(2). Returns: whether mounting is permitted. */
bool kv_test_folder_mount(const char *path, unsigned long flags, const char *options);
void kv_test_folder_unmount(const char *path);

/* Makes the mount read-only. */
void kv_test_folder_mount_to_read(const char *path);

/* `<folder>/<name>`. Owns: the caller, by free(). */
char *kv_test_path(const char *folder, const char *name);

void kv_test_file_read(const char *path, struct kv_buffer *ret);
void kv_test_file_write(const char *path, struct kv_slice bytes);

/* Puts a file into the folder, atomically replacing one of that name. */
void kv_test_file_put(const char *folder, const char *name, const char *text);

#endif
