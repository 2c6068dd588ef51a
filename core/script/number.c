#include "script/number.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>

static const char number_type[] = "kv.number";

enum {
    MOST_DIGITS = 17 /* that a double distinguishes */
};

/* The significant digits: without sign, point, exponent, and surrounding zeros. Returns: their
 * number; MOST_DIGITS + 1 if there are more. */
static size_t significant_digits(const char *text, size_t len, char digits[MOST_DIGITS + 1])
{
    size_t n = 0, n_zeros = 0;
    for (size_t i = 0; i < len && text[i] != 'e' && text[i] != 'E'; i++) {
        if (text[i] < '0' || text[i] > '9' || (text[i] == '0' && n == 0))
            continue;
        if (text[i] == '0') {
            n_zeros++;
            continue;
        }
        for (; n_zeros != 0 && n < MOST_DIGITS; n_zeros--)
            digits[n++] = '0';
        if (n >= MOST_DIGITS)
            return MOST_DIGITS + 1;
        digits[n++] = text[i];
    }
    return n;
}

/* Whether the float, written with as many digits as the text, has the same digits. */
static bool is_told_by(double number, const char *text, size_t len)
{
    char digits[MOST_DIGITS + 1], written[64], written_digits[MOST_DIGITS + 1];
    size_t n = significant_digits(text, len, digits);
    if (!isfinite(number) || n > MOST_DIGITS)
        return false;
    if (n == 0)
        return number == 0;
    snprintf(written, sizeof(written), "%.*e", (int)n - 1, number);
    return significant_digits(written, strlen(written), written_digits) == n &&
           memcmp(digits, written_digits, n) == 0;
}

/* Returns: false if it is not an integer, or has more than 64 bits. */
static bool read_integer(const char *text, size_t len, lua_Integer *ret)
{
    bool is_negative = text[0] == '-';
    uint64_t number = 0;
    if (len - is_negative > 19 || (is_negative && text[1] == '0'))
        return false; /* -0 is not an integer */
    for (size_t i = is_negative; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        number = number * 10 + (uint64_t)(text[i] - '0');
    }
    if (number > (uint64_t)LUA_MAXINTEGER + is_negative)
        return false;
    *ret = (lua_Integer)(is_negative ? 0 - number : number);
    return true;
}

/* Pushes a userdata that keeps the text. */
static void push_number_text(lua_State *lua, const char *text, size_t len)
{
    char *copy = lua_newuserdatauv(lua, len + 1, 0);
    memcpy(copy, text, len);
    copy[len] = '\0';
    luaL_setmetatable(lua, number_type);
}

void kv_number_push(lua_State *lua, const char *text, size_t len)
{
    lua_Integer integer;
    char copy[64];
    if (read_integer(text, len, &integer)) {
        lua_pushinteger(lua, integer);
        return;
    }
    if (len < sizeof(copy)) {
        memcpy(copy, text, len);
        copy[len] = '\0';
        double number = strtod(copy, NULL);
        if (is_told_by(number, copy, len)) {
            lua_pushnumber(lua, number);
            return;
        }
    }
    push_number_text(lua, text, len);
}

/* Returns: NULL if the value is not such a userdata. */
const char *kv_number_text(lua_State *lua, int index)
{
    return luaL_testudata(lua, index, number_type);
}

/* Pushes the value; a number's text as its nearest float. */
void kv_number_push_float(lua_State *lua, int index)
{
    const char *text = kv_number_text(lua, index);
    if (text != NULL)
        lua_pushnumber(lua, strtod(text, NULL));
    else
        lua_pushvalue(lua, index);
}

static int number_tostring(lua_State *lua)
{
    lua_pushstring(lua, luaL_checkudata(lua, 1, number_type));
    return 1;
}

static int number_arith(lua_State *lua)
{
    int op = (int)lua_tointeger(lua, lua_upvalueindex(1));
    kv_number_push_float(lua, 1);
    kv_number_push_float(lua, 2);
    if (op == LUA_OPUNM)
        lua_pop(lua, 1);
    lua_arith(lua, op);
    return 1;
}

static int number_compare(lua_State *lua)
{
    int op = (int)lua_tointeger(lua, lua_upvalueindex(1));
    kv_number_push_float(lua, 1);
    kv_number_push_float(lua, 2);
    lua_pushboolean(lua, lua_compare(lua, -2, -1, op));
    return 1;
}

static int number_equals(lua_State *lua)
{
    const char *one = kv_number_text(lua, 1), *other = kv_number_text(lua, 2);
    lua_pushboolean(lua, one != NULL && other != NULL && strcmp(one, other) == 0);
    return 1;
}

void kv_number_init(lua_State *lua)
{
    static const struct {
        const char *name;
        int op;
    } ops[] = {{"__add", LUA_OPADD}, {"__sub", LUA_OPSUB},  {"__mul", LUA_OPMUL},
               {"__div", LUA_OPDIV}, {"__mod", LUA_OPMOD},  {"__pow", LUA_OPPOW},
               {"__unm", LUA_OPUNM}, {"__idiv", LUA_OPIDIV}};
    luaL_newmetatable(lua, number_type);
    for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
        lua_pushinteger(lua, ops[i].op);
        lua_pushcclosure(lua, number_arith, 1);
        lua_setfield(lua, -2, ops[i].name);
    }
    lua_pushinteger(lua, LUA_OPLT);
    lua_pushcclosure(lua, number_compare, 1);
    lua_setfield(lua, -2, "__lt");
    lua_pushinteger(lua, LUA_OPLE);
    lua_pushcclosure(lua, number_compare, 1);
    lua_setfield(lua, -2, "__le");
    lua_pushcfunction(lua, number_equals);
    lua_setfield(lua, -2, "__eq");
    lua_pushcfunction(lua, number_tostring);
    lua_setfield(lua, -2, "__tostring");
    lua_pushboolean(lua, false);
    lua_setfield(lua, -2, "__metatable");
    lua_pop(lua, 1);
}

void kv_number_write(double number, char ret[KV_NUMBER_LONGEST])
{
    for (int digits = isnormal(number) ? 15 : 1; digits <= MOST_DIGITS; digits++) {
        char text[KV_NUMBER_LONGEST]; /* the compiler knows its size */
        snprintf(text, sizeof(text), "%.*g", digits, number);
        memcpy(ret, text, sizeof(text));
        if (strtod(ret, NULL) == number)
            return;
    }
}
