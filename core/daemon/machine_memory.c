#include "daemon/machine_memory.h"

#include <stdio.h>

#include "daemon/groups.h"

static uint64_t lesser(uint64_t a, uint64_t b)
{
    return a == 0 || (b != 0 && b < a) ? b : a;
}

/* A group without a limit has `max`, or in version 1 a number that exceeds any memory. */
static void take_limit(void *user, const char *folder, bool is_v2)
{
    uint64_t *least = user;
    long long bytes;
    const char *name = is_v2 ? "memory.max" : "memory.limit_in_bytes";
    if (kv_group_read(folder, name, &bytes, 1) == 1 && bytes > 0)
        *least = lesser(*least, (uint64_t)bytes);
}

static uint64_t total(const char *root)
{
    char path[4096], line[128];
    unsigned long long kib = 0;
    int len = snprintf(path, sizeof(path), "%s/proc/meminfo", root);
    FILE *file = len < (int)sizeof(path) ? fopen(path, "re") : NULL;
    while (file != NULL && kib == 0 && fgets(line, sizeof(line), file) != NULL)
        if (sscanf(line, "MemTotal: %llu kB", &kib) != 1)
            kib = 0;
    if (file != NULL)
        fclose(file);
    return kib * 1024;
}

uint64_t kv_machine_memory(const char *root)
{
    uint64_t least = total(root);
    kv_groups_visit(root, "memory", take_limit, &least);
    return least;
}
