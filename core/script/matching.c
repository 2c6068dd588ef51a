#include "script/matching.h"

#include <string.h>

#include <lauxlib.h>

#include "script/budget.h"
#include "script/pattern.h"

/* ---- arguments ---- */

static struct kv_slice check_text(lua_State *lua, int index)
{
    struct kv_slice text;
    text.bytes = luaL_checklstring(lua, index, &text.len);
    return text;
}

/* The position where the search begins; beyond the end of the text if there is nothing to search.
 * Negative positions count from the end. */
static size_t opt_start(lua_State *lua, int index, size_t len)
{
    lua_Integer place = luaL_optinteger(lua, index, 1);
    if (place > 0)
        return (size_t)place - 1;
    return place == 0 || place < -(lua_Integer)len ? 0 : len - (size_t)-place;
}

/* ---- captures ---- */

/* Capture 0 of a pattern without captures is the whole match. */
static void push_capture(lua_State *lua, const struct kv_pattern *pattern, struct kv_slice subject,
                         const struct kv_match *match, int capture)
{
    if (capture >= pattern->n_captures)
        lua_pushlstring(lua, match->from, (size_t)(match->to - match->from));
    else if (match->captures[capture].is_place)
        lua_pushinteger(lua, match->captures[capture].from - subject.bytes + 1);
    else
        lua_pushlstring(lua, match->captures[capture].from, match->captures[capture].len);
}

/* Pushes all captures, or the whole match if there are none. Returns: their number. */
static int push_captures(lua_State *lua, const struct kv_pattern *pattern, struct kv_slice subject,
                         const struct kv_match *match)
{
    int n = pattern->n_captures == 0 ? 1 : pattern->n_captures;
    luaL_checkstack(lua, n, "too many captures");
    for (int i = 0; i < n; i++)
        push_capture(lua, pattern, subject, match, i);
    return n;
}

/* ---- find and match ---- */

static bool is_plain(struct kv_slice pattern)
{
    for (size_t i = 0; i < pattern.len; i++)
        if (pattern.bytes[i] != '\0' && strchr("^$*+?.([%-", pattern.bytes[i]) != NULL)
            return false;
    return true;
}

static int find_plain(lua_State *lua, struct kv_slice subject, size_t start, struct kv_slice text)
{
    const char *from = subject.bytes + start;
    const char *found = memmem(from, subject.len - start, text.bytes, text.len);
    size_t n_passed = found == NULL ? subject.len - start : (size_t)(found - from);
    kv_budget_charge(lua, n_passed + text.len);
    if (found == NULL) {
        luaL_pushfail(lua);
        return 1;
    }
    lua_pushinteger(lua, found - subject.bytes + 1);
    lua_pushinteger(lua, found - subject.bytes + (lua_Integer)text.len);
    return 2;
}

static int find(lua_State *lua)
{
    struct kv_slice subject = check_text(lua, 1), text = check_text(lua, 2);
    size_t start = opt_start(lua, 3, subject.len);
    struct kv_pattern pattern;
    struct kv_match match;
    if (start > subject.len) {
        luaL_pushfail(lua);
        return 1;
    }
    if (lua_toboolean(lua, 4) || is_plain(text))
        return find_plain(lua, subject, start, text);
    kv_pattern_push(lua, text, true, &pattern);
    if (!kv_pattern_find(lua, &pattern, subject, subject.bytes + start, &match)) {
        luaL_pushfail(lua);
        return 1;
    }
    lua_pushinteger(lua, match.from - subject.bytes + 1);
    lua_pushinteger(lua, match.to - subject.bytes);
    return pattern.n_captures == 0 ? 2 : 2 + push_captures(lua, &pattern, subject, &match);
}

static int match(lua_State *lua)
{
    struct kv_slice subject = check_text(lua, 1), text = check_text(lua, 2);
    size_t start = opt_start(lua, 3, subject.len);
    struct kv_pattern pattern;
    struct kv_match match;
    kv_pattern_push(lua, text, true, &pattern);
    if (start > subject.len ||
        !kv_pattern_find(lua, &pattern, subject, subject.bytes + start, &match)) {
        luaL_pushfail(lua);
        return 1;
    }
    return push_captures(lua, &pattern, subject, &match);
}

/* ---- iterating over matches ---- */

struct walk {
    struct kv_pattern pattern;
    struct kv_slice subject;
    const char *at;   /* NULL: at the end */
    const char *last; /* the end of the previous match; NULL: none */
};

/* An empty match does not count if the previous match ended there. */
static bool step(lua_State *lua, struct walk *walk, struct kv_match *ret)
{
    const char *end = walk->subject.bytes + walk->subject.len;
    while (walk->at != NULL && kv_pattern_find(lua, &walk->pattern, walk->subject, walk->at, ret)) {
        bool counts = ret->to != walk->last;
        walk->at = ret->to;
        walk->last = ret->to;
        if (counts)
            return true;
        walk->at = ret->to == end ? NULL : ret->from + 1;
    }
    walk->at = NULL;
    return false;
}

static int next_match(lua_State *lua)
{
    struct walk *walk = lua_touserdata(lua, lua_upvalueindex(3));
    struct kv_match match;
    if (!step(lua, walk, &match))
        return 0;
    return push_captures(lua, &walk->pattern, walk->subject, &match);
}

static int gmatch(lua_State *lua)
{
    struct kv_slice subject = check_text(lua, 1), text = check_text(lua, 2);
    size_t start = opt_start(lua, 3, subject.len);
    lua_settop(lua, 2);
    struct walk *walk = lua_newuserdatauv(lua, sizeof(*walk), 0);
    kv_pattern_push(lua, text, false, &walk->pattern);
    walk->subject = subject;
    walk->at = start > subject.len ? NULL : subject.bytes + start;
    walk->last = NULL;
    lua_pushcclosure(lua, next_match, 4);
    return 1;
}

/* ---- gsub ---- */

struct substitution {
    lua_State *lua;
    struct walk walk;
    struct kv_slice text; /* the replacement, if it is a string */
    luaL_Buffer out;
};

/* at: after a % in a replacement. */
static void add_escaped(struct substitution *sub, const struct kv_match *match, const char *at,
                        const char *end)
{
    lua_State *lua = sub->lua;
    int n_captures = sub->walk.pattern.n_captures;
    if (at < end && *at == '%') {
        luaL_addchar(&sub->out, '%');
        return;
    }
    if (at == end || *at < '0' || *at > '9')
        luaL_error(lua, "invalid use of '%%' in replacement string");
    int capture = *at - '1';
    if (capture > 0 && capture >= n_captures)
        luaL_error(lua, "invalid capture index %%%d in replacement string", capture + 1);
    if (capture < 0) {
        luaL_addlstring(&sub->out, match->from, (size_t)(match->to - match->from));
        return;
    }
    push_capture(lua, &sub->walk.pattern, sub->walk.subject, match, capture);
    luaL_tolstring(lua, -1, NULL);
    lua_remove(lua, -2);
    luaL_addvalue(&sub->out);
}

static void add_text(struct substitution *sub, const struct kv_match *match)
{
    const char *at = sub->text.bytes, *end = at + sub->text.len;
    kv_budget_charge(sub->lua, sub->text.len);
    while (at < end) {
        const char *escape = memchr(at, '%', (size_t)(end - at));
        if (escape == NULL) {
            luaL_addlstring(&sub->out, at, (size_t)(end - at));
            return;
        }
        luaL_addlstring(&sub->out, at, (size_t)(escape - at));
        add_escaped(sub, match, escape + 1, end);
        at = escape + 2;
    }
}

/* Adds the result of a table or a function for the match; nil and false keep the match. */
static bool add_looked_up(struct substitution *sub, const struct kv_match *match)
{
    lua_State *lua = sub->lua;
    kv_budget_charge_call(lua);
    if (lua_istable(lua, 3)) {
        push_capture(lua, &sub->walk.pattern, sub->walk.subject, match, 0);
        lua_gettable(lua, 3);
    } else {
        lua_pushvalue(lua, 3);
        lua_call(lua, push_captures(lua, &sub->walk.pattern, sub->walk.subject, match), 1);
    }
    if (!lua_toboolean(lua, -1)) {
        lua_pop(lua, 1);
        luaL_addlstring(&sub->out, match->from, (size_t)(match->to - match->from));
        return false;
    }
    if (!lua_isstring(lua, -1))
        luaL_error(lua, "invalid replacement value (a %s)", luaL_typename(lua, -1));
    luaL_addvalue(&sub->out);
    return true;
}

/* Returns: whether the match was replaced. */
static bool replace(struct substitution *sub, const struct kv_match *match)
{
    if (sub->text.bytes == NULL)
        return add_looked_up(sub, match);
    add_text(sub, match);
    return true;
}

/* Returns: the number of matches. *ret_last: the end of the last one. */
static lua_Integer replace_all(struct substitution *sub, lua_Integer most, bool *ret_changed,
                               const char **ret_last)
{
    lua_Integer n = 0;
    struct kv_match match;
    *ret_last = sub->walk.subject.bytes;
    *ret_changed = false;
    while (n < most && step(sub->lua, &sub->walk, &match)) {
        luaL_addlstring(&sub->out, *ret_last, (size_t)(match.from - *ret_last));
        *ret_changed = replace(sub, &match) || *ret_changed;
        *ret_last = match.to;
        n++;
        if (sub->walk.pattern.is_anchored)
            break;
    }
    return n;
}

static int gsub(lua_State *lua)
{
    struct substitution sub = {.lua = lua};
    struct kv_slice subject = check_text(lua, 1), text = check_text(lua, 2);
    int type = lua_type(lua, 3);
    lua_Integer most = luaL_optinteger(lua, 4, (lua_Integer)subject.len + 1);
    const char *last;
    bool is_changed;
    luaL_argexpected(lua,
                     type == LUA_TNUMBER || type == LUA_TSTRING || type == LUA_TFUNCTION ||
                         type == LUA_TTABLE,
                     3, "string/function/table");
    if (type == LUA_TNUMBER || type == LUA_TSTRING)
        sub.text = check_text(lua, 3);
    kv_pattern_push(lua, text, true, &sub.walk.pattern);
    sub.walk.subject = subject;
    sub.walk.at = subject.bytes;
    luaL_buffinit(lua, &sub.out);
    lua_Integer n = replace_all(&sub, most, &is_changed, &last);
    luaL_addlstring(&sub.out, last, (size_t)(subject.bytes + subject.len - last));
    luaL_pushresult(&sub.out);
    if (!is_changed)
        lua_pushvalue(lua, 1);
    lua_pushinteger(lua, n);
    return 2;
}

void kv_matching_export(lua_State *lua)
{
    static const luaL_Reg functions[] = {
        {"find", find}, {"match", match}, {"gmatch", gmatch}, {"gsub", gsub}, {NULL, NULL}};
    luaL_setfuncs(lua, functions, 0);
}
