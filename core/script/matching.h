/*
 * string.find, match, gmatch and gsub, as in Lua's manual, under a budget.
 */
#ifndef KV_SCRIPT_MATCHING_H
#define KV_SCRIPT_MATCHING_H

#include <lua.h>

/* Sets them in the table at the top. May raise. */
void kv_matching_export(lua_State *lua);

#endif
