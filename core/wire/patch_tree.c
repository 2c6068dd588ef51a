#include "wire/patch_tree.h"

#include <stdlib.h>

#include "base/hash.h"
#include "wire/json_string.h"
#include "wire/json_walk.h"

enum {
    FIRST_CAPACITY = 16
};

static struct kv_patch_member *member_at(const struct kv_patch_tree *tree, uint32_t link)
{
    return link == 0 ? NULL : &tree->members[link - 1];
}

static uint32_t link_of(const struct kv_patch_tree *tree, const struct kv_patch_member *member)
{
    return (uint32_t)(member - tree->members) + 1;
}

/* ---- names ---- */

/* Decodes a name, into `scratch` if it has escapes. */
static int decode(struct kv_slice name, struct kv_buffer *scratch, struct kv_slice *ret)
{
    *ret = kv_json_inside(name);
    if (!kv_json_has_escapes(name))
        return 0;
    scratch->len = 0;
    if (kv_json_unescape_to_compare(name, scratch) != 0)
        return KV_MERGE_NO_MEMORY;
    *ret = kv_buffer_slice(scratch);
    return 0;
}

static uint64_t hash_in(uint32_t object, struct kv_slice name)
{
    return kv_hash(name) + object * UINT64_C(0x9e3779b97f4a7c15);
}

static int is_named(struct kv_patch_tree *tree, const struct kv_patch_member *member,
                    struct kv_slice name, bool *ret)
{
    struct kv_slice own;
    if (decode(member->name, &tree->other_name, &own) != 0)
        return KV_MERGE_NO_MEMORY;
    *ret = kv_slice_equals(own, name);
    return 0;
}

/* name: decoded. */
static int look_up(struct kv_patch_tree *tree, uint32_t object, uint64_t hash, struct kv_slice name,
                   struct kv_patch_member **ret_member)
{
    struct kv_patch_member *member = member_at(tree, tree->buckets[hash & (tree->capacity - 1)]);
    bool is_found = false;
    for (; member != NULL; member = member_at(tree, member->chained)) {
        if (member->hash != hash || member->parent != object || member->is_dead)
            continue;
        if (is_named(tree, member, name, &is_found) != 0)
            return KV_MERGE_NO_MEMORY;
        if (is_found)
            break;
    }
    *ret_member = member;
    return 0;
}

int kv_patch_find(struct kv_patch_tree *tree, const struct kv_patch_member *object,
                  struct kv_slice name, struct kv_patch_member **ret_member)
{
    struct kv_slice decoded;
    uint32_t link = link_of(tree, object);
    *ret_member = NULL;
    if (object->first == 0)
        return 0;
    if (decode(name, &tree->name, &decoded) != 0)
        return KV_MERGE_NO_MEMORY;
    return look_up(tree, link, hash_in(link, decoded), decoded, ret_member);
}

/* ---- growing ---- */

static void put_in_bucket(struct kv_patch_tree *tree, struct kv_patch_member *member)
{
    uint32_t *bucket = &tree->buckets[member->hash & (tree->capacity - 1)];
    member->chained = *bucket;
    *bucket = link_of(tree, member);
}

static int grow(struct kv_patch_tree *tree)
{
    uint32_t capacity = tree->capacity == 0 ? FIRST_CAPACITY : 2 * tree->capacity;
    struct kv_patch_member *members = reallocarray(tree->members, capacity, sizeof(*members));
    if (members == NULL)
        return KV_MERGE_NO_MEMORY;
    tree->members = members;
    uint32_t *buckets = calloc(capacity, sizeof(*buckets));
    if (buckets == NULL)
        return KV_MERGE_NO_MEMORY;
    free(tree->buckets);
    tree->buckets = buckets;
    tree->capacity = capacity;
    for (uint32_t i = 1; i < tree->n; i++)
        put_in_bucket(tree, &tree->members[i]);
    return 0;
}

static void append_to(struct kv_patch_tree *tree, struct kv_patch_member *object, uint32_t link)
{
    if (object->first == 0)
        object->first = link;
    else
        member_at(tree, object->last)->next = link;
    object->last = link;
}

/* Adds a member, in place of an earlier one with that name. Returns: 0, or an error. */
static int add(struct kv_patch_tree *tree, uint32_t object, struct kv_slice name)
{
    struct kv_slice decoded;
    struct kv_patch_member *earlier;
    if (tree->n > KV_MERGE_MOST_MEMBERS)
        return KV_MERGE_TOO_MANY;
    if (tree->n == tree->capacity && grow(tree) != 0)
        return KV_MERGE_NO_MEMORY;
    if (decode(name, &tree->name, &decoded) != 0)
        return KV_MERGE_NO_MEMORY;
    uint64_t hash = hash_in(object, decoded);
    if (look_up(tree, object, hash, decoded, &earlier) != 0)
        return KV_MERGE_NO_MEMORY;
    if (earlier != NULL)
        earlier->is_dead = true;
    struct kv_patch_member *member = &tree->members[tree->n++];
    *member = (struct kv_patch_member){.name = name, .parent = object, .hash = hash};
    put_in_bucket(tree, member);
    append_to(tree, member_at(tree, object), link_of(tree, member));
    return 0;
}

/* ---- reading ---- */

struct reader {
    const char *at;
    const char *end;
    uint32_t object; /* that contains it */
};

static bool is_at(const struct reader *r, char byte)
{
    return r->at < r->end && *r->at == byte;
}

/* Starts at a name. */
static int read_member(struct kv_patch_tree *tree, struct reader *r)
{
    const char *from = r->at;
    r->at = kv_json_skip_string(r->at, r->end);
    int failed = add(tree, r->object, (struct kv_slice){from, (size_t)(r->at - from)});
    if (failed != 0)
        return failed;
    r->at = kv_json_skip_space(r->at, r->end);
    r->at = kv_json_skip_space(r->at + is_at(r, ':'), r->end);
    struct kv_patch_member *member = &tree->members[tree->n - 1];
    member->value.bytes = r->at;
    if (is_at(r, '{')) {
        r->object = tree->n;
        r->at++;
        return 0;
    }
    r->at = kv_json_skip_value(r->at, r->end);
    member->value.len = (size_t)(r->at - member->value.bytes);
    return 0;
}

static void end_object(const struct kv_patch_tree *tree, struct reader *r)
{
    struct kv_patch_member *object = member_at(tree, r->object);
    r->at += is_at(r, '}');
    object->value.len = (size_t)(r->at - object->value.bytes);
    r->object = object->parent;
}

static int read_object(struct kv_patch_tree *tree, struct kv_slice text)
{
    struct reader r = {text.bytes + 1, text.bytes + text.len, 1};
    while (r.object != 0) {
        int failed = 0;
        r.at = kv_json_skip_space(r.at, r.end);
        if (is_at(&r, ','))
            r.at++;
        else if (r.at == r.end || is_at(&r, '}'))
            end_object(tree, &r);
        else
            failed = read_member(tree, &r);
        if (failed != 0)
            return failed;
    }
    return 0;
}

int kv_patch_tree_read(struct kv_patch_tree *tree, struct kv_slice text)
{
    *tree = (struct kv_patch_tree){0};
    if (grow(tree) != 0)
        return KV_MERGE_NO_MEMORY;
    tree->members[tree->n++] = (struct kv_patch_member){.value = text};
    return text.bytes[0] == '{' ? read_object(tree, text) : 0;
}

void kv_patch_tree_fini(struct kv_patch_tree *tree)
{
    free(tree->members);
    free(tree->buckets);
    kv_buffer_fini(&tree->name);
    kv_buffer_fini(&tree->other_name);
}

/* ---- relations ---- */

static struct kv_patch_member *first_alive(const struct kv_patch_tree *tree, uint32_t link)
{
    struct kv_patch_member *member = member_at(tree, link);
    while (member != NULL && member->is_dead)
        member = member_at(tree, member->next);
    return member;
}

struct kv_patch_member *kv_patch_root(const struct kv_patch_tree *tree)
{
    return &tree->members[0];
}

struct kv_patch_member *kv_patch_parent(const struct kv_patch_tree *tree,
                                        const struct kv_patch_member *member)
{
    return member_at(tree, member->parent);
}

struct kv_patch_member *kv_patch_first(const struct kv_patch_tree *tree,
                                       const struct kv_patch_member *object)
{
    return first_alive(tree, object->first);
}

struct kv_patch_member *kv_patch_next(const struct kv_patch_tree *tree,
                                      const struct kv_patch_member *member)
{
    return first_alive(tree, member->next);
}
