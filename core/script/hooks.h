/*
 * Calls hooks before writes of the keyspace, and after changes.
 */
#ifndef KV_SCRIPT_HOOKS_H
#define KV_SCRIPT_HOOKS_H

#include "script/script.h"

/* For the interface of interceptors. */
bool kv_hooks_cover(const struct kv_interceptor *interceptor, const struct kv_command *command);
enum kv_verdict kv_hooks_before_write(struct kv_interceptor *interceptor,
                                      struct kv_command *command);
void kv_hooks_on_change(struct kv_observer *observer, struct kv_keyspace_loop *loop,
                        const struct kv_change *change, struct kv_shown *shown);

/* Calls on_start(), and again as long as it returns a value. */
void kv_hooks_start(struct kv_script_loop *here);

void kv_hooks_run_ready(struct kv_post *post);

/* Drops every call of the loop. */
void kv_hooks_forget_all(struct kv_script_loop *here);

#endif
