/*
 * kv.update(): its part within the hook's coroutine. The coroutine yields, is resumed with the edit
 * to apply its function to, and yields again; it may be resumed to write the value as JSON; at the
 * end it is resumed with the outcome (updater.c).
 */
#ifndef KV_SCRIPT_EDITING_H
#define KV_SCRIPT_EDITING_H

#include <lua.h>

/* Sets it in the table at the top. May raise. */
void kv_editing_export(lua_State *lua);

#endif
