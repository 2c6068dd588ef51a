/* The memory of machines and control groups, in simulated trees. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "daemon/machine_memory.h"
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

#define MEMINFO "MemTotal:       16384000 kB\nMemFree:         1000 kB\n"

enum {
    MIB = 1 << 20
};

static const uint64_t whole_machine = UINT64_C(16384000) * 1024;

static void machine_without_limits_has_all_its_memory(void **state)
{
    (void)state;
    assert_true(kv_machine_memory(root) == 0);
    put("proc/meminfo", MEMINFO);
    assert_true(kv_machine_memory(root) == whole_machine);
    be_in("0::/a\n", V2);
    put("sys/fs/cgroup/a/memory.max", "max\n");
    assert_true(kv_machine_memory(root) == whole_machine);
    put("sys/fs/cgroup/a/memory.max", "1000000000000\n"); /* more than the machine has */
    assert_true(kv_machine_memory(root) == whole_machine);
}

static void lowest_limit_of_all_ancestors_counts(void **state)
{
    (void)state;
    put("proc/meminfo", MEMINFO);
    be_in("0::/a/b\n", V2);
    put("sys/fs/cgroup/a/b/memory.max", "536870912\n");
    assert_true(kv_machine_memory(root) == 512 * MIB);
    put("sys/fs/cgroup/a/memory.max", "268435456\n");
    assert_true(kv_machine_memory(root) == 256 * MIB);
    put("sys/fs/cgroup/a/c/memory.max", "1048576\n"); /* not an ancestor */
    assert_true(kv_machine_memory(root) == 256 * MIB);
}

static void limit_of_cgroup_v1_is_read(void **state)
{
    (void)state;
    put("proc/meminfo", MEMINFO);
    be_in("4:memory:/docker/abc\n3:cpu:/x\n",
          "34 30 0:32 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n");
    put("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"); /* no limit */
    assert_true(kv_machine_memory(root) == whole_machine);
    put("sys/fs/cgroup/memory/memory.limit_in_bytes", "134217728\n");
    assert_true(kv_machine_memory(root) == 128 * MIB);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(machine_without_limits_has_all_its_memory),
        TEST(lowest_limit_of_all_ancestors_counts),
        TEST(limit_of_cgroup_v1_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
