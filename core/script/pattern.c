/*
 * A pattern has no alternatives: so the capture that a parenthesis opens or closes is known at
 * compile time, and once an attempt has reached an item, every earlier capture is set. Only
 * repetitions need backtracking, which uses recursion.
 */
#include "script/pattern.h"

#include <string.h>

#include <lauxlib.h>

#include "script/budget.h"

enum {
    MOST_REPETITIONS = 200, /* in a pattern: they nest on the stack */
    STEPS_A_CHARGE = 4096,
    WORK_A_STEP = 4 /* bytes */
};

/* ---- sets of characters ---- */

/* Letters are those of the C locale; all are ASCII. */
static const struct class
{
    char letter;
    uint64_t low, high;
} classes[] = {
    {'a', 0, UINT64_C(0x07fffffe07fffffe)},
    {'c', UINT64_C(0x00000000ffffffff), UINT64_C(0x8000000000000000)},
    {'d', UINT64_C(0x03ff000000000000), 0},
    {'g', UINT64_C(0xfffffffe00000000), UINT64_C(0x7fffffffffffffff)},
    {'l', 0, UINT64_C(0x07fffffe00000000)},
    {'p', UINT64_C(0xfc00fffe00000000), UINT64_C(0x78000001f8000001)},
    {'s', UINT64_C(0x0000000100003e00), 0},
    {'u', 0, UINT64_C(0x0000000007fffffe)},
    {'w', UINT64_C(0x03ff000000000000), UINT64_C(0x07fffffe07fffffe)},
    {'x', UINT64_C(0x03ff000000000000), UINT64_C(0x0000007e0000007e)},
    {'z', 1, 0}, /* of Lua 5.1, and still accepted by the library */
};

static void add(struct kv_pattern_set *set, unsigned char letter)
{
    set->words[letter >> 6] |= UINT64_C(1) << (letter & 63);
}

static bool has(const struct kv_pattern_set *set, char letter)
{
    unsigned char byte = (unsigned char)letter;
    return (set->words[byte >> 6] >> (byte & 63) & 1) != 0;
}

static void invert(struct kv_pattern_set *set)
{
    for (int i = 0; i < 4; i++)
        set->words[i] = ~set->words[i];
}

/* Adds what % and this letter mean: a class, its complement, or the letter itself. */
static void add_escaped(struct kv_pattern_set *set, char letter)
{
    bool is_complement = letter >= 'A' && letter <= 'Z';
    for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
        if (classes[i].letter != (is_complement ? letter | 0x20 : letter))
            continue;
        struct kv_pattern_set class = {{classes[i].low, classes[i].high, 0, 0}};
        if (is_complement)
            invert(&class);
        for (int k = 0; k < 4; k++)
            set->words[k] |= class.words[k];
        return;
    }
    add(set, (unsigned char)letter);
}

/* ---- compiling ---- */

struct compiler {
    lua_State *lua;
    const char *at, *end;
    struct kv_pattern *pattern;
    struct kv_pattern_item *next;
    uint32_t open, closed; /* a bit for each capture */
    int n_repetitions;
};

static struct kv_pattern_item *add_item(struct compiler *compiler, enum kv_pattern_kind kind)
{
    struct kv_pattern_item *item = compiler->next++;
    *item = (struct kv_pattern_item){.kind = (uint8_t)kind};
    return item;
}

/* Reads the contents of brackets, from after the opening one. The first character belongs to the
 * set, whatever it is. */
static void read_brackets(struct compiler *compiler, struct kv_pattern_set *set)
{
    const char *at = compiler->at, *end = compiler->end;
    bool is_complement = at < end && *at == '^';
    at += is_complement;
    for (bool is_first = true; is_first || at == end || *at != ']'; is_first = false) {
        if (at == end || (*at == '%' && at + 1 == end))
            luaL_error(compiler->lua, "malformed pattern (missing ']')");
        if (*at == '%') {
            add_escaped(set, at[1]);
            at += 2;
        } else if (end - at > 2 && at[1] == '-' && at[2] != ']' && at[2] != '%') {
            for (int letter = (unsigned char)at[0]; letter <= (unsigned char)at[2]; letter++)
                add(set, (unsigned char)letter);
            at += 3;
        } else {
            add(set, (unsigned char)*at++);
        }
    }
    compiler->at = at + 1;
    if (is_complement)
        invert(set);
}

/* Reads one character, a class, or a set. */
static void read_set(struct compiler *compiler, struct kv_pattern_set *set)
{
    char letter = *compiler->at++;
    if (letter == '[') {
        read_brackets(compiler, set);
    } else if (letter == '.') {
        invert(set);
    } else if (letter != '%') {
        add(set, (unsigned char)letter);
    } else {
        if (compiler->at == compiler->end)
            luaL_error(compiler->lua, "malformed pattern (ends with '%%')");
        add_escaped(set, *compiler->at++);
    }
}

static void add_repetition(struct compiler *compiler, enum kv_pattern_kind kind,
                           const struct kv_pattern_set *set)
{
    if (++compiler->n_repetitions > MOST_REPETITIONS)
        luaL_error(compiler->lua, "pattern too complex");
    add_item(compiler, kind)->set = *set;
    compiler->at++;
}

static void compile_set(struct compiler *compiler)
{
    struct kv_pattern_set set = {{0}};
    read_set(compiler, &set);
    switch (compiler->at < compiler->end ? *compiler->at : '\0') {
    case '+':
        add_item(compiler, KV_PATTERN_ONE)->set = set;
        add_repetition(compiler, KV_PATTERN_MOST, &set);
        return;
    case '*':
        add_repetition(compiler, KV_PATTERN_MOST, &set);
        return;
    case '-':
        add_repetition(compiler, KV_PATTERN_LEAST, &set);
        return;
    case '?':
        add_repetition(compiler, KV_PATTERN_OPTIONAL, &set);
        return;
    default:
        add_item(compiler, KV_PATTERN_ONE)->set = set;
    }
}

static void compile_open(struct compiler *compiler)
{
    struct kv_pattern *pattern = compiler->pattern;
    int capture = pattern->n_captures++;
    bool is_place = ++compiler->at < compiler->end && *compiler->at == ')';
    if (capture == KV_PATTERN_CAPTURES) {
        luaL_error(compiler->lua, "too many captures");
        return;
    }
    *(is_place ? &compiler->closed : &compiler->open) |= UINT32_C(1) << capture;
    compiler->at += is_place;
    add_item(compiler, is_place ? KV_PATTERN_PLACE : KV_PATTERN_OPEN)->capture = (uint8_t)capture;
}

/* Closes the last open capture. */
static void compile_close(struct compiler *compiler)
{
    if (compiler->open == 0)
        luaL_error(compiler->lua, "invalid pattern capture");
    int capture = 31 - __builtin_clz(compiler->open);
    compiler->open &= ~(UINT32_C(1) << capture);
    compiler->closed |= UINT32_C(1) << capture;
    compiler->at++;
    add_item(compiler, KV_PATTERN_CLOSE)->capture = (uint8_t)capture;
}

static void compile_same(struct compiler *compiler)
{
    int capture = compiler->at[1] - '1';
    if (capture < 0 || (compiler->closed >> capture & 1) == 0)
        luaL_error(compiler->lua, "invalid capture index %%%d", capture + 1);
    compiler->at += 2;
    add_item(compiler, KV_PATTERN_SAME)->capture = (uint8_t)capture;
}

static void compile_balanced(struct compiler *compiler)
{
    if (compiler->end - compiler->at < 4)
        luaL_error(compiler->lua, "malformed pattern (missing arguments to '%%b')");
    struct kv_pattern_item *item = add_item(compiler, KV_PATTERN_BALANCED);
    item->open = compiler->at[2];
    item->close = compiler->at[3];
    compiler->at += 4;
}

static void compile_frontier(struct compiler *compiler)
{
    compiler->at += 2;
    if (compiler->at == compiler->end || *compiler->at != '[')
        luaL_error(compiler->lua, "missing '[' after '%%f' in pattern");
    read_set(compiler, &add_item(compiler, KV_PATTERN_FRONTIER)->set);
}

static void compile_escape(struct compiler *compiler)
{
    char letter = compiler->end - compiler->at < 2 ? '\0' : compiler->at[1];
    if (letter == 'b')
        compile_balanced(compiler);
    else if (letter == 'f')
        compile_frontier(compiler);
    else if (letter >= '0' && letter <= '9')
        compile_same(compiler);
    else
        compile_set(compiler);
}

static void compile_item(struct compiler *compiler)
{
    switch (*compiler->at) {
    case '(':
        compile_open(compiler);
        return;
    case ')':
        compile_close(compiler);
        return;
    case '%':
        compile_escape(compiler);
        return;
    case '$':
        if (compiler->at + 1 == compiler->end) {
            compiler->at++;
            add_item(compiler, KV_PATTERN_AT_END);
            return;
        }
        compile_set(compiler);
        return;
    default:
        compile_set(compiler);
    }
}

/* A character makes at most one item, and the end another one. */
static struct kv_pattern_item *push_items(lua_State *lua, size_t len, struct kv_pattern *pattern)
{
    if (len < KV_PATTERN_FEW) {
        lua_pushnil(lua);
        return pattern->few;
    }
    return lua_newuserdatauv(lua, (len + 1) * sizeof(struct kv_pattern_item), 0);
}

void kv_pattern_push(lua_State *lua, struct kv_slice text, bool may_be_anchored,
                     struct kv_pattern *ret)
{
    kv_budget_charge(lua, text.len * WORK_A_STEP);
    ret->is_anchored = may_be_anchored && text.len != 0 && text.bytes[0] == '^';
    ret->n_captures = 0;
    ret->items = push_items(lua, text.len, ret);
    struct compiler compiler = {.lua = lua,
                                .at = text.bytes + ret->is_anchored,
                                .end = text.bytes + text.len,
                                .pattern = ret,
                                .next = ret->items};
    while (compiler.at < compiler.end)
        compile_item(&compiler);
    if (compiler.open != 0)
        luaL_error(lua, "unfinished capture");
    add_item(&compiler, KV_PATTERN_DONE);
}

/* ---- matching ---- */

struct matcher {
    lua_State *lua;
    const char *begin, *end; /* of the subject */
    struct kv_match *match;
    size_t n_steps;
};

static void count_steps(struct matcher *matcher, size_t n)
{
    matcher->n_steps += n;
    if (matcher->n_steps < STEPS_A_CHARGE)
        return;
    size_t work = matcher->n_steps * WORK_A_STEP;
    matcher->n_steps = 0;
    kv_budget_charge(matcher->lua, work);
}

static const char *match_rest(struct matcher *matcher, const struct kv_pattern_item *item,
                              const char *at);

static const char *match_most(struct matcher *matcher, const struct kv_pattern_item *item,
                              const char *at)
{
    const char *most = at;
    while (most < matcher->end && has(&item->set, *most))
        most++;
    count_steps(matcher, (size_t)(most - at));
    for (;; most--) {
        const char *to = match_rest(matcher, item + 1, most);
        if (to != NULL || most == at)
            return to;
    }
}

static const char *match_least(struct matcher *matcher, const struct kv_pattern_item *item,
                               const char *at)
{
    for (;; at++) {
        const char *to = match_rest(matcher, item + 1, at);
        if (to != NULL)
            return to;
        if (at == matcher->end || !has(&item->set, *at))
            return NULL;
    }
}

static const char *match_optional(struct matcher *matcher, const struct kv_pattern_item *item,
                                  const char *at)
{
    const char *to = NULL;
    if (at < matcher->end && has(&item->set, *at))
        to = match_rest(matcher, item + 1, at + 1);
    return to != NULL ? to : match_rest(matcher, item + 1, at);
}

static const char *match_balanced(struct matcher *matcher, const struct kv_pattern_item *item,
                                  const char *from)
{
    size_t depth = 1;
    if (from == matcher->end || *from != item->open)
        return NULL;
    for (const char *at = from + 1; at < matcher->end; at++) {
        if (*at == item->close) {
            if (--depth != 0)
                continue;
            count_steps(matcher, (size_t)(at - from));
            return at + 1;
        }
        depth += *at == item->open;
    }
    count_steps(matcher, (size_t)(matcher->end - from));
    return NULL;
}

static const char *match_same(struct matcher *matcher, int capture, const char *at)
{
    const char *from = matcher->match->captures[capture].from;
    size_t len = matcher->match->captures[capture].len;
    if (matcher->match->captures[capture].is_place || (size_t)(matcher->end - at) < len)
        return NULL;
    count_steps(matcher, len / WORK_A_STEP);
    return memcmp(from, at, len) == 0 ? at + len : NULL;
}

static const char *match_frontier(const struct matcher *matcher, const struct kv_pattern_item *item,
                                  const char *at)
{
    char before = at == matcher->begin ? '\0' : at[-1], after = at == matcher->end ? '\0' : *at;
    return !has(&item->set, before) && has(&item->set, after) ? at : NULL;
}

static const char *set_capture(struct matcher *matcher, const struct kv_pattern_item *item,
                               const char *at)
{
    if (item->kind == KV_PATTERN_CLOSE) {
        matcher->match->captures[item->capture].len =
            (size_t)(at - matcher->match->captures[item->capture].from);
    } else {
        matcher->match->captures[item->capture].from = at;
        matcher->match->captures[item->capture].is_place = item->kind == KV_PATTERN_PLACE;
    }
    return at;
}

/* Matches an item that needs no backtracking. Returns: the position after it; NULL: no match. */
static const char *match_simple(struct matcher *matcher, const struct kv_pattern_item *item,
                                const char *at)
{
    switch ((enum kv_pattern_kind)item->kind) {
    case KV_PATTERN_ONE:
        return at < matcher->end && has(&item->set, *at) ? at + 1 : NULL;
    case KV_PATTERN_SAME:
        return match_same(matcher, item->capture, at);
    case KV_PATTERN_BALANCED:
        return match_balanced(matcher, item, at);
    case KV_PATTERN_FRONTIER:
        return match_frontier(matcher, item, at);
    case KV_PATTERN_AT_END:
        return at == matcher->end ? at : NULL;
    default:
        return set_capture(matcher, item, at);
    }
}

/* Returns: the end of the match of this item and those after it; NULL: no match. */
static const char *match_rest(struct matcher *matcher, const struct kv_pattern_item *item,
                              const char *at)
{
    for (; at != NULL && item->kind != KV_PATTERN_DONE; item++) {
        count_steps(matcher, 1);
        if (item->kind == KV_PATTERN_MOST)
            return match_most(matcher, item, at);
        if (item->kind == KV_PATTERN_LEAST)
            return match_least(matcher, item, at);
        if (item->kind == KV_PATTERN_OPTIONAL)
            return match_optional(matcher, item, at);
        at = match_simple(matcher, item, at);
    }
    return at;
}

static struct matcher matcher_of(lua_State *lua, struct kv_slice subject, struct kv_match *match)
{
    return (struct matcher){
        .lua = lua, .begin = subject.bytes, .end = subject.bytes + subject.len, .match = match};
}

bool kv_pattern_find(lua_State *lua, const struct kv_pattern *pattern, struct kv_slice subject,
                     const char *at, struct kv_match *ret)
{
    struct matcher matcher = matcher_of(lua, subject, ret);
    const char *last = pattern->is_anchored ? at : matcher.end;
    ret->to = NULL;
    for (; ret->to == NULL && at <= last; at++) {
        ret->from = at;
        ret->to = match_rest(&matcher, pattern->items, at);
    }
    kv_budget_charge(lua, matcher.n_steps * WORK_A_STEP);
    return ret->to != NULL;
}
