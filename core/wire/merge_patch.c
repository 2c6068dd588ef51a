/*
 * The patch becomes a tree of the members of its objects (patch_tree.h). The old value is walked
 * twice, side by side with the tree, as far down as the tree goes: the first walk finds the last
 * occurrence of repeated members, the second one copies and replaces. Both only move forward, so
 * depth costs nothing.
 */
#include "wire/merge_patch.h"

#include "wire/json.h"
#include "wire/json_walk.h"

/* The state of a merge. `out` has room for the whole result. */
struct merge {
    struct kv_patch_tree tree;
    struct kv_buffer *out;
    const char *at; /* in the old value */
    const char *end;
    const char *lead;             /* the beginning of the next member's text, with its space */
    struct kv_patch_member *into; /* the object that the walk is in */
    bool is_kept;                 /* whether the previous member was kept */
};

static void put(struct merge *merge, const char *from, const char *to)
{
    kv_buffer_append(merge->out, (struct kv_slice){from, (size_t)(to - from)});
}

static void begin_member(struct merge *merge, struct kv_patch_member *object)
{
    if (object->n_written++ != 0)
        kv_buffer_append_char(merge->out, ',');
}

/* ---- new members ---- */

static bool is_null(const struct kv_patch_member *member)
{
    return kv_json_type_of(member->value) == KV_JSON_NULL;
}

static bool is_object(const struct kv_patch_member *member)
{
    return kv_json_type_of(member->value) == KV_JSON_OBJECT;
}

static void put_name(struct merge *merge, struct kv_patch_member *object,
                     const struct kv_patch_member *member)
{
    begin_member(merge, object);
    kv_buffer_append(merge->out, member->name);
    kv_buffer_append_char(merge->out, ':');
}

static void open_object(struct merge *merge, struct kv_patch_member *object)
{
    object->n_written = 0;
    kv_buffer_append_char(merge->out, '{');
}

/* Writes an object of the patch as applied to an empty one: without its nulls. Without
 * recursion. */
static void put_object(struct merge *merge, struct kv_patch_member *top)
{
    const struct kv_patch_tree *tree = &merge->tree;
    struct kv_patch_member *object = top, *next = kv_patch_first(tree, top);
    open_object(merge, top);
    for (;;) {
        if (next == NULL) {
            kv_buffer_append_char(merge->out, '}');
            if (object == top)
                return;
            next = kv_patch_next(tree, object);
            object = kv_patch_parent(tree, object);
        } else if (is_null(next)) {
            next = kv_patch_next(tree, next);
        } else if (is_object(next)) {
            put_name(merge, object, next);
            open_object(merge, next);
            object = next;
            next = kv_patch_first(tree, next);
        } else {
            put_name(merge, object, next);
            kv_buffer_append(merge->out, next->value);
            next = kv_patch_next(tree, next);
        }
    }
}

static void put_value(struct merge *merge, struct kv_patch_member *member)
{
    if (is_object(member))
        put_object(merge, member);
    else
        kv_buffer_append(merge->out, member->value);
}

static void put_new_members(struct merge *merge, struct kv_patch_member *object)
{
    const struct kv_patch_tree *tree = &merge->tree;
    for (struct kv_patch_member *member = kv_patch_first(tree, object); member != NULL;
         member = kv_patch_next(tree, member)) {
        if (member->is_there || is_null(member))
            continue;
        put_name(merge, object, member);
        put_value(merge, member);
    }
}

/* ---- the walks ---- */

static bool is_at(const struct merge *merge, char byte)
{
    return merge->at < merge->end && *merge->at == byte;
}

static void skip_space(struct merge *merge)
{
    merge->at = kv_json_skip_space(merge->at, merge->end);
}

static void skip_value(struct merge *merge)
{
    merge->at = kv_json_skip_value(merge->at, merge->end);
}

/* Moves from a name to its value. Returns: 0 and the patch's member of that name, NULL if it has
 * none; or KV_MERGE_NO_MEMORY. */
static int take_name(struct merge *merge, struct kv_patch_member **ret_member)
{
    const char *from = merge->at;
    merge->at = kv_json_skip_string(merge->at, merge->end);
    struct kv_slice name = {from, (size_t)(merge->at - from)};
    skip_space(merge);
    merge->at += is_at(merge, ':');
    skip_space(merge);
    return kv_patch_find(&merge->tree, merge->into, name, ret_member);
}

static void enter(struct merge *merge, struct kv_patch_member *object)
{
    merge->into = object;
    merge->lead = ++merge->at;
}

/* Moves from the end of an object into the one that contains it. Returns: false after the
 * outermost. */
static bool leave(struct merge *merge)
{
    merge->at += is_at(merge, '}');
    merge->into = kv_patch_parent(&merge->tree, merge->into);
    merge->is_kept = true;
    return merge->into != NULL;
}

/* The first walk: finds the last occurrence of each of the patch's members. */
static int find_last(struct merge *merge)
{
    for (;;) {
        struct kv_patch_member *member;
        skip_space(merge);
        if (merge->at == merge->end || is_at(merge, '}')) {
            if (!leave(merge))
                return 0;
            continue;
        }
        if (is_at(merge, ',')) {
            merge->at++;
            continue;
        }
        if (take_name(merge, &member) != 0)
            return KV_MERGE_NO_MEMORY;
        if (member != NULL)
            member->last_at = merge->at;
        if (member != NULL && is_object(member) && is_at(merge, '{'))
            enter(merge, member);
        else
            skip_value(merge);
    }
}

/* Writes the current member up to its value, with the white space before it. */
static void put_lead(struct merge *merge)
{
    begin_member(merge, merge->into);
    put(merge, merge->lead, merge->at);
}

/* Returns: whether the walk has entered the value. */
static bool take_member(struct merge *merge, struct kv_patch_member *member)
{
    bool is_named = member != NULL;
    merge->is_kept = !is_named || (member->last_at == merge->at && !is_null(member));
    if (is_named && member->last_at == merge->at)
        member->is_there = true;
    if (merge->is_kept)
        put_lead(merge);
    if (merge->is_kept && is_named && is_object(member) && is_at(merge, '{')) {
        open_object(merge, member);
        enter(merge, member);
        return true;
    }
    const char *from = merge->at;
    skip_value(merge);
    if (!is_named)
        put(merge, from, merge->at);
    else if (merge->is_kept)
        put_value(merge, member);
    return false;
}

/* The white space after a member belongs to it. */
static void take_trail(struct merge *merge)
{
    const char *from = merge->at;
    skip_space(merge);
    if (merge->is_kept)
        put(merge, from, merge->at);
}

/* Returns: as leave(). */
static bool close_object(struct merge *merge)
{
    if (!merge->into->had_members)
        put(merge, merge->lead, merge->at);
    put_new_members(merge, merge->into);
    kv_buffer_append_char(merge->out, '}');
    return leave(merge);
}

/* The second walk. */
static int copy_and_replace(struct merge *merge)
{
    for (;;) {
        struct kv_patch_member *member;
        skip_space(merge);
        if (is_at(merge, ',')) {
            merge->lead = ++merge->at;
            continue;
        }
        if (merge->at == merge->end || is_at(merge, '}')) {
            if (!close_object(merge))
                return 0;
        } else {
            merge->into->had_members = true;
            if (take_name(merge, &member) != 0)
                return KV_MERGE_NO_MEMORY;
            if (take_member(merge, member))
                continue;
        }
        take_trail(merge);
    }
}

static void begin_walk(struct merge *merge, struct kv_slice old)
{
    merge->at = old.bytes;
    merge->end = old.bytes + old.len;
    enter(merge, kv_patch_root(&merge->tree));
}

static int apply(struct merge *merge, struct kv_slice old)
{
    struct kv_patch_member *root = kv_patch_root(&merge->tree);
    if (!is_object(root) || kv_json_type_of(old) != KV_JSON_OBJECT) {
        put_value(merge, root);
        return 0;
    }
    begin_walk(merge, old);
    if (find_last(merge) != 0)
        return KV_MERGE_NO_MEMORY;
    begin_walk(merge, old);
    open_object(merge, root);
    return copy_and_replace(merge);
}

int kv_merge_patch(struct kv_slice old, struct kv_slice patch, struct kv_buffer *out)
{
    struct merge merge = {.out = out};
    size_t len = out->len;
    int failed = kv_patch_tree_read(&merge.tree, patch);
    if (failed == 0 && kv_buffer_try_reserve(out, old.len + patch.len + 2) == NULL)
        failed = KV_MERGE_NO_MEMORY;
    if (failed == 0)
        failed = apply(&merge, old);
    if (failed != 0)
        out->len = len;
    kv_patch_tree_fini(&merge.tree);
    return failed;
}
