/*
 * kv.scan()
 */
#ifndef KV_SCRIPT_SCANNING_H
#define KV_SCRIPT_SCANNING_H

#include <lua.h>

/* Sets it in the table at the top. May raise. */
void kv_scanning_export(lua_State *lua);

#endif
