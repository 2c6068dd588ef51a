#include "wire/backup_touches.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"

/* The newest touch of a key, whose bytes follow. */
struct kv_backup_touch {
    struct kv_table_node node;
    struct kv_backup_touch *next; /* of all */
    uint64_t revision;
    int64_t deadline_unix_ms;
    size_t key_len;
    char key[];
};

void kv_backup_touches_fini(struct kv_backup_touches *touches)
{
    for (struct kv_backup_touch *touch = touches->first, *next; touch != NULL; touch = next) {
        next = touch->next;
        free(touch);
    }
    kv_table_fini(&touches->table);
}

static struct kv_backup_touch *find(const struct kv_backup_touches *touches, struct kv_slice key,
                                    uint64_t hash)
{
    KV_TABLE_EACH(&touches->table, hash, node)
    {
        struct kv_backup_touch *touch = KV_CONTAINER(node, struct kv_backup_touch, node);
        if (kv_slice_equals((struct kv_slice){touch->key, touch->key_len}, key))
            return touch;
    }
    return NULL;
}

static struct kv_backup_touch *add(struct kv_backup_touches *touches, struct kv_slice key,
                                   uint64_t hash)
{
    struct kv_backup_touch *touch = kv_alloc(sizeof(*touch) + key.len);
    *touch = (struct kv_backup_touch){.next = touches->first, .key_len = key.len};
    if (key.len != 0)
        memcpy(touch->key, key.bytes, key.len);
    kv_table_insert(&touches->table, &touch->node, hash);
    touches->first = touch;
    return touch;
}

/* Of several touches of one state the last counts; the touches of later states come later. */
void kv_backup_touches_note(struct kv_backup_touches *touches, const struct kv_backup_line *line)
{
    uint64_t hash = kv_hash(line->key);
    struct kv_backup_touch *touch = find(touches, line->key, hash);
    if (touch == NULL)
        touch = add(touches, line->key, hash);
    if (line->revision < touch->revision)
        return;
    touch->revision = line->revision;
    touch->deadline_unix_ms = line->deadline_unix_ms;
}

int64_t kv_backup_touches_deadline(const struct kv_backup_touches *touches,
                                   const struct kv_backup_line *line)
{
    const struct kv_backup_touch *touch = find(touches, line->key, kv_hash(line->key));
    return touch != NULL && touch->revision == line->revision ? touch->deadline_unix_ms
                                                              : line->deadline_unix_ms;
}
