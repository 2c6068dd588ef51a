/*
 * JSON numbers in Lua: integers of 64 bits, floats if a float represents the text exactly, and for
 * all others a userdata that keeps the text.
 */
#ifndef KV_SCRIPT_NUMBER_H
#define KV_SCRIPT_NUMBER_H

#include <stddef.h>

#include <lua.h>

enum {
    KV_NUMBER_LONGEST = 64 /* bytes of a float's text */
};

/* Makes the metatable. May raise. */
void kv_number_init(lua_State *lua);

/* text: a number in JSON. May raise. */
void kv_number_push(lua_State *lua, const char *text, size_t len);

/* Returns: the text that the userdata keeps; NULL if the value is not such a userdata. */
const char *kv_number_text(lua_State *lua, int index);

/* Pushes the value; a userdata as its nearest float. */
void kv_number_push_float(lua_State *lua, int index);

/* Writes a finite float with as few digits as identify it. */
void kv_number_write(double number, char ret[KV_NUMBER_LONGEST]);

#endif
