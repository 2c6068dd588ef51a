/*
 * The data of a configuration: the tree of its file, its faults and its paths.
 */
#ifndef KV_CONF_TREE_H
#define KV_CONF_TREE_H

#include <kvserver/types.h>

enum kv_conf_kind {
    KV_CONF_EMPTY = 0, /* omitted, `~` or `null` */
    KV_CONF_SCALAR = 1,
    KV_CONF_SEQUENCE = 2,
    KV_CONF_MAPPING = 3,
    KV_CONF_FAULTY = 4, /* its fault is noted */
};

enum {
    KV_CONF_MAX_FAULTS = 50
};

/* A position in the file; both numbers begin at 1. */
struct kv_conf_mark {
    size_t line, column;
};

struct kv_conf_node {
    enum kv_conf_kind kind;
    struct kv_conf_mark mark;
    const char *name; /* the key in a mapping, otherwise NULL */
    struct kv_conf_mark name_mark;
    struct kv_slice text; /* SCALAR: after the replacement of variables, NUL-terminated */
    const char *source;   /* SCALAR: before the replacement of variables; NULL if it has none */
    struct kv_conf_node **children;
    size_t n_children;
    struct kv_conf_node *next; /* the next sibling, while the file is being read */
};

struct kv_conf_fault {
    struct kv_conf_mark mark; /* line 0: of the file as a whole */
    size_t number;            /* in the order of discovery */
    const char *text;
};

/* A value of the type PATH. */
struct kv_conf_path {
    const char *text;              /* made absolute */
    const char *written;           /* as written in the file, or the default */
    const char *option;            /* `storage.rocksdb.path` */
    uint32_t flags;                /* of the option */
    const struct kv_conf_node *at; /* NULL: the default */
};

struct kv_conf {
    char *name;
    char *folder; /* relative paths are resolved against it; NULL: they stay relative */
    struct kv_conf_fault faults[KV_CONF_MAX_FAULTS];
    size_t n_faults; /* including those beyond the limit */
    struct kv_conf_path *paths;
    size_t n_paths, max_paths;
    struct kv_conf_chunk *chunks; /* all memory from kv_conf_alloc() */
    struct kv_conf_node *root;
};

#endif
