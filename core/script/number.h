/*
 * JSON numbers in Lua: integers of 64 bits, floats where the text is what the float says, and a
 * userdata that keeps the text of any other.
 */
#ifndef KV_SCRIPT_NUMBER_H
#define KV_SCRIPT_NUMBER_H

#include <stddef.h>

#include <lua.h>

enum {
    KV_NUMBER_LONGEST = 64 /* bytes, of a float that is written */
};

/* Makes the metatable. May raise. */
void kv_number_init(lua_State *lua);

/* text: a number as JSON writes it. May raise. */
void kv_number_push(lua_State *lua, const char *text, size_t len);

/* Returns: the text that the value keeps; NULL where it is none of these userdata. */
const char *kv_number_text(lua_State *lua, int index);

/* Pushes the value, one that is kept as its text as the nearest float. */
void kv_number_push_float(lua_State *lua, int index);

/* Writes a finite float with as few digits as tell it. */
void kv_number_write(double number, char ret[KV_NUMBER_LONGEST]);

#endif
