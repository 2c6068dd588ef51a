/*
 * JSON values in Lua, and back, without losing anything on the way:
 *
 *   null            kv.null (a light userdata; true in conditions, as all but nil and false)
 *   true, false     booleans
 *   numbers         integers of 64 bits; floats where the text is what the float says; all others
 *                   (1e400, 123456789012345678901, 0.1234567890123456789) a userdata that keeps the
 *                   text, compares, and takes part in arithmetic as the nearest float
 *   strings         strings in UTF-8; a lone surrogate as the three bytes that UTF-8 would have
 *   arrays          tables with the metatable kv.array's, so that an empty one stays one
 *   objects         tables; written with their names sorted
 *
 * A table without that metatable is an array where its keys are 1 … n with n > 0, and an object
 * where all keys are strings.
 *
 * Why not jansson: it refuses legal JSON (1e400, a member named "\u0000"), and its tree would be
 * made only to be copied.
 */
#ifndef KV_SCRIPT_VALUE_H
#define KV_SCRIPT_VALUE_H

#include <kvserver/types.h>

#include <lua.h>

#include "base/buffer.h"

enum {
    KV_SCRIPT_MAX_DEPTH = 4096 /* of values that go to Lua or come from it */
};

/* Makes the metatables, and leaves nothing on the stack. May raise. */
void kv_script_values_init(lua_State *lua);

/* Pushes a value that the JSON scanner has passed. May raise: no memory, nested too deep. */
void kv_script_push_json(lua_State *lua, struct kv_slice json);

/* Appends the value at `index` as JSON. May raise, with what cannot be written; then `out` has a
 * part of it, not much longer than `max_bytes`. */
void kv_script_write_json(lua_State *lua, int index, size_t max_bytes, struct kv_buffer *out);

/* What of kv makes and tells values: null, array, is_array, tonumber, encode, decode. On the table
 * at the top. */
void kv_script_values_export(lua_State *lua);

#endif
