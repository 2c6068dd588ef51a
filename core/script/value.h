/*
 * Converts JSON values to Lua and back without loss:
 *
 *   null            kv.null (a light userdata; true in conditions, like all but nil and false)
 *   true, false     booleans
 *   numbers         integers of 64 bits; floats if a float represents the text exactly; all others
 *                   (1e400, 123456789012345678901, 0.1234567890123456789) a userdata that keeps the
 *                   text, compares, and takes part in arithmetic as the nearest float
 *   strings         strings in UTF-8; a lone surrogate as the three bytes that UTF-8 would have
 *   arrays          tables with kv.array's metatable, so that an empty one stays an array
 *   objects         tables; written with their names sorted
 *
 * A table without that metatable is an array if its keys are 1 … n with n > 0, and an object if all
 * keys are strings.
 *
 * jansson is not used because it refuses legal JSON (1e400, a member named "\u0000"), and its tree
 * would only be built to be copied.
 */
#ifndef KV_SCRIPT_VALUE_H
#define KV_SCRIPT_VALUE_H

#include <kvserver/types.h>

#include <lua.h>

#include "base/buffer.h"

enum {
    KV_SCRIPT_MAX_DEPTH = 4096 /* of values that are converted to or from Lua */
};

/* Creates the metatables, and leaves nothing on the stack. May raise. */
void kv_script_values_init(lua_State *lua);

/* Pushes a value that has passed the JSON scanner. May raise: no memory, nested too deep. */
void kv_script_push_json(lua_State *lua, struct kv_slice json);

/* Appends the value at `index` as JSON. May raise, with the reason why it cannot be converted; then
 * `out` has a part of it, not much longer than `max_bytes`. */
void kv_script_write_json(lua_State *lua, int index, size_t max_bytes, struct kv_buffer *out);

/* Sets the functions and values of kv for JSON: null, array, is_array, tonumber, encode, decode. In
 * the table at the top. */
void kv_script_values_export(lua_State *lua);

#endif
