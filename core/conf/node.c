#include "conf/node.h"

#include <stdlib.h>

#include "conf/tree.h"

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

/* The child with the longest key that the path begins with. */
static const struct kv_conf_node *longest_key(const struct kv_conf_node *node, const char *path)
{
    const struct kv_conf_node *longest = NULL;
    size_t longest_len = 0;
    for (size_t i = 0; kv_conf_node_is_mapping(node) && i < node->n_children; i++) {
        const char *name = node->children[i]->name;
        size_t len = strlen(name);
        if (len <= longest_len || strncmp(path, name, len) != 0 ||
            strchr(".[", path[len]) == NULL) /* also matches the terminating NUL */
            continue;
        longest = node->children[i];
        longest_len = len;
    }
    return longest;
}

const struct kv_conf_node *kv_conf_node_at(const struct kv_conf_node *node, const char *path)
{
    while (node != NULL && *path != '\0') {
        if (*path == '[') {
            char *end;
            node = kv_conf_node_child(node, strtoul(path + 1, &end, 10));
            path = *end == ']' ? end + 1 : end;
        } else {
            path += *path == '.';
            node = longest_key(node, path);
            path += node == NULL ? 0 : strlen(node->name);
        }
    }
    return node;
}

const char *kv_conf_node_text(const struct kv_conf_node *node)
{
    return node != NULL && node->kind == KV_CONF_SCALAR ? node->text.bytes : NULL;
}

const char *kv_conf_node_source(const struct kv_conf_node *node)
{
    return node == NULL ? NULL : node->source;
}
