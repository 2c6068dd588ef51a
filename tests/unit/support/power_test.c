/*
 * The effect of a power cut, scene by scene: the program runs itself again with kv_power.so
 * preloaded, plays the scene in a folder and dies; then the power is cut, and the folder is
 * examined.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/client/folder.h"
#include "support/client/fork.h"
#include "support/client/program.h"
#include "support/power/disk.h"

#define LARGE (64 * 1024)
#define FIRST 3000

/* ---- scenes: in the child, whose working folder is the disk ---- */

static void check(bool is_so)
{
    if (!is_so)
        abort();
}

static int make(const char *name)
{
    int fd = open(name, O_RDWR | O_CREAT, 0600);
    check(fd >= 0);
    return fd;
}

static void put(int fd, const char *text)
{
    check(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
}

static void sync_folder(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY);
    check(fd >= 0 && fsync(fd) == 0);
    close(fd);
}

static void scene_written_and_synced(void)
{
    int fd = make("synced");
    put(fd, "kept ");
    check(pwrite(fd, "too", 3, 5) == 3);
    check(fdatasync(fd) == 0);
    put(fd, "lost");
    make("unsynced");
    sync_folder(".");
    put(make("nameless"), "lost");
}

static void scene_descriptor_that_syncs(void)
{
    int fd = make("meta");
    sync_folder(".");
    put(fd, "lost....");
    int synced = open("meta", O_WRONLY | O_DSYNC);
    char first[] = "ke", second[] = "pt";
    struct iovec parts[2] = {{first, 2}, {second, 2}};
    check(lseek(synced, 4, SEEK_SET) == 4 && writev(synced, parts, 2) == 4);
}

static void scene_names(void)
{
    check(mkdir("folder", 0700) == 0);
    put(make("old"), "old");
    put(make("gone"), "gone");
    put(make("left"), "left");
    for (const char *const *name = (const char *const[]){"old", "gone", "left", NULL};
         *name != NULL; name++) {
        int fd = make(*name);
        check(fsync(fd) == 0);
    }
    check(unlink("gone") == 0);
    sync_folder(".");
    int fd = make("new");
    put(fd, "new");
    check(fsync(fd) == 0 && rename("new", "old") == 0 && unlink("left") == 0);
    check(fsync(make("folder/inner")) == 0);
}

static void scene_renamed_and_synced(void)
{
    int fd = make("CURRENT");
    put(fd, "old");
    check(fsync(fd) == 0);
    fd = make("CURRENT.new");
    put(fd, "new");
    check(fsync(fd) == 0 && rename("CURRENT.new", "CURRENT") == 0);
    sync_folder(".");
}

static void scene_sizes(void)
{
    int fd = make("cut");
    put(fd, "0123456789");
    check(fsync(fd) == 0 && ftruncate(fd, 4) == 0);
    check(fsync(fd) == 0 && ftruncate(fd, 1) == 0);
    fd = make("grown");
    check(posix_fallocate(fd, 0, 100) == 0 && fsync(fd) == 0);
    fd = make("reserved");
    check(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 100) == 0 && fsync(fd) == 0);
    sync_folder(".");
}

/* File systems may reuse an inode number at once. */
static void scene_number_again(void)
{
    int fd = make("first");
    put(fd, "first");
    check(fsync(fd) == 0 && close(fd) == 0 && unlink("first") == 0);
    make("second");
    sync_folder(".");
}

/* Two consecutive writes, within one page and across its end. */
static void scene_writes_that_share_a_page(void)
{
    char bytes[FIRST];
    int fd = make("shared");
    check(fsync(fd) == 0);
    sync_folder(".");
    memset(bytes, 'a', sizeof(bytes));
    check(write(fd, bytes, sizeof(bytes)) == sizeof(bytes));
    memset(bytes, 'b', sizeof(bytes));
    check(write(fd, bytes, sizeof(bytes)) == sizeof(bytes));
}

static void scene_many_pages(void)
{
    static char letters[LARGE];
    int fd = make("pages");
    memset(letters, 'a', sizeof(letters));
    check(write(fd, letters, sizeof(letters)) == LARGE && fsync(fd) == 0);
    memset(letters, 'b', sizeof(letters));
    check(pwrite(fd, letters, sizeof(letters), 0) == LARGE);
    sync_folder(".");
    make("later");
}

static void (*const scenes[])(void) = {
    scene_written_and_synced,
    scene_descriptor_that_syncs,
    scene_names,
    scene_renamed_and_synced,
    scene_sizes,
    scene_number_again,
    scene_many_pages,
    scene_writes_that_share_a_page,
};

static int play(const char *number, const char *folder)
{
    check(chdir(folder) == 0);
    scenes[atoi(number)]();
    return raise(SIGKILL);
}

/* ---- tests ---- */

struct cut {
    char *folder;
    struct kv_test_disk disk;
};

static void run_scene(const char *folder, void (*scene)(void))
{
    char number[8];
    int status;
    for (size_t i = 0; i < sizeof(scenes) / sizeof(scenes[0]); i++)
        if (scenes[i] == scene)
            snprintf(number, sizeof(number), "%zu", i);
    pid_t child = kv_test_fork();
    if (child == 0) {
        setenv("LD_PRELOAD", getenv("KV_TEST_PRELOAD"), 1);
        execl("/proc/self/exe", "power", number, folder, (char *)NULL);
        _exit(127);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static struct cut cut_after(void (*scene)(void), uint64_t seed)
{
    struct cut cut = {.folder = kv_test_folder_make()};
    kv_test_disk_open(&cut.disk, cut.folder);
    run_scene(cut.folder, scene);
    kv_test_disk_cut(&cut.disk, seed);
    return cut;
}

static void clean_up(struct cut *cut)
{
    kv_test_disk_close(&cut->disk);
    kv_test_folder_remove(cut->folder);
    free(cut->folder);
}

static void expect_file(const struct cut *cut, const char *name, struct kv_slice bytes)
{
    struct kv_buffer found = {0};
    char *path = kv_test_path(cut->folder, name);
    kv_test_file_read(path, &found);
    if (!kv_slice_equals(kv_buffer_slice(&found), bytes))
        fail_msg("%s holds %.*s", name, (int)found.len, found.bytes);
    kv_buffer_fini(&found);
    free(path);
}

static bool is_there(const struct cut *cut, const char *name)
{
    char *path = kv_test_path(cut->folder, name);
    bool is_so = access(path, F_OK) == 0;
    free(path);
    return is_so;
}

static void only_synced_bytes_are_kept(void **state)
{
    (void)state;
    struct cut cut = cut_after(scene_written_and_synced, 0);
    expect_file(&cut, "synced", KV_SLICE("kept too"));
    expect_file(&cut, "unsynced", KV_SLICE(""));
    assert_false(is_there(&cut, "nameless"));
    clean_up(&cut);
}

static void synchronous_descriptor_keeps_only_its_own_writes(void **state)
{
    (void)state;
    struct cut cut = cut_after(scene_descriptor_that_syncs, 0);
    expect_file(&cut, "meta", KV_SLICE("\0\0\0\0kept"));
    clean_up(&cut);
}

static void names_have_the_state_of_their_folders_last_sync(void **state)
{
    (void)state;
    struct cut cut = cut_after(scene_names, 0);
    expect_file(&cut, "old", KV_SLICE("old"));
    expect_file(&cut, "left", KV_SLICE("left"));
    assert_false(is_there(&cut, "gone"));
    assert_false(is_there(&cut, "new"));
    assert_true(is_there(&cut, "folder"));
    assert_false(is_there(&cut, "folder/inner"));
    clean_up(&cut);
}

static void rename_is_durable_with_its_folder(void **state)
{
    (void)state;
    struct cut cut = cut_after(scene_renamed_and_synced, 0);
    expect_file(&cut, "CURRENT", KV_SLICE("new"));
    assert_false(is_there(&cut, "CURRENT.new"));
    clean_up(&cut);
}

static void sizes_are_durable_like_bytes(void **state)
{
    (void)state;
    static const char zeros[100];
    struct cut cut = cut_after(scene_sizes, 0);
    expect_file(&cut, "cut", KV_SLICE("0123"));
    expect_file(&cut, "grown", (struct kv_slice){zeros, sizeof(zeros)});
    expect_file(&cut, "reserved", KV_SLICE(""));
    clean_up(&cut);
}

static void new_file_with_a_reused_inode_has_no_old_content(void **state)
{
    (void)state;
    struct cut cut = cut_after(scene_number_again, 0);
    expect_file(&cut, "second", KV_SLICE(""));
    assert_false(is_there(&cut, "first"));
    clean_up(&cut);
}

/* Over all seeds, each possible outcome occurs: none, some, or all pages are new; one is torn; an
 * unsynced name exists. */
static void other_seeds_keep_some_unsynced_data(void **state)
{
    (void)state;
    bool has_none = false, has_some = false, has_torn = false, has_all = false, has_name = false;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct cut cut = cut_after(scene_many_pages, seed);
        struct kv_buffer bytes = {0};
        char *path = kv_test_path(cut.folder, "pages");
        kv_test_file_read(path, &bytes);
        size_t n_new = 0;
        assert_int_equal(bytes.len, LARGE);
        for (size_t i = 0; i < bytes.len; i++)
            n_new += bytes.bytes[i] == 'b';
        has_none |= n_new == 0;
        has_all |= n_new == LARGE;
        has_some |= n_new != 0 && n_new != LARGE;
        has_torn |= n_new % 4096 != 0;
        has_name |= is_there(&cut, "later");
        free(path);
        kv_buffer_fini(&bytes);
        clean_up(&cut);
    }
    assert_true(has_none && has_some && has_torn && has_all && has_name);
}

static void no_seed_keeps_a_later_write_of_a_page_without_an_earlier_one(void **state)
{
    (void)state;
    bool has_later = false;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct cut cut = cut_after(scene_writes_that_share_a_page, seed);
        struct kv_buffer bytes = {0};
        char *path = kv_test_path(cut.folder, "shared");
        kv_test_file_read(path, &bytes);
        bool is_later = bytes.len > FIRST && bytes.bytes[FIRST] == 'b';
        for (size_t i = 0; is_later && i < FIRST; i++)
            assert_int_equal(bytes.bytes[i], 'a');
        has_later |= is_later;
        free(path);
        kv_buffer_fini(&bytes);
        clean_up(&cut);
    }
    assert_true(has_later);
}

int main(int argc, char **argv)
{
    if (argc == 3)
        return play(argv[1], argv[2]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_synced_bytes_are_kept),
        cmocka_unit_test(synchronous_descriptor_keeps_only_its_own_writes),
        cmocka_unit_test(names_have_the_state_of_their_folders_last_sync),
        cmocka_unit_test(rename_is_durable_with_its_folder),
        cmocka_unit_test(sizes_are_durable_like_bytes),
        cmocka_unit_test(new_file_with_a_reused_inode_has_no_old_content),
        cmocka_unit_test(other_seeds_keep_some_unsynced_data),
        cmocka_unit_test(no_seed_keeps_a_later_write_of_a_page_without_an_earlier_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
