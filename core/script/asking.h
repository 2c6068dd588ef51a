/*
 * kv.get, kv.set, kv.delete and kv.incr. Each stores its request to the keyspace in the call, and
 * yields; requests.c sends it, and the coroutine continues with the outcome.
 */
#ifndef KV_SCRIPT_ASKING_H
#define KV_SCRIPT_ASKING_H

#include "script/call.h"

/* Sets them in the table at the top. May raise, as may the functions below. */
void kv_asking_export(lua_State *lua);

/* Whether the value is the function kv.delete. */
bool kv_asking_is_delete(lua_State *lua, int index);

/* Pushes {revision = …, ttl = remaining milliseconds, or nil}. */
void kv_asking_push_meta(lua_State *lua, const struct kv_script_call *call, uint64_t revision,
                         int64_t deadline_ms);

/* Pushes the outcome of the call's request. Returns: the number of values. */
int kv_asking_push_outcome(lua_State *lua, const struct kv_script_call *call);

#endif
