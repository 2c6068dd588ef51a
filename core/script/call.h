/*
 * A hook under way: a coroutine of the state, its budget, and what it waits for.
 */
#ifndef KV_SCRIPT_CALL_H
#define KV_SCRIPT_CALL_H

#include "base/list.h"
#include "base/table.h"
#include "keyspace/keyspace.h"
#include "script/state.h"

struct kv_script_loop;

enum kv_request_kind {
    KV_REQUEST_GET,
    KV_REQUEST_SET,
    KV_REQUEST_DELETE,
    KV_REQUEST_INCR,
    KV_REQUEST_UPDATE,
    KV_REQUEST_ANSWER, /* of an UPDATE: its function has been applied, or the value written */
    KV_REQUEST_SCAN
};

/* What a coroutine yielded for. The key is the coroutine's, until it goes on. */
struct kv_request {
    enum kv_request_kind kind;
    struct kv_slice key;
    bool ttl_is_given; /* SET, whose value is in the call's `text`, and UPDATE */
    int64_t ttl_ms;
    uint32_t cond;
    uint64_t if_revision;
    int64_t by;             /* INCR */
    struct kv_slice cursor; /* SCAN, whose prefix is the key; the coroutine's, too */
    uint32_t max_keys;
    bool wants_values;
};

/* What functions of kv.update() make of a value, one after the other. */
struct kv_edit {
    struct kv_item old; /* as it was read; revision 0: missing */
    int ref;            /* of the value in the registry of their state; LUA_NOREF: not in Lua yet */
    bool has_changed;
    bool is_gone;     /* the key is to be deleted */
    bool is_finished; /* the call is to write the value into its text */
    bool is_shared;   /* by several calls: that one does not raise what is wrong with the value */
    bool is_no_json;  /* but says so */
    bool ttl_is_given;
    int64_t ttl_ms;
};

/* The outcome of a request. */
struct kv_outcome {
    const struct kv_command *command; /* NULL: of INCR or UPDATE */
    const char *fault;                /* of these: why not; NULL: it was done */
    int64_t sum;                      /* INCR */
    uint64_t revision;                /* 0: of an UPDATE that deleted the key, or altered nothing */
    struct kv_edit *edit;             /* UPDATE, before it has ended; NULL: it has */
};

/* The call's own functions are called on its loop, and may end it. */
struct kv_script_call {
    struct kv_script_loop *here;
    struct kv_script_state *state; /* a reference; NULL: it has not begun */
    enum kv_hook hook;
    uint32_t depth;                /* of hooks that led to what it is called for */
    struct kv_slice key;           /* alive with the command, or an item */
    struct kv_list in_all;         /* of the loop */
    struct kv_coroutine coroutine; /* all zero: none */
    struct kv_script_budget budget;
    int64_t began_ns;
    struct kv_request request;
    const struct kv_outcome *outcome; /* of the request, while it goes on */
    void (*resume)(struct kv_script_call *call, const struct kv_outcome *outcome);
    void (*give_up)(struct kv_script_call *call); /* the server is ending: it does not go on */
    struct kv_origin *origin;                     /* of the write that it waits for */
    struct kv_buffer text;
    struct kv_list in_gathering;
    bool has_edited;     /* UPDATE: its function has returned something */
    struct kv_link link; /* behind another call of its key, or ready to begin */

    /* before-hooks */
    struct kv_command *command;
    bool is_suspended; /* the keyspace waits for the verdict */
    bool has_returned;
    bool value_is_new, ttl_is_new;
    int refusal_status;     /* of kv.refuse(); 0: the usual one */
    int64_t retry_after_ms; /* the same; 0: not known */
    int64_t new_ttl_ms;

    /* after-hooks: of one key, in order */
    struct kv_table_node in_busy;
    struct kv_queue behind;  /* the calls that wait for this one */
    struct kv_item value;    /* a reference: what was set, or taken away */
    struct kv_item previous; /* a reference: what a set replaced */
    uint64_t revision;
    struct kv_shown *shown; /* taken; NULL: the store has told the change */
};

#endif
