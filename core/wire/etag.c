/*
 * RFC 9110's grammar: `*`, or a list of entity tags with commas, white space and empty elements
 * between them. An opaque tag may contain commas, so the list cannot be split first.
 */
#include "wire/etag.h"

#include <kvserver/store.h>
#include <stdlib.h>

#include "base/mem.h"

struct scanner {
    const char *at;
    const char *end;
};

static bool take(struct scanner *s, char byte)
{
    bool is_there = s->at < s->end && *s->at == byte;
    s->at += is_there;
    return is_there;
}

static void skip_space(struct scanner *s)
{
    while (take(s, ' ') || take(s, '\t'))
        continue;
}

/* etagc: printable ASCII except for the quote and the space, and all bytes that are not ASCII. */
static bool is_opaque(char byte)
{
    unsigned char code = (unsigned char)byte;
    return code > 0x20 && code != '"' && code != 0x7f;
}

/* Reads from the opening to the closing quote. */
static bool read_opaque_tag(struct scanner *s, struct kv_slice *ret_tag)
{
    if (!take(s, '"'))
        return false;
    const char *from = s->at;
    while (s->at < s->end && is_opaque(*s->at))
        s->at++;
    *ret_tag = (struct kv_slice){from, (size_t)(s->at - from)};
    return take(s, '"');
}

/* Returns: 0 if the tag is not one of the server's: a revision has only one spelling. */
static uint64_t revision_of(struct kv_slice tag)
{
    uint64_t revision = 0;
    if (tag.len == 0 || tag.bytes[0] == '0')
        return 0;
    for (size_t i = 0; i < tag.len; i++) {
        if (tag.bytes[i] < '0' || tag.bytes[i] > '9')
            return 0;
        revision = revision * 10 + (uint64_t)(tag.bytes[i] - '0');
        if (revision > KV_REVISION_MAX)
            return 0;
    }
    return revision;
}

/* The array doubles whenever its length is a power of two, so it needs no separate capacity. */
static void append(uint64_t **array, size_t *n, uint64_t revision)
{
    if ((*n & (*n - 1)) == 0)
        *array = kv_realloc(*array, (*n == 0 ? 1 : *n * 2) * sizeof(uint64_t));
    (*array)[(*n)++] = revision;
}

static bool read_tag(struct scanner *s, struct kv_etags *etags)
{
    bool is_weak = take(s, 'W');
    struct kv_slice tag;
    if ((is_weak && !take(s, '/')) || !read_opaque_tag(s, &tag))
        return false;
    uint64_t revision = revision_of(tag);
    if (revision == 0)
        return true;
    if (is_weak)
        append(&etags->weak_revisions, &etags->n_weak, revision);
    else
        append(&etags->revisions, &etags->n, revision);
    return true;
}

static bool read_list(struct scanner *s, struct kv_etags *etags)
{
    bool has_any = false;
    do {
        skip_space(s);
        bool is_empty = s->at == s->end || *s->at == ',';
        if (!is_empty && !read_tag(s, etags))
            return false;
        has_any = has_any || !is_empty;
        skip_space(s);
    } while (take(s, ','));
    return has_any && s->at == s->end;
}

int kv_etags_parse(struct kv_slice header_value, struct kv_etags *etags)
{
    if (header_value.len == 0)
        header_value.bytes = "";
    struct scanner s = {header_value.bytes, header_value.bytes + header_value.len};
    bool is_first = !etags->is_given;
    etags->is_given = true;
    skip_space(&s);
    if (!take(&s, '*'))
        return !etags->is_any && read_list(&s, etags) ? 0 : -1;
    skip_space(&s);
    etags->is_any = true;
    return is_first && s.at == s.end ? 0 : -1;
}

void kv_etags_fini(struct kv_etags *etags)
{
    free(etags->revisions);
    free(etags->weak_revisions);
    *etags = (struct kv_etags){0};
}

static bool has(const uint64_t *revisions, size_t n, uint64_t revision)
{
    for (size_t i = 0; i < n; i++)
        if (revisions[i] == revision)
            return true;
    return false;
}

bool kv_etags_match_strongly(const struct kv_etags *etags, uint64_t revision)
{
    return etags->is_any || has(etags->revisions, etags->n, revision);
}

bool kv_etags_match_weakly(const struct kv_etags *etags, uint64_t revision)
{
    return kv_etags_match_strongly(etags, revision) ||
           has(etags->weak_revisions, etags->n_weak, revision);
}
