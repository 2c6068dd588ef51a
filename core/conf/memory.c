/*
 * A configuration owns everything that it hands out in one list of chunks, so destroying it needs
 * no walk over the tree, and an incompletely read file leaks nothing. Nodes never change after the
 * file is read.
 */
#include "conf/memory.h"

#include <stdlib.h>

#include "base/mem.h"
#include "conf/tree.h"

struct kv_conf_chunk {
    struct kv_conf_chunk *next;
    max_align_t bytes[];
};

void *kv_conf_alloc(struct kv_conf *conf, size_t n, size_t size)
{
    if (n == 0)
        return NULL;
    size_t len = n * size; /* both are bounded by the size of the file and of the schema */
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

struct kv_conf *kv_conf_create(const char *name)
{
    struct kv_conf *conf = kv_calloc(1, sizeof(*conf));
    conf->name = kv_strdup(name);
    conf->root = kv_conf_alloc(conf, 1, sizeof(*conf->root));
    *conf->root = (struct kv_conf_node){.kind = KV_CONF_MAPPING, .mark = {1, 1}};
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
