/*
 * A merge patch as a tree of the members of its objects. Values that are no objects are leaves.
 */
#ifndef KV_WIRE_PATCH_TREE_H
#define KV_WIRE_PATCH_TREE_H

#include "base/buffer.h"

enum {
    KV_MERGE_MOST_MEMBERS = 65536, /* of a patch, in all of its objects together */
    KV_MERGE_TOO_MANY = -1,
    KV_MERGE_NO_MEMORY = -2
};

/* Links are places in the tree's array + 1; 0: none. */
struct kv_patch_member {
    struct kv_slice name; /* with its quotes; the root has none */
    struct kv_slice value;
    uint64_t hash; /* of the name, decoded, and of the object that it is in */
    uint32_t parent;
    uint32_t first, last; /* of its own members */
    uint32_t next;        /* of its object */
    uint32_t chained;     /* with the same bucket */
    bool is_dead;         /* another one of that name came later */
    /* The walks' own. */
    const char *last_at;
    bool is_there;
    bool had_members;
    uint32_t n_written;
};

struct kv_patch_tree {
    struct kv_patch_member *members; /* the first is the root */
    uint32_t n;
    uint32_t capacity;
    uint32_t *buckets; /* as many as `capacity` */
    struct kv_buffer name;
    struct kv_buffer other_name;
};

/* Returns: 0, or KV_MERGE_TOO_MANY or KV_MERGE_NO_MEMORY. Owns: the caller, by
 * kv_patch_tree_fini(), in any case. The text is lent. */
int kv_patch_tree_read(struct kv_patch_tree *tree, struct kv_slice text);
void kv_patch_tree_fini(struct kv_patch_tree *tree);

/* name: a scanned string. *ret_member: the one that counts; NULL: there is none.
 * Returns: 0, or KV_MERGE_NO_MEMORY. */
int kv_patch_find(struct kv_patch_tree *tree, const struct kv_patch_member *object,
                  struct kv_slice name, struct kv_patch_member **ret_member);

/* Return NULL where there is none. */
struct kv_patch_member *kv_patch_root(const struct kv_patch_tree *tree);
struct kv_patch_member *kv_patch_parent(const struct kv_patch_tree *tree,
                                        const struct kv_patch_member *member);
struct kv_patch_member *kv_patch_first(const struct kv_patch_tree *tree,
                                       const struct kv_patch_member *object);
struct kv_patch_member *kv_patch_next(const struct kv_patch_tree *tree,
                                      const struct kv_patch_member *member);

#endif
