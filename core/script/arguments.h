/*
 * Checks the arguments that scripts pass to functions of kv. Each function raises an error if they
 * are not as expected.
 */
#ifndef KV_SCRIPT_ARGUMENTS_H
#define KV_SCRIPT_ARGUMENTS_H

#include "script/call.h"

/* The hook that calls the function. kv_argument_waiter() also checks that it may wait. */
struct kv_script_call *kv_argument_hook(lua_State *lua, const char *function);
struct kv_script_call *kv_argument_waiter(lua_State *lua, const char *function);

/* Checks that the hook may write: that not too many hooks are under way, or lead to one another. */
void kv_argument_check_may_write(lua_State *lua, const struct kv_script_call *call);

/* The bytes are lent, as long as the string stays on the stack. */
struct kv_slice kv_argument_key(lua_State *lua, int index);

/* In UTF-8 and without a zero byte. */
const char *kv_argument_text(lua_State *lua, int index);

/* A TTL in milliseconds: a number of them, or a duration. */
int64_t kv_argument_ttl(lua_State *lua, int index);

/* Checks that the options are a table, or absent, with no other names than these;
 * NULL-terminated. */
void kv_argument_check_options(lua_State *lua, int index, const char *const names[]);

/* Pushes the option. Returns: whether it is given. */
bool kv_argument_push_option(lua_State *lua, int index, const char *name);

#endif
