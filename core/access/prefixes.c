/*
 * No prefix of the set is a prefix of another. So all texts between a prefix and a text that it
 * covers, in byte order, are covered by it as well, and not in the set: only the last prefix that
 * is not greater than a text may cover it.
 */
#include "access/prefixes.h"

#include <stdlib.h>

#include "base/mem.h"
#include "wire/json_string.h"

static int compare(const void *a, const void *b)
{
    return kv_slice_compare(*(const struct kv_slice *)a, *(const struct kv_slice *)b);
}

/* texts: in byte order. Returns: the number of remaining ones. */
static size_t drop_covered(struct kv_slice *texts, size_t n)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++)
        if (kept == 0 || !kv_slice_has_prefix(texts[i], texts[kept - 1]))
            texts[kept++] = texts[i];
    return kept;
}

static char *copy_text(struct kv_slice *to, struct kv_slice text, char *at)
{
    if (text.len != 0)
        memcpy(at, text.bytes, text.len);
    *to = (struct kv_slice){at, text.len};
    return at + text.len;
}

void kv_prefixes_init(struct kv_prefixes *prefixes, const struct kv_slice *texts, size_t n)
{
    size_t size = n * sizeof(*texts);
    for (size_t i = 0; i < n; i++)
        size += texts[i].len;
    *prefixes = (struct kv_prefixes){.all = n == 0 ? NULL : kv_alloc(size)};
    char *at = (char *)(prefixes->all + n);
    for (size_t i = 0; i < n; i++)
        at = copy_text(&prefixes->all[i], texts[i], at);
    if (n != 0)
        qsort(prefixes->all, n, sizeof(*prefixes->all), compare);
    prefixes->n = drop_covered(prefixes->all, n);
}

void kv_prefixes_init_within(struct kv_prefixes *prefixes, const struct kv_slice *texts, size_t n,
                             struct kv_slice within)
{
    struct kv_slice *found = kv_calloc(n + 1, sizeof(*found));
    size_t n_found = 0;
    for (size_t i = 0; i < n; i++)
        if (within.len != 0 && kv_slice_has_prefix(texts[i], within))
            found[n_found++] = texts[i];
    kv_prefixes_init(prefixes, found, n_found);
    free(found);
}

void kv_prefixes_fini(struct kv_prefixes *prefixes)
{
    free(prefixes->all);
    *prefixes = (struct kv_prefixes){0};
}

/* The number of prefixes that are not greater than the text. */
static size_t count_upto(const struct kv_prefixes *prefixes, struct kv_slice text)
{
    size_t low = 0, high = prefixes->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (kv_slice_compare(prefixes->all[middle], text) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool kv_prefixes_cover_part(const struct kv_prefixes *prefixes, struct kv_slice text)
{
    size_t n = count_upto(prefixes, text);
    return n != 0 && kv_slice_has_prefix(text, prefixes->all[n - 1]);
}

size_t kv_prefixes_find(const struct kv_prefixes *prefixes, struct kv_slice from)
{
    size_t n = count_upto(prefixes, from);
    return n != 0 && kv_slice_has_prefix(from, prefixes->all[n - 1]) ? n - 1 : n;
}

void kv_prefixes_print(const struct kv_prefixes *prefixes, size_t most, struct kv_buffer *out)
{
    size_t begin = out->len;
    for (size_t i = 0; i < prefixes->n; i++) {
        size_t before = out->len;
        if (i != 0)
            kv_buffer_append(out, KV_SLICE(", "));
        kv_json_append_string(out, prefixes->all[i]);
        if (out->len - begin > most) {
            out->len = before;
            kv_buffer_append(out, i == 0 ? KV_SLICE("…") : KV_SLICE(", …"));
            return;
        }
    }
}
