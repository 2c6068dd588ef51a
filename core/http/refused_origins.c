/*
 * A small set of hashes. If two threads refuse the same origin at once, compare-and-swap decides
 * which of them logs it; clearing the set may at worst lose an entry, which is then logged again.
 */
#include "http/refused_origins.h"

#include "base/hash.h"
#include "base/log.h"

enum {
    MEMORY_MS = 3600 * 1000
};

struct kv_origin_text kv_origin_text(struct kv_slice origin)
{
    struct kv_origin_text printable = {0};
    for (size_t i = 0; i < origin.len && i < sizeof(printable.text) - 1; i++) {
        char byte = origin.bytes[i];
        bool is_printable = byte > ' ' && byte < 0x7f && byte != '"' && byte != '\\';
        printable.text[i] = '?';
        if (is_printable)
            printable.text[i] = byte;
    }
    return printable;
}

static void forget_old(struct kv_refused_origins *refused, int64_t now_ms)
{
    int64_t at_ms = atomic_load(&refused->forget_at_ms);
    if (now_ms < at_ms ||
        !atomic_compare_exchange_strong(&refused->forget_at_ms, &at_ms, now_ms + MEMORY_MS))
        return;
    for (size_t i = 0; i < KV_MOST_REFUSED_ORIGINS; i++)
        atomic_store(&refused->hashes[i], 0);
}

/* Returns: whether the origin is new, and there was room for it. */
static bool remember(struct kv_refused_origins *refused, struct kv_slice origin)
{
    uint64_t hash = kv_hash(origin) | 1;
    for (size_t i = 0; i < KV_MOST_REFUSED_ORIGINS; i++) {
        uint64_t found = 0;
        if (atomic_compare_exchange_strong(&refused->hashes[i], &found, hash))
            return true;
        if (found == hash)
            return false;
    }
    return false;
}

void kv_refused_origins_log(struct kv_refused_origins *refused, int64_t now_ms,
                            struct kv_slice origin, const char *action)
{
    forget_old(refused, now_ms);
    if (remember(refused, origin))
        kv_log(KV_LOG_WARN, "http",
               "a page of %s may not %s: `origins` does not list it (this is logged once an hour)",
               kv_origin_text(origin).text, action);
}
