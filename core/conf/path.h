/*
 * The path of an option for messages: `limits.value`, `listen[0].port`.
 */
#ifndef KV_CONF_PATH_H
#define KV_CONF_PATH_H

#include "base/buffer.h"

/* All zero is the root. */
struct kv_path {
    struct kv_buffer text;
};

void kv_path_fini(struct kv_path *path);

/* Descends by one step. Returns: the value to pass to kv_path_leave() for the way back. */
size_t kv_path_enter(struct kv_path *path, const char *name);
size_t kv_path_enter_index(struct kv_path *path, size_t i);

static inline void kv_path_leave(struct kv_path *path, size_t mark)
{
    path->text.len = mark;
}

/* Valid until the next step. */
const char *kv_path_text(struct kv_path *path);

#endif
