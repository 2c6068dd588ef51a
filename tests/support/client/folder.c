#include "support/client/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

char *kv_test_folder_make(void)
{
    char *path = strdup("/tmp/kvserver-disk-XXXXXX");
    if (path == NULL || mkdtemp(path) == NULL)
        fail_msg("cannot make a folder: %s", strerror(errno));
    return path;
}

void kv_test_folder_empty(const char *path)
{
    DIR *folder = opendir(path);
    if (folder == NULL)
        return;
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        char *inner = kv_test_path(path, entry->d_name);
        if (unlink(inner) != 0)
            kv_test_folder_remove(inner);
        free(inner);
    }
    closedir(folder);
}

void kv_test_folder_remove(const char *path)
{
    kv_test_folder_empty(path);
    rmdir(path);
}

bool kv_test_folder_mount(const char *path, unsigned long flags, const char *options)
{
    if (unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
        mount("tmpfs", path, "tmpfs", flags, options) == 0)
        return true;
    print_message("file systems cannot be mounted here: %s\n", strerror(errno));
    return false;
}

void kv_test_folder_mount_to_read(const char *path)
{
    assert_int_equal(mount(NULL, path, NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
}

void kv_test_folder_unmount(const char *path)
{
    assert_int_equal(umount(path), 0);
}

char *kv_test_path(const char *folder, const char *name)
{
    char *path;
    if (asprintf(&path, "%s/%s", folder, name) < 0)
        fail_msg("no memory");
    return path;
}

void kv_test_file_read(const char *path, struct kv_buffer *ret)
{
    FILE *file = fopen(path, "r");
    if (file == NULL)
        fail_msg("%s: %s", path, strerror(errno));
    ret->len = 0;
    for (size_t n = 1; n != 0; ret->len += n)
        n = fread(kv_buffer_reserve(ret, 65536), 1, 65536, file);
    fclose(file);
}

void kv_test_file_write(const char *path, struct kv_slice bytes)
{
    FILE *file = fopen(path, "w");
    bool is_written =
        file != NULL && (bytes.len == 0 || fwrite(bytes.bytes, bytes.len, 1, file) == 1);
    if (file == NULL || fclose(file) != 0 || !is_written)
        fail_msg("%s: %s", path, strerror(errno));
}

void kv_test_file_put(const char *folder, const char *name, const char *text)
{
    char *path = kv_test_path(folder, name);
    char *new_path = kv_test_path(folder, "new");
    kv_test_file_write(new_path, kv_slice_of(text));
    assert_int_equal(rename(new_path, path), 0);
    free(new_path);
    free(path);
}
