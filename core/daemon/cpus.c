/*
 * A control group's quota is so much processor time in each period. It holds for all groups below,
 * so the least one on the way from the process's group up to the mount's root counts. Both versions
 * may be mounted at once (hybrid), and a container may see the tree from some group on only: then
 * the mount's root is what the paths in /proc/self/cgroup have to be shortened by.
 */
#include "daemon/cpus.h"

#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    LONGEST_LINE = 3 * PATH_MAX
};

/* One mount of control groups. The texts are in the line that it was read from. */
struct mount {
    bool is_v2;
    const char *root;  /* the group that is mounted */
    const char *place; /* where */
};

static FILE *open_below(const char *root, const char *path)
{
    char whole[2 * PATH_MAX];
    int len = snprintf(whole, sizeof(whole), "%s%s", root, path);
    return len < (int)sizeof(whole) ? fopen(whole, "re") : NULL;
}

/* ---- quotas ---- */

/* Reads the numbers of a group's file. Returns: how many of `n` there are; `max` is none. */
static int read_numbers(const char *folder, const char *name, long long *ret, int n)
{
    char path[3 * PATH_MAX + 32], text[64] = "";
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "re");
    int n_read = 0;
    if (file == NULL)
        return 0;
    const char *at = fgets(text, sizeof(text), file);
    for (char *end; at != NULL && n_read < n; at = end, n_read++) {
        ret[n_read] = strtoll(at, &end, 10);
        if (end == at)
            break;
    }
    fclose(file);
    return n_read;
}

/* Processors, rounded up; 0 where there is no quota. */
static uint32_t quota_of(const char *folder, bool is_v2)
{
    long long us[2]; /* of each period: the quota, and the period itself */
    bool is_there = is_v2 ? read_numbers(folder, "cpu.max", us, 2) == 2
                          : read_numbers(folder, "cpu.cfs_quota_us", &us[0], 1) == 1 &&
                                read_numbers(folder, "cpu.cfs_period_us", &us[1], 1) == 1;
    if (!is_there || us[0] <= 0 || us[1] <= 0)
        return 0;
    long long n = us[0] / us[1] + (us[0] % us[1] != 0);
    return n > UINT32_MAX ? 0 : (uint32_t)n;
}

static uint32_t lesser(uint32_t a, uint32_t b)
{
    return a == 0 || (b != 0 && b < a) ? b : a;
}

/* folder: the process's group; up to, and with, the one at `top_len`. */
static uint32_t least_quota(char *folder, size_t top_len, bool is_v2)
{
    uint32_t least = quota_of(folder, is_v2);
    for (char *slash; strlen(folder) > top_len && (slash = strrchr(folder, '/')) != NULL;) {
        *slash = '\0';
        least = lesser(least, quota_of(folder, is_v2));
    }
    return least;
}

/* ---- where groups are ---- */

/* Whether a list with commas has the word. */
static bool has_word(const char *list, const char *word)
{
    size_t len = strlen(word);
    for (const char *at = list; (at = strstr(at, word)) != NULL; at += len)
        if ((at == list || at[-1] == ',') && strchr(",\n", at[len]) != NULL)
            return true;
    return false;
}

/* `<id>:<controllers>:<path>`. Returns: the path where it is the group in that version. */
static char *group_in_line(char *line, bool is_v2)
{
    char *controllers = strchr(line, ':');
    char *path = controllers == NULL ? NULL : strchr(controllers + 1, ':');
    if (path == NULL)
        return NULL;
    *controllers++ = '\0';
    *path++ = '\0';
    path[strcspn(path, "\n")] = '\0';
    bool is_it = is_v2 ? strcmp(line, "0") == 0 : has_word(controllers, "cpu");
    return is_it ? path : NULL;
}

/* Returns: whether there is one. */
static bool find_group(const char *root, bool is_v2, char ret_path[PATH_MAX])
{
    char line[LONGEST_LINE];
    FILE *file = open_below(root, "/proc/self/cgroup");
    bool is_found = false;
    while (file != NULL && !is_found && fgets(line, sizeof(line), file) != NULL) {
        const char *path = group_in_line(line, is_v2);
        is_found = path != NULL && strlen(path) < PATH_MAX;
        if (is_found)
            strcpy(ret_path, path); /* NOLINT: it fits */
    }
    if (file != NULL)
        fclose(file);
    return is_found;
}

/* What stands behind the mount's root; nothing where the group is not below it. */
static const char *below_mount(const char *group, const char *mount_root)
{
    size_t len = strcmp(mount_root, "/") == 0 ? 0 : strlen(mount_root);
    if (strncmp(group, mount_root, len) != 0 || (group[len] != '/' && group[len] != '\0') ||
        strstr(group, "/..") != NULL || strcmp(group + len, "/") == 0)
        return "";
    return group + len;
}

/* ---- mounts ---- */

/* Blanks and the like are three octal digits behind a backslash. */
static void unescape(char *text)
{
    char *to = text;
    for (const char *at = text; *at != '\0'; at++) {
        unsigned code;
        if (*at == '\\' && sscanf(at + 1, "%3o", &code) == 1) {
            *to++ = (char)code;
            at += 3;
        } else {
            *to++ = *at;
        }
    }
    *to = '\0';
}

/* `<id> <parent> <device> <root> <place> <options> … - <type> <source> <options>`. Returns: whether
 * it is a mount of groups that may have quotas. */
static bool parse_mount(char *line, struct mount *ret)
{
    char *words[5], *rest = line;
    char *end = strstr(line, " - ");
    if (end == NULL)
        return false;
    *end = '\0';
    for (int i = 0; i < 5; i++)
        if ((words[i] = strsep(&rest, " ")) == NULL)
            return false;
    const char *type = end + 3, *options = strrchr(type, ' ');
    ret->is_v2 = strncmp(type, "cgroup2 ", 8) == 0;
    if (!ret->is_v2 && (strncmp(type, "cgroup ", 7) != 0 || !has_word(options + 1, "cpu")))
        return false;
    unescape(words[3]);
    unescape(words[4]);
    ret->root = words[3];
    ret->place = words[4];
    return true;
}

static uint32_t quota_in_mount(const char *root, const struct mount *mount)
{
    char group[PATH_MAX], folder[3 * PATH_MAX];
    if (!find_group(root, mount->is_v2, group))
        return 0;
    size_t top_len = strlen(root) + strlen(mount->place);
    int len = snprintf(folder, sizeof(folder), "%s%s%s", root, mount->place,
                       below_mount(group, mount->root));
    return len < (int)sizeof(folder) ? least_quota(folder, top_len, mount->is_v2) : 0;
}

/* ---- from outside ---- */

uint32_t kv_cpus_quota(const char *root)
{
    char line[LONGEST_LINE];
    FILE *file = open_below(root, "/proc/self/mountinfo");
    struct mount mount;
    uint32_t least = 0;
    while (file != NULL && fgets(line, sizeof(line), file) != NULL)
        if (parse_mount(line, &mount))
            least = lesser(least, quota_in_mount(root, &mount));
    if (file != NULL)
        fclose(file);
    return least;
}

uint32_t kv_cpus_count(const char *root)
{
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;
    return lesser(n < 1 ? 1 : (uint32_t)n, kv_cpus_quota(root));
}
