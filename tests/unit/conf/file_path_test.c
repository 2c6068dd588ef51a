/* Paths in the file: how they are resolved, and which faults are reported. */
#include "conf_support.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct kv_option options[] = {
    {.name = "plain", .type = KV_OPTION_PATH},
    {.name = "read", .type = KV_OPTION_PATH, .flags = KV_OPTION_READS},
    {.name = "write", .type = KV_OPTION_PATH, .flags = KV_OPTION_WRITES},
    {.name = "folder", .type = KV_OPTION_PATH, .flags = KV_OPTION_FOLDER, .fallback = "store"},
};

enum {
    PLAIN,
    READ,
    WRITE,
    FOLDER
};

/* `<folder>/conf/c.yaml`, `<folder>/file`, and the link `<folder>/link` to `conf`. */
struct rig {
    char folder[PATH_MAX];
    struct kv_conf *conf;
    const struct kv_option_value *values;
};

static const char *in(const struct rig *rig, const char *name)
{
    static char path[PATH_MAX + 64];
    snprintf(path, sizeof(path), "%s/%s", rig->folder, name);
    return path;
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void load(struct rig *rig, const char *name, const char *text)
{
    write_file(in(rig, name), text);
    kv_conf_destroy(rig->conf);
    assert_int_equal(kv_conf_load(in(rig, name), &rig->conf), 0);
    const struct kv_conf_block block = block_of(kv_conf_root(rig->conf), options, N_OF(options));
    kv_conf_check(rig->conf, &block, &rig->values);
}

static int set_up(void **state)
{
    static struct rig rig;
    char name[] = "/tmp/kvserver-paths-XXXXXX";
    rig = (struct rig){0};
    if (mkdtemp(name) == NULL || realpath(name, rig.folder) == NULL)
        return -1;
    mkdir(in(&rig, "conf"), 0700);
    write_file(in(&rig, "file"), "");
    *state = &rig;
    return symlink("conf", in(&rig, "link"));
}

static int tear_down(void **state)
{
    struct rig *rig = *state;
    static const char *const names[] = {"conf/c.yaml", "file", "link"};
    for (size_t i = 0; i < N_OF(names); i++)
        unlink(in(rig, names[i]));
    rmdir(in(rig, "conf"));
    kv_conf_destroy(rig->conf);
    return rmdir(rig->folder);
}

static void assert_path(const struct rig *rig, int option, const char *expected)
{
    assert_string_equal(rig->values[option].string.bytes, expected);
    assert_int_equal(rig->values[option].string.len, strlen(expected));
}

static void relative_paths_start_at_the_folder_of_the_file(void **state)
{
    struct rig *rig = *state;
    static const char *const cases[][2] = {
        {"x", "conf/x"},         {"../x/y", "x/y"},
        {"./.././x", "x"},       {".hidden", "conf/.hidden"},
        {"..x", "conf/..x"},     {"x/../y", "conf/x/../y"},
        {"../conf", "conf"},     {".//x", "conf/x"},
        {"x//y/", "conf/x//y/"},
    };
    for (size_t i = 0; i < N_OF(cases); i++) {
        char text[100];
        snprintf(text, sizeof(text), "plain: %s\n", cases[i][0]);
        load(rig, "conf/c.yaml", text);
        assert_path(rig, PLAIN, in(rig, cases[i][1]));
    }
    load(rig, "link/c.yaml", "plain: ../x\n"); /* symbolic links are resolved, as by the system */
    assert_path(rig, PLAIN, in(rig, "x"));
    assert_path(rig, FOLDER, in(rig, "conf/store")); /* a default */
}

static void absolute_and_empty_paths_are_unchanged(void **state)
{
    struct rig *rig = *state;
    load(rig, "conf/c.yaml", "plain: /x/../y\nread: ''\nwrite: ~\nfolder: /\n");
    assert_path(rig, PLAIN, "/x/../y");
    assert_path(rig, READ, "");
    assert_path(rig, WRITE, "");
    assert_path(rig, FOLDER, "/");
    load(rig, "conf/c.yaml", "plain: ../../../../../../../..\n");
    assert_path(rig, PLAIN, "/");
}

static void text_without_a_file_leaves_paths_relative(void **state)
{
    struct kv_conf *conf = parse("plain: ../x\n");
    (void)state;
    assert_string_equal(check(conf, options, N_OF(options))[PLAIN].string.bytes, "../x");
    kv_conf_destroy(conf);
}

static void tilde_is_reported_as_unsupported(void **state)
{
    (void)state;
    assert_check_fails("plain: ~/data\n", options, N_OF(options),
                       "conf.yaml:1:8: plain: \"~/data\" begins with ~, which means nothing here: "
                       "write ${HOME}");
}

static void expect_fault(struct rig *rig, const char *text, const char *path, const char *what)
{
    char expected[9 * PATH_MAX];
    load(rig, "conf/c.yaml", text);
    kv_conf_check_paths(rig->conf, 0, kv_conf_n_paths(rig->conf));
    char *faults = faults_of(rig->conf);
    snprintf(expected, sizeof(expected), ": %s/%s (", rig->folder, path);
    if (strstr(faults, expected) == NULL || strstr(faults, what) == NULL ||
        strstr(faults, "c.yaml:1:") == NULL || strchr(faults, '\n') != NULL)
        fail_msg("expected %s and %s in: %s", expected, what, faults);
    free(faults);
}

static void unusable_paths_are_reported_with_place_and_full_path(void **state)
{
    struct rig *rig = *state;
    char relative[PATH_MAX + 100];
    snprintf(relative, sizeof(relative), "(folder, relative to %s/conf): Not a directory",
             rig->folder);
    expect_fault(rig, "folder: ../file\n", "file", relative);
    expect_fault(rig, "folder: ../file/deep/er\n", "file/deep/er", "/file: Not a directory");
    expect_fault(rig, "read: nothing\n", "conf/nothing", ": No such file or directory");
    expect_fault(rig, "read: .\n", "conf", ": Is a directory");
    expect_fault(rig, "write: .\n", "conf", ": Is a directory");
    expect_fault(rig, "write: ../nowhere/x\n", "nowhere/x", "/nowhere: No such file or directory");
    expect_fault(rig, "write: ../file/x\n", "file/x", "/file: Not a directory");
}

/* Root may write anywhere, so the test drops its privileges. */
static void folder_without_permission_is_reported(void **state)
{
    struct rig *rig = *state;
    uid_t before = geteuid();
    char expected[9 * PATH_MAX];
    load(rig, "conf/c.yaml", "folder: ../store\nwrite: x\n");
    assert_int_equal(chmod(rig->folder, 0555), 0);
    assert_int_equal(chmod(in(rig, "conf"), 0555), 0);
    if (before == 0)
        assert_int_equal(seteuid(65534), 0);
    kv_conf_check_paths(rig->conf, 0, kv_conf_n_paths(rig->conf));
    assert_int_equal(seteuid(before), 0);
    assert_int_equal(chmod(rig->folder, 0700), 0);
    assert_int_equal(chmod(in(rig, "conf"), 0700), 0);
    snprintf(expected, sizeof(expected),
             "%s/conf/c.yaml:1:9: %s/store (folder, relative to %s/conf): %s: Permission denied\n"
             "%s/conf/c.yaml:2:8: %s/conf/x (write, relative to %s/conf): %s/conf: Permission "
             "denied",
             rig->folder, rig->folder, rig->folder, rig->folder, rig->folder, rig->folder,
             rig->folder, rig->folder);
    assert_faults(rig->conf, expected);
}

static void usable_paths_are_accepted(void **state)
{
    struct rig *rig = *state;
    load(rig, "conf/c.yaml", "plain: no/such\nread: ../file\nwrite: new\nfolder: a/b/c\n");
    kv_conf_check_paths(rig->conf, 0, kv_conf_n_paths(rig->conf));
    assert_faults(rig->conf, "");
    assert_int_equal(access(in(rig, "conf/a"), F_OK), -1); /* nothing is created */
    assert_int_equal(access(in(rig, "conf/new"), F_OK), -1);
    load(rig, "conf/c.yaml", "write: ../file\nfolder: ..\n");
    kv_conf_check_paths(rig->conf, 0, kv_conf_n_paths(rig->conf));
    assert_faults(rig->conf, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(relative_paths_start_at_the_folder_of_the_file),
        cmocka_unit_test(absolute_and_empty_paths_are_unchanged),
        cmocka_unit_test(text_without_a_file_leaves_paths_relative),
        cmocka_unit_test(tilde_is_reported_as_unsupported),
        cmocka_unit_test(unusable_paths_are_reported_with_place_and_full_path),
        cmocka_unit_test(folder_without_permission_is_reported),
        cmocka_unit_test(usable_paths_are_accepted),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
