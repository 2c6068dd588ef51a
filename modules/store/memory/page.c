#include "page.h"

void page_init(struct kv_scan *scan)
{
    scan->n = 0;
    scan->next = (struct kv_slice){0};
    scan->next_ref = NULL;
}

void page_add(struct kv_store *store, struct kv_scan *scan, struct entry *entry)
{
    int64_t deadline_ms;
    if (!kv_slice_has_prefix(entry_key(entry), scan->prefix))
        return;
    entry = entry_look(entry, &store->host->base, &deadline_ms);
    if (entry == NULL)
        return;
    entry_ref(entry);
    scan->entries[scan->n++] =
        (struct kv_scan_entry){.key = entry_key(entry), .item = entry_item(entry, deadline_ms)};
}

/* A counted block like any value: an entry that is in no table. */
bool page_set_next(struct kv_scan *scan, struct kv_slice head, struct kv_slice key)
{
    struct entry *block = entry_create(head, key, KV_NEVER);
    if (block == NULL)
        return false;
    scan->next = (struct kv_slice){entry_key(block).bytes, head.len + key.len};
    scan->next_ref = block;
    return true;
}

void page_drop(struct kv_scan *scan)
{
    while (scan->n > 0)
        entry_unref(scan->entries[--scan->n].item.ref);
}
