/*
 * kv.get, kv.set, kv.delete and kv.incr. Each describes in the call's request what it asks of the
 * keyspace, and yields; requests.c does it, and the coroutine goes on with the outcome.
 */
#ifndef KV_SCRIPT_ASKING_H
#define KV_SCRIPT_ASKING_H

#include "script/call.h"

/* Sets them in the table at the top. May raise, as may the others. */
void kv_asking_export(lua_State *lua);

/* Whether the value is the function kv.delete. */
bool kv_asking_is_delete(lua_State *lua, int index);

/* Pushes {revision = …, ttl = milliseconds that are left, or nil}. */
void kv_asking_push_meta(lua_State *lua, const struct kv_script_call *call, uint64_t revision,
                         int64_t deadline_ms);

/* Pushes the outcome of the call's request. Returns: how many values. */
int kv_asking_push_outcome(lua_State *lua, const struct kv_script_call *call);

#endif
