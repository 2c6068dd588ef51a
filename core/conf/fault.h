/*
 * Faults of a file, noted in its configuration.
 */
#ifndef KV_CONF_FAULT_H
#define KV_CONF_FAULT_H

#include "base/buffer.h"

struct kv_conf;
struct kv_conf_node;
struct kv_conf_mark;

/* Notes a fault at a node (NULL: of the whole file), unless it is noted already. The first 50 are
 * kept, the others only counted. Returns: -1, so that a caller can fail with it. */
int kv_conf_fault(struct kv_conf *conf, const struct kv_conf_node *node, const char *format, ...)
    KV_PRINTF(3, 4);

/* The same, at the key of a mapping's child. */
int kv_conf_fault_key(struct kv_conf *conf, const struct kv_conf_node *node, const char *format,
                      ...) KV_PRINTF(3, 4);

/* The number of faults noted. */
size_t kv_conf_n_faults(const struct kv_conf *conf);

/* Whether one of the first n faults is at the place of that node. */
bool kv_conf_has_fault(const struct kv_conf *conf, const struct kv_conf_node *node, size_t n);

/* Appends the faults in the order of the file, each as a line `<prefix>file:line:column: what`. */
void kv_conf_append_faults(const struct kv_conf *conf, const char *prefix, struct kv_buffer *out);

/* Writes the place of a node (NULL: the whole file) as `file:line:column`. */
void kv_conf_append_place(const struct kv_conf *conf, const struct kv_conf_node *node,
                          struct kv_buffer *out);

/* Notes a fault at a mark (all zero: of the whole file). Returns: -1. */
int kv_conf_fault_mark(struct kv_conf *conf, struct kv_conf_mark mark, const char *format, ...)
    KV_PRINTF(3, 4);

#endif
