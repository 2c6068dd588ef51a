/*
 * kv.update(): what happens within the hook's coroutine. It yields, is resumed with the edit that
 * its function is to be applied to, and yields again; perhaps it is resumed to write the value as
 * JSON; and in the end with what all of that came to (updater.c).
 */
#ifndef KV_SCRIPT_EDITING_H
#define KV_SCRIPT_EDITING_H

#include <lua.h>

/* Sets it in the table at the top. May raise. */
void kv_editing_export(lua_State *lua);

#endif
