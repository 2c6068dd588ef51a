/* A cursor is copied before its page is released, as by a host that sends it to a client. */
#include "contract/store/walk.h"

#include "base/mem.h"

/* More pages than any test needs. */
#define PAGES_MAX 20000

struct kv_slice slice_dup(struct kv_slice slice)
{
    return (struct kv_slice){kv_memdup(slice.bytes, slice.len), slice.len};
}

/* Returns: the next cursor, empty at the end. Owns: the caller. */
static struct kv_slice walk_page(struct fixture *fixture, struct walk *walk, struct kv_slice cursor)
{
    struct page page = {.scan = {.prefix = walk->prefix,
                                 .cursor = cursor,
                                 .start = cursor.len == 0 ? walk->start : (struct kv_slice){0},
                                 .wants_values = true,
                                 .capacity = walk->capacity}};
    run_scan(fixture, &page);
    assert_int_equal(page.scan.status, KV_OK);
    for (uint32_t i = 0; i < page.scan.n; i++)
        walk->each(walk, &page.entries[i]);
    struct kv_slice next = slice_dup(page.scan.next);
    release_page(fixture, &page);
    return next;
}

size_t walk_all(struct fixture *fixture, struct walk *walk)
{
    struct kv_slice cursor = {0};
    for (size_t n_pages = 1;; n_pages++) {
        assert_true(n_pages < PAGES_MAX);
        struct kv_slice next = walk_page(fixture, walk, cursor);
        free((char *)cursor.bytes);
        cursor = next;
        if (cursor.len == 0) {
            free((char *)cursor.bytes);
            return n_pages;
        }
        if (walk->between != NULL)
            walk->between(walk, fixture, n_pages);
    }
}
