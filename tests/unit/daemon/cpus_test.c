/* CPU quotas of control groups, in simulated trees. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "daemon/cpus.h"
#include "support/client/folder.h"

static char *root;

static int set_up(void **state)
{
    (void)state;
    root = kv_test_folder_make();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    kv_test_folder_remove(root);
    free(root);
    return 0;
}

/* Writes a file below the root, and creates its folders. */
static void put(const char *path, const char *text)
{
    struct kv_buffer command = {0};
    char *whole = kv_test_path(root, path);
    kv_buffer_printf(&command, "mkdir -p \"$(dirname '%s')\"", whole);
    kv_buffer_append_char(&command, '\0');
    assert_int_equal(system(command.bytes), 0); /* NOLINT: a fixed command */
    kv_test_file_write(whole, kv_slice_of(text));
    kv_buffer_fini(&command);
    free(whole);
}

static void be_in(const char *groups, const char *mounts)
{
    put("proc/self/cgroup", groups);
    put("proc/self/mountinfo", mounts);
}

#define V2 "29 22 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"

static void quota_is_rounded_up(void **state)
{
    static const struct {
        const char *text;
        uint32_t n;
    } cases[] = {{"100000 100000\n", 1}, {"100001 100000\n", 2},
                 {"250000 100000\n", 3}, {"10000 100000\n", 1},
                 {"max 100000\n", 0},    {"400000 200000\n", 2},
                 {"0 100000\n", 0},      {"100000 0\n", 0},
                 {"100000\n", 0},        {"", 0},
                 {"nonsense\n", 0}};
    (void)state;
    be_in("0::/a\n", V2);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        put("sys/fs/cgroup/a/cpu.max", cases[i].text);
        assert_int_equal(kv_cpus_quota(root), cases[i].n);
    }
}

static void lowest_quota_of_all_ancestors_counts(void **state)
{
    (void)state;
    be_in("0::/a/b/c\n", V2);
    put("sys/fs/cgroup/a/b/c/cpu.max", "800000 100000\n");
    assert_int_equal(kv_cpus_quota(root), 8);
    put("sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
    put("sys/fs/cgroup/a/cpu.max", "300000 100000\n");
    assert_int_equal(kv_cpus_quota(root), 3);
    put("sys/fs/cgroup/a/d/cpu.max", "100000 100000\n"); /* not an ancestor */
    put("sys/fs/cgroup/cpu.max", "500000 100000\n");
    assert_int_equal(kv_cpus_quota(root), 3);
    put("sys/fs/cgroup/cpu.max", "200000 100000\n"); /* a container's own root */
    assert_int_equal(kv_cpus_quota(root), 2);
}

static void container_with_a_namespace_sees_itself_as_the_root(void **state)
{
    (void)state;
    be_in("0::/\n", V2);
    put("sys/fs/cgroup/cpu.max", "150000 100000\n");
    assert_int_equal(kv_cpus_quota(root), 2);
    be_in("0::/../other\n", V2); /* moved out of its namespace */
    assert_int_equal(kv_cpus_quota(root), 2);
}

static void quota_of_cgroup_v1_is_read(void **state)
{
    (void)state;
    be_in("5:cpuset:/x\n4:cpu,cpuacct:/a/b\n1:name=systemd:/\n",
          "30 25 0:27 / /sys/fs/cgroup ro - tmpfs tmpfs ro,mode=755\n"
          "33 30 0:31 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"
          "34 30 0:32 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n");
    put("sys/fs/cgroup/cpu,cpuacct/a/b/cpu.cfs_quota_us", "-1\n");
    put("sys/fs/cgroup/cpu,cpuacct/a/b/cpu.cfs_period_us", "100000\n");
    assert_int_equal(kv_cpus_quota(root), 0);
    put("sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us", "350000\n");
    assert_int_equal(kv_cpus_quota(root), 0); /* without its period */
    put("sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_period_us", "100000\n");
    assert_int_equal(kv_cpus_quota(root), 4);
}

static void root_of_the_mount_is_removed_from_the_path(void **state)
{
    (void)state;
    be_in("4:cpu:/docker/abc\n0::/docker/abc\n",
          "34 30 0:32 /docker/abc /sys/fs/cgroup/cpu ro - cgroup cgroup rw,cpu\n");
    put("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "200000\n");
    put("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
    assert_int_equal(kv_cpus_quota(root), 2);
    be_in("4:cpu:/docker/abcd/e\n", /* not below the mounted group */
          "34 30 0:32 /docker/abc /sys/fs/cgroup/cpu ro - cgroup cgroup rw,cpu\n");
    put("sys/fs/cgroup/cpu/d/e/cpu.cfs_quota_us", "100000\n");
    put("sys/fs/cgroup/cpu/d/e/cpu.cfs_period_us", "100000\n");
    assert_int_equal(kv_cpus_quota(root), 2);
}

static void both_cgroup_versions_count_if_both_are_mounted(void **state)
{
    (void)state;
    be_in("4:cpu:/one\n0::/two\n",
          "34 30 0:32 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"
          "35 30 0:33 / /sys/fs/cgroup/with\\040blank rw - cgroup2 cgroup2 rw\n");
    put("sys/fs/cgroup/cpu/one/cpu.cfs_quota_us", "600000\n");
    put("sys/fs/cgroup/cpu/one/cpu.cfs_period_us", "100000\n");
    assert_int_equal(kv_cpus_quota(root), 6);
    put("sys/fs/cgroup/with blank/two/cpu.max", "500000 100000\n");
    assert_int_equal(kv_cpus_quota(root), 5);
}

static void missing_or_malformed_files_mean_no_quota(void **state)
{
    static const char *const broken[] = {"",
                                         "\n",
                                         " - \n",
                                         "1 2 3 - cgroup2\n",
                                         "1 2 3 / /x rw - cgroup\n",
                                         "1 2 3 / /x rw - cgroup2 a b"};
    (void)state;
    assert_int_equal(kv_cpus_quota(root), 0);
    for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
        be_in("0\n0:\n:::\n0::/a\n", broken[i]);
        assert_int_equal(kv_cpus_quota(root), 0);
    }
    assert_true(kv_cpus_count(root) >= 1);
}

static void count_is_limited_by_the_quota(void **state)
{
    (void)state;
    be_in("0::/a\n", V2);
    put("sys/fs/cgroup/a/cpu.max", "50000 100000\n");
    assert_int_equal(kv_cpus_count(root), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(quota_is_rounded_up),
        TEST(lowest_quota_of_all_ancestors_counts),
        TEST(container_with_a_namespace_sees_itself_as_the_root),
        TEST(quota_of_cgroup_v1_is_read),
        TEST(root_of_the_mount_is_removed_from_the_path),
        TEST(both_cgroup_versions_count_if_both_are_mounted),
        TEST(missing_or_malformed_files_mean_no_quota),
        TEST(count_is_limited_by_the_quota),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
