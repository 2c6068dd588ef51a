/*
 * A configuration owns everything it hands out through one list of chunks, so that destroying it
 * needs no walk over the tree and a half-read file leaks nothing. Nodes never change after the
 * file is read.
 */
#include "conf/tree.h"

#include <stdlib.h>

#include "base/mem.h"

struct kv_conf_chunk {
    struct kv_conf_chunk *next;
    max_align_t bytes[];
};

void *kv_conf_alloc(struct kv_conf *conf, size_t n, size_t size)
{
    if (n == 0)
        return NULL;
    size_t len = n * size; /* both bounded by the size of the file and of the schema */
    struct kv_conf_chunk *chunk = kv_calloc(1, sizeof(*chunk) + len);
    chunk->next = conf->chunks;
    conf->chunks = chunk;
    return chunk->bytes;
}

struct kv_slice kv_conf_copy(struct kv_conf *conf, struct kv_slice text)
{
    char *copy = kv_conf_alloc(conf, text.len + 1, 1);
    if (text.len != 0)
        memcpy(copy, text.bytes, text.len);
    return (struct kv_slice){.bytes = copy, .len = text.len};
}

struct kv_conf_node *kv_conf_node_create(struct kv_conf *conf, enum kv_conf_kind kind,
                                         struct kv_conf_mark mark)
{
    struct kv_conf_node *node = kv_conf_alloc(conf, 1, sizeof(*node));
    node->kind = kind;
    node->mark = mark;
    return node;
}

struct kv_conf *kv_conf_create(const char *name)
{
    struct kv_conf *conf = kv_calloc(1, sizeof(*conf));
    conf->name = kv_strdup(name);
    conf->root = kv_conf_node_create(conf, KV_CONF_MAPPING, (struct kv_conf_mark){1, 1});
    return conf;
}

void kv_conf_destroy(struct kv_conf *conf)
{
    if (conf == NULL)
        return;
    struct kv_conf_chunk *chunk = conf->chunks;
    while (chunk != NULL) {
        struct kv_conf_chunk *next = chunk->next;
        free(chunk);
        chunk = next;
    }
    free(conf->name);
    free(conf->folder);
    free(conf->paths);
    free(conf);
}

const struct kv_conf_node *kv_conf_root(const struct kv_conf *conf)
{
    return conf->root;
}

bool kv_conf_node_is_mapping(const struct kv_conf_node *node)
{
    return node != NULL && node->kind == KV_CONF_MAPPING;
}

bool kv_conf_node_is_sequence(const struct kv_conf_node *node)
{
    return node != NULL && node->kind == KV_CONF_SEQUENCE;
}

bool kv_conf_node_is_empty(const struct kv_conf_node *node)
{
    return node == NULL || node->kind == KV_CONF_EMPTY;
}

bool kv_conf_node_is_faulty(const struct kv_conf_node *node)
{
    return node != NULL && node->kind == KV_CONF_FAULTY;
}

size_t kv_conf_node_size(const struct kv_conf_node *node)
{
    return node == NULL ? 0 : node->n_children;
}

const struct kv_conf_node *kv_conf_node_child(const struct kv_conf_node *node, size_t i)
{
    return i < kv_conf_node_size(node) ? node->children[i] : NULL;
}

const char *kv_conf_node_name(const struct kv_conf_node *node, size_t i)
{
    return node->children[i]->name;
}

const struct kv_conf_node *kv_conf_node_find(const struct kv_conf_node *node, const char *name)
{
    if (!kv_conf_node_is_mapping(node))
        return NULL;
    for (size_t i = 0; i < node->n_children; i++)
        if (strcmp(node->children[i]->name, name) == 0)
            return node->children[i];
    return NULL;
}

const char *kv_conf_node_text(const struct kv_conf_node *node)
{
    return node != NULL && node->kind == KV_CONF_SCALAR ? node->text.bytes : NULL;
}

const char *kv_conf_node_source(const struct kv_conf_node *node)
{
    return node == NULL ? NULL : node->source;
}
