/*
 * The table kv: the functions that scripts call, and the arguments of hooks.
 */
#ifndef KV_SCRIPT_API_H
#define KV_SCRIPT_API_H

#include "script/call.h"

/* Sets kv's functions, options included, in the table at the top. May raise. */
void kv_api_export(lua_State *lua, const struct kv_script_config *config);

/* Pushes the arguments of the call's hook. Returns: their number; may raise. */
int kv_api_push_arguments(lua_State *lua, struct kv_script_call *call);

/* Whether the error was raised by kv.refuse(); then the reason is in the call's `text`. */
bool kv_api_is_refusal(lua_State *lua, int index);

#endif
