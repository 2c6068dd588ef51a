/*
 * Lua's patterns (§6.4.1 of its manual), matched under a budget: Lua's own matcher cannot be
 * interrupted, and a pattern with k repetitions may take len^k steps.
 *
 * A pattern is compiled into a sequence of items before it is used, so that its faults are raised
 * whatever the subject.
 */
#ifndef KV_SCRIPT_PATTERN_H
#define KV_SCRIPT_PATTERN_H

#include <kvserver/types.h>

#include <lua.h>

enum {
    KV_PATTERN_CAPTURES = 32,
    KV_PATTERN_FEW = 24 /* number of items that need no extra memory */
};

enum kv_pattern_kind {
    KV_PATTERN_ONE,      /* a character of the set */
    KV_PATTERN_MOST,     /* as many as possible */
    KV_PATTERN_LEAST,    /* as few as possible */
    KV_PATTERN_OPTIONAL, /* one or none */
    KV_PATTERN_OPEN,     /* a capture begins */
    KV_PATTERN_CLOSE,    /* a capture ends */
    KV_PATTERN_PLACE,    /* a capture of the position */
    KV_PATTERN_SAME,     /* the text of an earlier capture */
    KV_PATTERN_BALANCED, /* from an opening character to the closing one that balances it */
    KV_PATTERN_FRONTIER, /* between a character outside of the set and one in it */
    KV_PATTERN_AT_END,
    KV_PATTERN_DONE
};

struct kv_pattern_set {
    uint64_t words[4]; /* a bit for each character */
};

struct kv_pattern_item {
    uint8_t kind; /* enum kv_pattern_kind */
    uint8_t capture;
    char open, close;
    struct kv_pattern_set set;
};

struct kv_pattern {
    bool is_anchored;
    int n_captures;
    struct kv_pattern_item *items; /* `few`, or in a userdata */
    struct kv_pattern_item few[KV_PATTERN_FEW];
};

struct kv_match {
    const char *from, *to;
    struct {
        const char *from;
        size_t len;
        bool is_place;
    } captures[KV_PATTERN_CAPTURES];
};

/* Compiles the pattern, and pushes a value that has to live as long as the pattern is used.
 * may_be_anchored: whether a leading ^ anchors it to the beginning of the subject.
 * *ret contains pointers to itself: it must not be moved. Raises an error if the pattern is
 * faulty. */
void kv_pattern_push(lua_State *lua, struct kv_slice text, bool may_be_anchored,
                     struct kv_pattern *ret);

/* Whether the pattern matches at this position of the subject, or at a later one; only here if it
 * is anchored. Raises an error if the budget is spent. */
bool kv_pattern_find(lua_State *lua, const struct kv_pattern *pattern, struct kv_slice subject,
                     const char *at, struct kv_match *ret);

#endif
