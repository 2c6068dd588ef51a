/*
 * Contexts: named servers with their tokens, in `~/.config/kvctl/contexts.json` ($XDG_CONFIG_HOME).
 * Only its user can access the file (mode 0600); it is always replaced as a whole.
 */
#ifndef KV_KVCTL_CONTEXTS_H
#define KV_KVCTL_CONTEXTS_H

#include "base/buffer.h"

struct json_t;

/* The contents of the file. */
struct kv_ctl_contexts {
    char *path;
    struct json_t *root; /* {"current": NAME, "contexts": {NAME: {"url": …, "token": …, …}}} */
};

/* Returns: 0, also if there is no file; -1 and *reterr. Owns: the caller, by
 * kv_ctl_contexts_close() in either case. */
int kv_ctl_contexts_open(struct kv_ctl_contexts *contexts, struct kv_error *reterr);
void kv_ctl_contexts_close(struct kv_ctl_contexts *contexts);

/* Writes the file. Returns: 0, or -1 and *reterr. */
int kv_ctl_contexts_save(const struct kv_ctl_contexts *contexts, struct kv_error *reterr);

/* The name of the current context; NULL: none. */
const char *kv_ctl_contexts_current(const struct kv_ctl_contexts *contexts);
/* Makes a context the current one. name: of an existing context; NULL: none. */
void kv_ctl_contexts_use(struct kv_ctl_contexts *contexts, const char *name);

/* The names in order, NULL-terminated. Owns: the caller, by free(), only the array. */
const char **kv_ctl_contexts_names(const struct kv_ctl_contexts *contexts);

bool kv_ctl_contexts_have(const struct kv_ctl_contexts *contexts, const char *name);
/* A member of a context; NULL: it has none. */
const char *kv_ctl_contexts_get(const struct kv_ctl_contexts *contexts, const char *name,
                                const char *member);
/* Creates the context if it does not exist. value: UTF-8, or NULL: removes the member. */
void kv_ctl_contexts_set(struct kv_ctl_contexts *contexts, const char *name, const char *member,
                         const char *value);
void kv_ctl_contexts_remove(struct kv_ctl_contexts *contexts, const char *name);

#endif
