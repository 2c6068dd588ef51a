/*
 * What the files of this folder share: the tree of a file, and the memory of a configuration.
 */
#ifndef KV_CONF_TREE_H
#define KV_CONF_TREE_H

#include "conf/conf.h"

enum kv_conf_kind {
    KV_CONF_EMPTY = 0, /* nothing, `~` or `null` */
    KV_CONF_SCALAR = 1,
    KV_CONF_SEQUENCE = 2,
    KV_CONF_MAPPING = 3,
};

/* A place of the file, both numbers from 1 on. */
struct kv_conf_mark {
    size_t line, column;
};

struct kv_conf_node {
    enum kv_conf_kind kind;
    struct kv_conf_mark mark;
    const char *name; /* the key in a mapping, otherwise NULL */
    struct kv_conf_mark name_mark;
    struct kv_slice text; /* SCALAR: after expansion, NUL-terminated */
    struct kv_conf_node **children;
    size_t n_children;
    struct kv_conf_node *next; /* the next sibling, while the file is being read */
};

struct kv_conf {
    char *name;
    struct kv_conf_chunk *chunks; /* all memory that kv_conf_alloc() gave */
    struct kv_conf_node *root;
};

/* Owns: the caller. The tree is an empty mapping. */
struct kv_conf *kv_conf_create(const char *name);

/* Zeroed memory that lives as long as the configuration. Returns: NULL for n = 0. */
void *kv_conf_alloc(struct kv_conf *conf, size_t n, size_t size);

/* A NUL-terminated copy of the same life. */
struct kv_slice kv_conf_copy(struct kv_conf *conf, struct kv_slice text);

/* A new node of the same life. */
struct kv_conf_node *kv_conf_node_create(struct kv_conf *conf, enum kv_conf_kind kind,
                                         struct kv_conf_mark mark);

/* Writes `file:line:column: …` and returns -1. */
int kv_conf_error_mark(const struct kv_conf *conf, struct kv_conf_mark mark,
                       struct kv_error *reterr, const char *format, ...) KV_PRINTF(4, 5);

#endif
