/*
 * Both versions of control groups may be mounted at once (hybrid), and a container may see only the
 * part of the tree below some group: then the root of the mount has to be removed from the paths in
 * /proc/self/cgroup.
 */
#include "daemon/groups.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    LONGEST_LINE = 3 * PATH_MAX
};

/* A mount of control groups. The texts point into the line that it was read from. */
struct mount {
    bool is_v2;
    const char *root;  /* the mounted group */
    const char *place; /* the mount point */
};

static FILE *open_below(const char *root, const char *path)
{
    char whole[2 * PATH_MAX];
    int len = snprintf(whole, sizeof(whole), "%s%s", root, path);
    return len < (int)sizeof(whole) ? fopen(whole, "re") : NULL;
}

int kv_group_read(const char *folder, const char *name, long long *ret, int n)
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

/* ---- finding the group ---- */

/* Whether a comma-separated list contains the word. */
static bool has_word(const char *list, const char *word)
{
    size_t len = strlen(word);
    for (const char *at = list; (at = strstr(at, word)) != NULL; at += len)
        if ((at == list || at[-1] == ',') && strchr(",\n", at[len]) != NULL)
            return true;
    return false;
}

/* Parses `<id>:<controllers>:<path>`. Returns: the path if the line is for this controller and
 * version. */
static char *group_in_line(char *line, const char *controller, bool is_v2)
{
    char *controllers = strchr(line, ':');
    char *path = controllers == NULL ? NULL : strchr(controllers + 1, ':');
    if (path == NULL)
        return NULL;
    *controllers++ = '\0';
    *path++ = '\0';
    path[strcspn(path, "\n")] = '\0';
    bool is_it = is_v2 ? strcmp(line, "0") == 0 : has_word(controllers, controller);
    return is_it ? path : NULL;
}

/* Returns: whether there is one. */
static bool find_group(const char *root, const char *controller, bool is_v2,
                       char ret_path[PATH_MAX])
{
    char line[LONGEST_LINE];
    FILE *file = open_below(root, "/proc/self/cgroup");
    bool is_found = false;
    while (file != NULL && !is_found && fgets(line, sizeof(line), file) != NULL) {
        const char *path = group_in_line(line, controller, is_v2);
        is_found = path != NULL && strlen(path) < PATH_MAX;
        if (is_found)
            strcpy(ret_path, path); /* NOLINT: it fits */
    }
    if (file != NULL)
        fclose(file);
    return is_found;
}

/* The path below the mount's root; empty if the group is not below it. */
static const char *below_mount(const char *group, const char *mount_root)
{
    size_t len = strcmp(mount_root, "/") == 0 ? 0 : strlen(mount_root);
    if (strncmp(group, mount_root, len) != 0 || (group[len] != '/' && group[len] != '\0') ||
        strstr(group, "/..") != NULL || strcmp(group + len, "/") == 0)
        return "";
    return group + len;
}

/* ---- mounts ---- */

/* Blanks and similar characters are written as a backslash and three octal digits. */
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

/* Parses `<id> <parent> <device> <root> <place> <options> … - <type> <source> <options>`. Returns:
 * whether it is a mount of groups that may have the controller. */
static bool parse_mount(char *line, const char *controller, struct mount *ret)
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
    if (!ret->is_v2 && (strncmp(type, "cgroup ", 7) != 0 || !has_word(options + 1, controller)))
        return false;
    unescape(words[3]);
    unescape(words[4]);
    ret->root = words[3];
    ret->place = words[4];
    return true;
}

/* folder: the process's group; visits it and those above, down to the one whose path has `top_len`
 * bytes. */
static void visit_up(char *folder, size_t top_len, bool is_v2, kv_group_fn visit, void *user)
{
    visit(user, folder, is_v2);
    for (char *slash; strlen(folder) > top_len && (slash = strrchr(folder, '/')) != NULL;) {
        *slash = '\0';
        visit(user, folder, is_v2);
    }
}

static void visit_mount(const char *root, const char *controller, const struct mount *mount,
                        kv_group_fn visit, void *user)
{
    char group[PATH_MAX], folder[3 * PATH_MAX];
    if (!find_group(root, controller, mount->is_v2, group))
        return;
    size_t top_len = strlen(root) + strlen(mount->place);
    int len = snprintf(folder, sizeof(folder), "%s%s%s", root, mount->place,
                       below_mount(group, mount->root));
    if (len < (int)sizeof(folder))
        visit_up(folder, top_len, mount->is_v2, visit, user);
}

void kv_groups_visit(const char *root, const char *controller, kv_group_fn visit, void *user)
{
    char line[LONGEST_LINE];
    FILE *file = open_below(root, "/proc/self/mountinfo");
    struct mount mount;
    while (file != NULL && fgets(line, sizeof(line), file) != NULL)
        if (parse_mount(line, controller, &mount))
            visit_mount(root, controller, &mount, visit, user);
    if (file != NULL)
        fclose(file);
}
