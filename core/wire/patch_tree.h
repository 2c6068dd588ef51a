/*
 * A merge patch as a tree of the members of its objects. Values that are not objects are leaves.
 */
#ifndef KV_WIRE_PATCH_TREE_H
#define KV_WIRE_PATCH_TREE_H

#include "base/buffer.h"

enum {
    KV_MERGE_MOST_MEMBERS = 65536, /* of a patch, in all of its objects together */
    KV_MERGE_TOO_MANY = -1,
    KV_MERGE_NO_MEMORY = -2
};

/* Links are indexes into the tree's array plus 1; 0: none. */
struct kv_patch_member {
    struct kv_slice name; /* with its quotes; the root has none */
    struct kv_slice value;
    uint64_t hash; /* of the decoded name, and of the object that contains it */
    uint32_t parent;
    uint32_t first, last; /* of its own members */
    uint32_t next;        /* the next member of its object */
    uint32_t chained;     /* the next member in the same bucket */
    bool is_dead;         /* a later member has the same name */
    /* For the walks. */
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

/* Return NULL if there is none. */
struct kv_patch_member *kv_patch_root(const struct kv_patch_tree *tree);
struct kv_patch_member *kv_patch_parent(const struct kv_patch_tree *tree,
                                        const struct kv_patch_member *member);
struct kv_patch_member *kv_patch_first(const struct kv_patch_tree *tree,
                                       const struct kv_patch_member *object);
struct kv_patch_member *kv_patch_next(const struct kv_patch_tree *tree,
                                      const struct kv_patch_member *member);

#endif
