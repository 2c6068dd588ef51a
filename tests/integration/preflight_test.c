/*
 * Faults that prevent the start of a server: `--check-config` finds them like the start, with the
 * same messages and the same exit code, and changes nothing.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "fixture.h"
#include "support/client/folder.h"

enum {
    FAILED = 1,
    MISCONFIGURED = 2
};

#define N(array) (sizeof(array) / sizeof((array)[0]))

static const char *const durable_stores[] = {"rocksdb", "lmdb"};

/* Runs the program on the file of the folder. check: NULL to serve. */
static void run(const struct kv_test_program *at, const char *check, struct kv_test_outcome *ret)
{
    char *path = kv_test_path(at->folder, "kvserver.yaml");
    kv_test_program_run((const char *[]){"-c", path, check, NULL}, ret);
    free(path);
}

/* yaml: whole lines; each `%s` stands for `word`. */
static void write_config(const struct kv_test_program *at, const char *yaml, const char *word)
{
    struct kv_buffer text = {0};
    for (const char *mark; (mark = strstr(yaml, "%s")) != NULL; yaml = mark + 2)
        kv_buffer_printf(&text, "%.*s%s", (int)(mark - yaml), yaml, word);
    kv_buffer_printf(&text, "%s", yaml);
    kv_buffer_append_char(&text, '\0');
    char *whole = kv_test_with_modules(text.bytes);
    free(kv_test_program_write(at, "kvserver.yaml", whole));
    free(whole);
    kv_buffer_fini(&text);
}

static void expect_both_to_find(const struct kv_test_program *at, const char *fault)
{
    struct kv_test_outcome checked, started;
    run(at, "--check-config", &checked);
    run(at, NULL, &started);
    kv_test_expect_part(checked.err, fault);
    assert_int_equal(checked.exit_code, MISCONFIGURED);
    assert_int_equal(started.exit_code, MISCONFIGURED);
    assert_string_equal(started.err, checked.err);
    kv_test_outcome_fini(&checked);
    kv_test_outcome_fini(&started);
}

static bool is_there(const struct kv_test_program *at, const char *name)
{
    char *path = kv_test_path(at->folder, name);
    struct stat status;
    bool is_there = lstat(path, &status) == 0;
    free(path);
    return is_there;
}

/* ---- folders of stores ---- */

#define STORE_YAML "storage: {module: %s, %s: {path: store}}\n"

static void make_store_folder(const struct kv_test_program *at, const char *name, const char *text)
{
    char *folder = kv_test_path(at->folder, "store");
    assert_int_equal(mkdir(folder, 0700), 0);
    kv_test_file_put(folder, name, text);
    free(folder);
}

/* The folder has this one file. mark: each `%s` stands for the store. */
static void expect_refused_folder(const char *store, const char *name, const char *text,
                                  const char *fault)
{
    struct kv_test_program program;
    char mark[128], path[16];
    kv_test_program_prepare(&program);
    snprintf(mark, sizeof(mark), "%s", text);
    make_store_folder(&program, name, mark);
    write_config(&program, STORE_YAML, store);
    expect_both_to_find(&program, fault);
    assert_false(is_there(&program, "store/kvserver.lock"));
    assert_false(is_there(&program, "store/db"));
    snprintf(path, sizeof(path), "store/%s", name);
    char *after = kv_test_program_read(&program, path);
    assert_string_equal(after, mark);
    free(after);
    kv_test_program_remove(&program);
}

static void foreign_folder_is_reported(void **state)
{
    (void)state;
    for (size_t i = 0; i < N(durable_stores); i++) {
        const char *store = durable_stores[i], *other = durable_stores[1 - i];
        char module[32], mark[64], fault[128];
        snprintf(module, sizeof(module), "store/%s", store);
        if (!kv_test_has_module(module))
            continue;
        expect_refused_folder(store, "notes", "of somebody else\n",
                              "/store: neither empty nor a store (it has no FORMAT)");
        expect_refused_folder(store, "FORMAT", "scribble\n", "/store/FORMAT: damaged: ");
        snprintf(mark, sizeof(mark), "kvserver store %s format 1\n", other);
        snprintf(fault, sizeof(fault), "/store: belongs to the store %s, not to %s", other, store);
        expect_refused_folder(store, "FORMAT", mark, fault);
        snprintf(mark, sizeof(mark), "kvserver store %s format 99\n", store);
        expect_refused_folder(store, "FORMAT", mark,
                              "/store: written by a newer version (format 99; this one knows ");
    }
}

static void fault_of_a_folder_is_reported_at_its_option(void **state)
{
    struct kv_test_program program;
    (void)state;
    if (!kv_test_has_module("store/rocksdb"))
        kv_test_skip_for("the store rocksdb was left out of the build");
    kv_test_program_prepare(&program);
    make_store_folder(&program, "notes", "");
    write_config(&program, STORE_YAML, "rocksdb");
    char fault[256];
    snprintf(fault, sizeof(fault),
             "%s/kvserver.yaml:1:44: storage.rocksdb.path: %s/store: neither empty nor a store",
             program.folder, program.folder);
    expect_both_to_find(&program, fault);
    write_config(&program, "storage: {module: %s}\n", "rocksdb"); /* the default is `data` */
    char *folder = kv_test_path(program.folder, "data");
    assert_int_equal(mkdir(folder, 0700), 0);
    kv_test_file_put(folder, "notes", "");
    snprintf(fault, sizeof(fault), ":1:19: storage.rocksdb.path: %s: neither", folder);
    expect_both_to_find(&program, fault);
    kv_test_program_remove(&program);
    free(folder);
}

/* By its mode; root by a disk that can be read only. Returns: false if that may not be made. */
static bool make_unwritable(const char *path)
{
    if (geteuid() == 0)
        return kv_test_folder_mount(path, MS_RDONLY, "");
    return chmod(path, 0500) == 0;
}

static void make_writable(const char *path)
{
    if (geteuid() == 0)
        kv_test_folder_unmount(path);
    else
        chmod(path, 0700);
}

static void unusable_folder_is_reported(void **state)
{
    struct kv_test_program program;
    (void)state;
    if (!kv_test_has_module("store/rocksdb"))
        kv_test_skip_for("the store rocksdb was left out of the build");
    kv_test_program_prepare(&program);
    write_config(&program, "storage: {module: rocksdb, rocksdb: {path: /proc/%s}}\n", "x");
    expect_both_to_find(&program, ":1:44: /proc/x (storage.rocksdb.path): /proc: Operation not ");
    char *link = kv_test_path(program.folder, "store");
    assert_int_equal(symlink("nowhere", link), 0);
    write_config(&program, STORE_YAML, "rocksdb");
    expect_both_to_find(&program, "/store (storage.rocksdb.path, relative to ");
    assert_int_equal(unlink(link), 0);
    assert_int_equal(mkdir(link, 0700), 0);
    if (make_unwritable(link)) {
        expect_both_to_find(&program, "/store (storage.rocksdb.path, relative to ");
        make_writable(link);
    }
    free(link);
    kv_test_program_remove(&program);
}

static void store_in_use_is_not_a_fault_of_the_configuration(void **state)
{
    struct kv_test_outcome outcome;
    struct kv_test_server server;
    (void)state;
    if (!kv_test_has_module("store/rocksdb"))
        kv_test_skip_for("the store rocksdb was left out of the build");
    char *yaml = kv_test_with_modules("listen: [{port: %port}]\n"
                                      "storage: {module: rocksdb, rocksdb: {path: store}}\n");
    kv_test_server_start(&server, yaml);
    run(&server.program, "--check-config", &outcome);
    assert_string_equal(outcome.err, "");
    assert_int_equal(outcome.exit_code, 0);
    kv_test_outcome_fini(&outcome);
    kv_test_server_stop_cleanly(&server);
    free(yaml);
}

static void limit_address_space(rlim_t bytes)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_AS, &limit), 0);
    limit.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_AS, &limit), 0);
}

static void map_without_address_space_is_reported(void **state)
{
    struct kv_test_program program;
    struct rlimit before;
    (void)state;
    if (!kv_test_has_module("store/lmdb"))
        kv_test_skip_for("the store lmdb was left out of the build");
    if (KV_TEST_SHARE != 1)
        kv_test_skip_for("a sanitizer needs all of the address space");
    assert_int_equal(getrlimit(RLIMIT_AS, &before), 0);
    kv_test_program_prepare(&program);
    write_config(&program, "storage: {module: lmdb, lmdb: {path: store, map_size: 1TiB}}\n", "");
    limit_address_space((rlim_t)64 << 30);
    expect_both_to_find(&program, ":1:55: storage.lmdb.map_size: the process has no address space "
                                  "for 1048576 MiB (Cannot allocate memory): ");
    write_config(&program, "storage: {module: lmdb}\n", ""); /* the default is as large */
    expect_both_to_find(&program, ":1:19: storage.lmdb.map_size: the process has no address space");
    limit_address_space(before.rlim_cur);
    assert_false(is_there(&program, "store"));
    kv_test_program_remove(&program);
}

/* Twice 64 TiB is more than there is for programs. */
static void map_of_the_open_store_is_not_a_fault_at_a_reload(void **state)
{
    struct kv_test_server server;
    (void)state;
    if (!kv_test_has_module("store/lmdb"))
        kv_test_skip_for("the store lmdb was left out of the build");
    if (KV_TEST_SHARE != 1)
        kv_test_skip_for("a sanitizer needs all of the address space");
    char *yaml =
        kv_test_with_modules("listen: [{port: %port}]\n"
                             "storage: {module: lmdb, lmdb: {path: store, map_size: 64TiB}}\n");
    kv_test_server_start(&server, yaml);
    assert_int_equal(kill(server.program.pid, SIGHUP), 0);
    kv_test_await_log(&server, "nothing has changed that needs a restart");
    kv_test_server_stop_cleanly(&server);
    free(yaml);
}

/* ---- addresses, sinks and scripts ---- */

static void other_faults_are_reported_by_both(void **state)
{
    static const char *const cases[][2] = {
        {"listen: [{unix: kvserver.yaml}]\n",
         ":1:17: listen[0].unix: "}, /* the file itself, which is no socket */
        {"listen: [{host: 192.0.2.1}]\n",
         ":1:10: listen[0].host: \"192.0.2.1\" is not an address "},
        {"sinks: [{module: file, options: {path: /dev/null}}]\n",
         ":1:40: sinks[0].options.path: /dev/null is not a regular file"},
        {"ttl: [{module: bounded}]\n", ":1:16: ttl[0].options: one of default, minimum and "},
        {"scripts: [{file: hook.lua}]\n", "hook.lua: it defines none of before_set"},
    };
    struct kv_test_program program;
    (void)state;
    kv_test_program_prepare(&program);
    free(kv_test_program_write(&program, "hook.lua", "x = 1\n"));
    for (size_t i = 0; i < N(cases); i++) {
        write_config(&program, cases[i][0], "");
        expect_both_to_find(&program, cases[i][1]);
    }
    kv_test_program_remove(&program);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(foreign_folder_is_reported),
        cmocka_unit_test(fault_of_a_folder_is_reported_at_its_option),
        cmocka_unit_test(unusable_folder_is_reported),
        cmocka_unit_test(store_in_use_is_not_a_fault_of_the_configuration),
        cmocka_unit_test(map_without_address_space_is_reported),
        cmocka_unit_test(map_of_the_open_store_is_not_a_fault_at_a_reload),
        cmocka_unit_test(other_faults_are_reported_by_both),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
