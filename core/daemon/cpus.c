/*
 * A control group's quota is an amount of processor time in each period. It applies to all groups
 * below it, so the lowest quota on the way up counts.
 */
#include "daemon/cpus.h"

#include <sched.h>

#include "daemon/groups.h"

/* In processors, rounded up; 0 if there is no quota. */
static uint32_t quota_of(const char *folder, bool is_v2)
{
    long long us[2]; /* in each period: the quota, and the period itself */
    bool is_there = is_v2 ? kv_group_read(folder, "cpu.max", us, 2) == 2
                          : kv_group_read(folder, "cpu.cfs_quota_us", &us[0], 1) == 1 &&
                                kv_group_read(folder, "cpu.cfs_period_us", &us[1], 1) == 1;
    if (!is_there || us[0] <= 0 || us[1] <= 0)
        return 0;
    long long n = us[0] / us[1] + (us[0] % us[1] != 0);
    return n > UINT32_MAX ? 0 : (uint32_t)n;
}

static uint32_t lesser(uint32_t a, uint32_t b)
{
    return a == 0 || (b != 0 && b < a) ? b : a;
}

static void take_quota(void *user, const char *folder, bool is_v2)
{
    uint32_t *least = user;
    *least = lesser(*least, quota_of(folder, is_v2));
}

uint32_t kv_cpus_quota(const char *root)
{
    uint32_t least = 0;
    kv_groups_visit(root, "cpu", take_quota, &least);
    return least;
}

uint32_t kv_cpus_count(const char *root)
{
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;
    return lesser(n < 1 ? 1 : (uint32_t)n, kv_cpus_quota(root));
}
