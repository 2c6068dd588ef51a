/*
 * A running hook: a coroutine of the state, its budget, and the request that it waits for.
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
    KV_REQUEST_ANSWER, /* an UPDATE continues: its function has been applied, or the value written
                        */
    KV_REQUEST_SCAN
};

/* The request for which a coroutine yielded. The coroutine owns the key, until it continues. */
struct kv_request {
    enum kv_request_kind kind;
    struct kv_slice key;
    bool ttl_is_given; /* SET (whose value is in the call's `text`) and UPDATE */
    int64_t ttl_ms;
    uint32_t cond;
    uint64_t if_revision;
    int64_t by;             /* INCR */
    struct kv_slice cursor; /* SCAN, whose prefix is the key; the coroutine owns it, too */
    uint32_t max_keys;
    bool wants_values;
};

/* The value that functions of kv.update() change, one after the other. */
struct kv_edit {
    struct kv_item old; /* the state that was read; revision 0: missing */
    int ref; /* of the value in the registry of their state; LUA_NOREF: not converted to Lua yet */
    bool has_changed;
    bool is_gone;     /* the key has to be deleted */
    bool is_finished; /* the call has to write the value into its text */
    bool is_shared;   /* by several calls: then a fault of the value is not raised in the one that
                         writes it, */
    bool is_no_json;  /* but noted here */
    bool ttl_is_given;
    int64_t ttl_ms;
};

/* The outcome of a request. */
struct kv_outcome {
    const struct kv_command *command; /* NULL: of an INCR or UPDATE */
    const char *fault;                /* INCR, UPDATE: the reason for a failure; NULL: success */
    int64_t sum;                      /* INCR */
    uint64_t revision;                /* 0: of an UPDATE that deleted the key, or changed nothing */
    struct kv_edit *edit;             /* UPDATE, while it is under way; NULL: it has ended */
};

/* resume() and give_up() are called on the call's loop, and may end the call. */
struct kv_script_call {
    struct kv_script_loop *here;
    struct kv_script_state *state; /* a reference; NULL: it has not begun */
    enum kv_hook hook;
    uint32_t depth;                /* number of hooks in the chain that led to it */
    struct kv_slice key;           /* lives as long as the command, or an item */
    struct kv_list in_all;         /* the loop's calls */
    struct kv_coroutine coroutine; /* all zero: none */
    struct kv_script_budget budget;
    int64_t began_ns;
    struct kv_request request;
    const struct kv_outcome *outcome; /* of the request, while the call is being resumed */
    void (*resume)(struct kv_script_call *call, const struct kv_outcome *outcome);
    void (*give_up)(
        struct kv_script_call *call); /* the server is ending: the call does not continue */
    struct kv_origin *origin;         /* of the write that it waits for */
    struct kv_buffer text;
    struct kv_list in_gathering;
    bool has_edited;     /* UPDATE: its function has returned a value */
    struct kv_link link; /* waiting for another call of its key, or ready to begin */

    /* before-hooks */
    struct kv_command *command;
    bool is_suspended; /* the command waits for the verdict */
    bool has_returned;
    bool value_is_new, ttl_is_new;
    int refusal_status;     /* of kv.refuse(); 0: the default */
    int64_t retry_after_ms; /* of kv.refuse(); 0: unknown */
    int64_t new_ttl_ms;

    /* after-hooks: the calls of one key run in order */
    struct kv_table_node in_busy;
    struct kv_queue behind;  /* the calls that wait for this one */
    struct kv_item value;    /* a reference: the new value, or the removed one */
    struct kv_item previous; /* a reference: the value that a set replaced */
    uint64_t revision;
    struct kv_shown *shown; /* taken; NULL: the store did not show the change, but reported it */
};

#endif
