/*
 * The journal is read twice. The first pass finds the node of each record (inodes may be reused)
 * and, for each node, the place in the journal up to which it was synced. The second pass applies
 * the durable records, and some others at random, to the nodes of the base.
 *
 * Unsynced data is written back in pages, as they were in the cache at that time: a page that
 * contains a later write contains the earlier ones, too.
 */
#include "support/power/disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "base/mem.h"
#include "support/client/folder.h"
#include "support/client/stream.h"
#include "support/power/journal.h"

enum {
    PAGE = 4096,
    SECTOR = 512
};

struct name {
    struct name *next;
    struct kv_test_disk_node *node;
    char text[];
};

/* A file or a folder. */
struct kv_test_disk_node {
    struct kv_test_disk_node *next; /* in the list of all nodes */
    uint64_t number;                /* its inode */
    bool is_folder;
    struct name *names;     /* FOLDER */
    struct kv_buffer cache; /* of a file, as the process saw it, up to its last write */
    struct kv_buffer bytes; /* the same on the disk */
    uint64_t size;
    unsigned chance; /* out of 4, that an unsynced page is on the disk; with 4, no page is torn */
    uint64_t synced; /* everything before this place in the journal is on the disk */
    int64_t syncing_since_ms; /* 0: no sync is in progress */
};

/* ---- nodes ---- */

static struct kv_test_disk_node *add_node(struct kv_test_disk_node **all, uint64_t number,
                                          bool is_folder)
{
    struct kv_test_disk_node *node = kv_calloc(1, sizeof(*node));
    *node = (struct kv_test_disk_node){.next = *all, .number = number, .is_folder = is_folder};
    return *all = node;
}

/* The node that has the number now. Returns: NULL if its creation was not recorded. */
static struct kv_test_disk_node *find_node(struct kv_test_disk_node *all, uint64_t number)
{
    while (all != NULL && all->number != number)
        all = all->next;
    return all;
}

static void remove_name(struct kv_test_disk_node *folder, const char *text)
{
    for (struct name **at = &folder->names; *at != NULL; at = &(*at)->next) {
        struct name *name = *at;
        if (strcmp(name->text, text) != 0)
            continue;
        *at = name->next;
        free(name);
        return;
    }
}

static void set_name(struct kv_test_disk_node *folder, const char *text,
                     struct kv_test_disk_node *node)
{
    remove_name(folder, text);
    struct name *name = kv_alloc(sizeof(*name) + strlen(text) + 1);
    name->next = folder->names;
    name->node = node;
    memcpy(name->text, text, strlen(text) + 1);
    folder->names = name;
}

static void free_nodes(struct kv_test_disk_node *all)
{
    while (all != NULL) {
        struct kv_test_disk_node *next = all->next;
        while (all->names != NULL)
            remove_name(all, all->names->text);
        kv_buffer_fini(&all->cache);
        kv_buffer_fini(&all->bytes);
        free(all);
        all = next;
    }
}

static void set_size(struct kv_test_disk_node *node, uint64_t size)
{
    if (node->bytes.len > size)
        node->bytes.len = size;
    node->size = size;
}

static void put_bytes(struct kv_buffer *all, uint64_t at, const char *bytes, size_t len)
{
    if (all->len < at + len) {
        char *more = kv_buffer_reserve(all, at + len - all->len);
        memset(more, 0, at + len - all->len);
        all->len = at + len;
    }
    memcpy(all->bytes + at, bytes, len);
}

static void write_bytes(struct kv_test_disk_node *node, uint64_t at, const char *bytes, size_t len)
{
    put_bytes(&node->bytes, at, bytes, len);
    if (node->size < at + len)
        node->size = at + len;
}

/* Writes the page of `at` to the disk, up to `end` or the end of the file. */
static void let_out(struct kv_test_disk_node *node, uint64_t at, uint64_t end)
{
    at = at / PAGE * PAGE;
    end = end < node->cache.len ? end : node->cache.len;
    if (at < end)
        write_bytes(node, at, node->cache.bytes + at, end - at);
}

/* ---- the folder, read and written ---- */

static struct kv_test_disk_node *read_tree(struct kv_test_disk_node **all, const char *path)
{
    struct stat status;
    if (stat(path, &status) != 0)
        fail_msg("%s: %s", path, strerror(errno));
    struct kv_test_disk_node *node = add_node(all, status.st_ino, S_ISDIR(status.st_mode));
    if (!node->is_folder) {
        kv_test_file_read(path, &node->bytes);
        node->size = node->bytes.len;
        kv_buffer_append(&node->cache, kv_buffer_slice(&node->bytes));
        return node;
    }
    DIR *folder = opendir(path);
    assert_non_null(folder);
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        char *inner = kv_test_path(path, entry->d_name);
        set_name(node, entry->d_name, read_tree(all, inner));
        free(inner);
    }
    closedir(folder);
    return node;
}

static void write_file(const struct kv_test_disk_node *node, const char *path)
{
    kv_test_file_write(path, kv_buffer_slice(&node->bytes));
    if (truncate(path, (off_t)node->size) != 0)
        fail_msg("%s: %s", path, strerror(errno));
}

static void write_tree(const struct kv_test_disk_node *folder, const char *path)
{
    for (const struct name *name = folder->names; name != NULL; name = name->next) {
        char *inner = kv_test_path(path, name->text);
        if (!name->node->is_folder)
            write_file(name->node, inner);
        else if (mkdir(inner, 0750) == 0)
            write_tree(name->node, inner);
        else
            fail_msg("%s: %s", inner, strerror(errno));
        free(inner);
    }
}

/* ---- the effect of a cut ---- */

/* A record of the journal, and its nodes. */
struct step {
    struct power_record record;
    uint64_t place; /* in the journal */
    const char *more;
    struct kv_test_disk_node *node, *folder, *new_folder;
};

struct steps {
    struct step *all;
    size_t n;
};

struct luck {
    uint64_t state;         /* 0: no randomness */
    uint64_t names_last_to; /* names are on the disk up to this place in the journal */
};

/* splitmix64 */
static uint64_t draw(struct luck *luck)
{
    uint64_t z = luck->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* Some files are written back whole, and others not at all. */
static void give_chances(struct kv_test_disk_node *all, struct luck *luck)
{
    for (; all != NULL && luck->state != 0; all = all->next)
        all->chance = (unsigned)(draw(luck) % 5);
}

/* The node that the journal names. If its creation was not recorded (stdio), it is empty. */
static struct kv_test_disk_node *node_of(struct kv_test_disk_node **all, uint64_t number,
                                         bool is_folder)
{
    struct kv_test_disk_node *node = number == 0 ? NULL : find_node(*all, number);
    return node == NULL && number != 0 ? add_node(all, number, is_folder) : node;
}

static void resolve(struct step *step, struct kv_test_disk_node **all)
{
    const struct power_record *record = &step->record;
    step->node = record->kind == POWER_MAKE ? add_node(all, record->node, record->is_folder)
                                            : node_of(all, record->node, false);
    step->folder = node_of(all, record->folder, true);
    step->new_folder = node_of(all, record->new_folder, true);
    if (record->kind == POWER_SYNC && step->node->synced < record->at)
        step->node->synced = record->at;
}

/* A final record truncated by the kill is ignored. */
static struct steps read_journal(struct kv_slice journal, struct kv_test_disk_node **all)
{
    struct steps steps = {0};
    size_t capacity = 0;
    for (uint64_t at = 0; at + sizeof(struct power_record) <= journal.len;) {
        struct step step = {.place = at, .more = journal.bytes + at + sizeof(step.record)};
        memcpy(&step.record, journal.bytes + at, sizeof(step.record));
        at += sizeof(step.record) + step.record.len;
        if (at > journal.len)
            break;
        resolve(&step, all);
        if (steps.n == capacity)
            steps.all = kv_realloc(steps.all, (capacity = 2 * capacity + 64) * sizeof(step));
        steps.all[steps.n++] = step;
    }
    return steps;
}

static bool is_synced(const struct step *step, const struct kv_test_disk_node *node)
{
    return node != NULL && step->place < node->synced;
}

static void redo_name(const struct step *step, const struct luck *luck)
{
    if (!is_synced(step, step->folder) && !is_synced(step, step->new_folder) &&
        step->place >= luck->names_last_to)
        return;
    if (step->record.kind == POWER_MAKE || step->record.kind == POWER_LINK) {
        set_name(step->folder, step->more, step->node);
        return;
    }
    remove_name(step->folder, step->more);
    if (step->record.kind == POWER_MOVE)
        set_name(step->new_folder, step->more + step->record.name_len, step->node);
}

/* Writes back page by page, as a disk cache does; some pages are torn. */
static void redo_some_pages(const struct step *step, struct luck *luck)
{
    uint64_t end = step->record.at + step->record.len;
    for (uint64_t at = step->record.at, page_end; at < end; at = page_end) {
        page_end = (at / PAGE + 1) * PAGE;
        uint64_t drawn = draw(luck);
        uint64_t torn = at / SECTOR * SECTOR + (drawn >> 8) % (PAGE / SECTOR) * SECTOR;
        bool is_torn = (drawn >> 32) % 8 == 0 && step->node->chance < 4 && torn < page_end;
        if (drawn % 4 < step->node->chance)
            let_out(step->node, at, is_torn ? torn : page_end);
    }
}

/* Applies the change as the process sees it. */
static void redo_in_cache(const struct step *step)
{
    struct kv_buffer *cache = &step->node->cache;
    if (step->record.kind == POWER_WRITE)
        put_bytes(cache, step->record.at, step->more, step->record.len);
    else if (cache->len > step->record.at)
        cache->len = step->record.at;
}

static void redo_bytes(const struct step *step, struct luck *luck)
{
    const struct power_record *record = &step->record;
    redo_in_cache(step);
    bool is_durable = record->is_durable || is_synced(step, step->node);
    if (record->kind == POWER_SIZE) {
        if (is_durable || (luck->state != 0 && draw(luck) % 4 < step->node->chance))
            set_size(step->node, record->at);
    } else if (is_durable) {
        write_bytes(step->node, record->at, step->more, record->len);
    } else if (luck->state != 0) {
        redo_some_pages(step, luck);
    }
}

static void redo(const struct step *step, struct luck *luck)
{
    switch (step->record.kind) {
    case POWER_MAKE:
    case POWER_LINK:
    case POWER_DROP:
    case POWER_MOVE:
        redo_name(step, luck);
        break;
    case POWER_WRITE:
    case POWER_SIZE:
        redo_bytes(step, luck);
        break;
    default:
        break;
    }
}

/* Several threads may sync one file: the earliest start counts. */
static void time_sync(struct kv_test_disk *disk, const struct step *step)
{
    struct kv_test_disk_node *node = step->node;
    if (step->record.kind == POWER_SYNCING && node->syncing_since_ms == 0)
        node->syncing_since_ms = step->record.time_ms;
    if (step->record.kind != POWER_SYNC || node->syncing_since_ms == 0)
        return;
    if (step->record.time_ms - node->syncing_since_ms > disk->longest_sync_ms)
        disk->longest_sync_ms = step->record.time_ms - node->syncing_since_ms;
    node->syncing_since_ms = 0;
}

static void time_unfinished_syncs(struct kv_test_disk *disk, int64_t now_ms)
{
    for (const struct kv_test_disk_node *node = disk->base; node != NULL; node = node->next)
        if (node->syncing_since_ms != 0 && now_ms - node->syncing_since_ms > disk->longest_sync_ms)
            disk->longest_sync_ms = now_ms - node->syncing_since_ms;
}

static struct luck luck_of(uint64_t seed, size_t journal_len)
{
    struct luck luck = {.state = seed};
    if (seed == 0)
        return luck;
    luck.names_last_to = draw(&luck) % (2 * journal_len + 1); /* all of them, half of the time */
    return luck;
}

/* ---- the disk ---- */

static void begin(struct kv_test_disk *disk)
{
    free_nodes(disk->base);
    disk->base = NULL;
    read_tree(&disk->base, disk->root);
    kv_test_file_write(disk->journal, KV_SLICE(""));
}

void kv_test_disk_open(struct kv_test_disk *disk, const char *root)
{
    *disk = (struct kv_test_disk){.root = realpath(root, NULL)};
    assert_non_null(disk->root);
    if (asprintf(&disk->journal, "%s.journal", disk->root) < 0)
        fail_msg("no memory");
    setenv("KV_POWER_ROOT", disk->root, 1);
    setenv("KV_POWER_JOURNAL", disk->journal, 1);
    begin(disk);
}

void kv_test_disk_cut(struct kv_test_disk *disk, uint64_t seed)
{
    struct kv_buffer journal = {0};
    struct stat status;
    kv_test_file_read(disk->journal, &journal);
    struct steps steps = read_journal(kv_buffer_slice(&journal), &disk->base);
    struct luck luck = luck_of(seed, journal.len);
    int64_t now_ms = kv_test_now_ms();
    give_chances(disk->base, &luck);
    for (size_t i = 0; i < steps.n; i++) {
        redo(&steps.all[i], &luck);
        time_sync(disk, &steps.all[i]);
    }
    time_unfinished_syncs(disk, now_ms);
    assert_int_equal(stat(disk->root, &status), 0);
    kv_test_folder_empty(disk->root);
    write_tree(find_node(disk->base, status.st_ino), disk->root);
    free(steps.all);
    kv_buffer_fini(&journal);
    begin(disk);
}

void kv_test_disk_close(struct kv_test_disk *disk)
{
    unlink(disk->journal);
    unsetenv("KV_POWER_ROOT");
    unsetenv("KV_POWER_JOURNAL");
    free_nodes(disk->base);
    free(disk->root);
    free(disk->journal);
    *disk = (struct kv_test_disk){0};
}
