/*
 * What the files of this folder share.
 *
 * A script has a current state on each loop (state.c). A hook under way is a call: a coroutine of
 * the state, its budget, and what it waits for (call.c). What hooks ask of the keyspace is
 * described by a request (api.c) and made a command, and the after-hooks of a key follow one
 * another (hooks.c). kv.incr() gathers what is to be added to one key (counter.c). Which changes
 * come from hooks is known by origin.c.
 *
 * Lua raises errors by longjmp(), also where memory is out: whatever may raise runs within
 * kv_state_protect() or a coroutine, and owns nothing that only C knows of.
 */
#ifndef KV_SCRIPT_IMPL_H
#define KV_SCRIPT_IMPL_H

#include <pthread.h>
#include <stdatomic.h>

#include <lua.h>

#include "base/buffer.h"
#include "base/mem.h"
#include "base/list.h"
#include "base/table.h"
#include "script/budget.h"
#include "script/scripts.h"

enum kv_hook {
    KV_HOOK_BEFORE_SET,
    KV_HOOK_BEFORE_DELETE,
    KV_HOOK_ON_SET,
    KV_HOOK_ON_DELETE,
    KV_HOOK_ON_EXPIRE,
    KV_N_HOOKS
};

extern const char *const kv_hook_names[KV_N_HOOKS];

struct kv_script_call;
struct kv_script_loop;

/* ---- state.c: a script, compiled, for one loop ---- */

struct kv_coroutine {
    lua_State *lua;
    int ref; /* of the registry, which keeps it */
};

enum {
    KV_SCRIPT_IDLE = 256,
    KV_SCRIPT_PROTECTED = 64
};

struct kv_script_state {
    struct kv_script_meter meter;
    lua_State *lua;
    const struct kv_script_config *config;
    uint32_t n_refs; /* its script's, and one for each call; the loop's thread only */
    struct {
        int function; /* a reference of the registry; LUA_NOREF: there is no such hook */
        int n_parameters;
    } hooks[KV_N_HOOKS];
    struct kv_script_call *running; /* the one whose Lua is being run; NULL: none */
    struct kv_buffer scratch;
    struct kv_slice protected[KV_SCRIPT_PROTECTED]; /* prefixes of keys that clients can't write */
    size_t n_protected;
    struct kv_coroutine idle[KV_SCRIPT_IDLE]; /* that have ended well, kept for the next calls */
    size_t n_idle;
};

/* Compiles the script's text. is_ending: as in budget.h. Returns: NULL and *reterr, with file and
 * line. */
struct kv_script_state *kv_state_create(const struct kv_script_config *config,
                                        struct kv_slice source, const atomic_bool *is_ending,
                                        struct kv_error *reterr);
void kv_state_unref(struct kv_script_state *state); /* accepts NULL */

/* Runs a C function with one argument, a light userdata, and no results.
 * Returns: whether it did not raise; otherwise *reterr says what. */
bool kv_state_protect(struct kv_script_state *state, int (*function)(lua_State *lua),
                      void *argument, struct kv_error *reterr);

/* Writes what a raised error says. */
void kv_state_tell_error(lua_State *lua, int index, struct kv_error *ret);

/* The state that a lua_State belongs to. */
static inline struct kv_script_state *kv_state_of(lua_State *lua)
{
    return KV_CONTAINER(kv_meter_of(lua), struct kv_script_state, meter);
}

static inline bool kv_state_has(const struct kv_script_state *state, enum kv_hook hook)
{
    return state->hooks[hook].n_parameters >= 0;
}

/* Has the state keep clients from writing keys that begin with the string at `index`. May raise. */
void kv_state_protect_keys(lua_State *lua, int index);

/* Whether on_set() has a fourth parameter. */
static inline bool kv_state_wants_previous(const struct kv_script_state *state)
{
    return state->hooks[KV_HOOK_ON_SET].n_parameters >= 4;
}

/* ---- call.c: a hook under way ---- */

enum kv_request_kind {
    KV_REQUEST_GET,
    KV_REQUEST_SET,
    KV_REQUEST_DELETE,
    KV_REQUEST_INCR
};

/* What a coroutine yielded for. The key is the coroutine's, until it goes on. */
struct kv_request {
    enum kv_request_kind kind;
    struct kv_slice key;
    bool ttl_is_given; /* SET, whose value is in the call's `text` */
    int64_t ttl_ms;
    uint32_t cond;
    uint64_t if_revision;
    int64_t by; /* INCR */
};

/* What it came to. */
struct kv_outcome {
    const struct kv_command *command; /* NULL: of INCR */
    const char *fault;                /* INCR: why not; NULL: it was done */
    int64_t sum;
    uint64_t revision;
};

enum kv_call_state {
    KV_CALL_WAITS, /* for what its request says */
    KV_CALL_DONE,
    KV_CALL_REFUSED, /* by kv.refuse() */
    KV_CALL_FAILED
};

struct kv_script_call {
    struct kv_script_loop *here;
    struct kv_script_state *state; /* a reference; NULL: it has not begun */
    enum kv_hook hook;
    uint32_t depth;                /* of hooks that led to what it is called for */
    struct kv_slice key;           /* alive with the command, or an item */
    struct kv_list in_all;         /* of the loop */
    struct kv_coroutine coroutine; /* all zero: none */
    struct kv_script_budget budget;
    struct kv_request request;
    const struct kv_outcome *outcome; /* of the request, while it goes on */
    struct kv_origin *origin;         /* of the write that it waits for */
    struct kv_buffer text;
    struct kv_list in_counter;
    struct kv_link link; /* behind another call of its key, or ready to begin */

    /* before-hooks */
    struct kv_command *command;
    bool is_suspended; /* the keyspace waits for the verdict */
    bool has_returned;
    bool value_is_new, ttl_is_new;
    int64_t new_ttl_ms;

    /* after-hooks: of one key, in order */
    struct kv_table_node in_busy;
    struct kv_queue behind;  /* the calls that wait for this one */
    struct kv_item value;    /* a reference: what was set, or taken away */
    struct kv_item previous; /* a reference: what a set replaced */
    uint64_t revision;
};

/* Begins the hook, or lets it go on with the outcome of what it waited for.
 * ret_why: the fault, or the reason of a refusal. */
enum kv_call_state kv_call_start(struct kv_script_call *call, struct kv_error *ret_why);
enum kv_call_state kv_call_resume(struct kv_script_call *call, const struct kv_outcome *outcome,
                                  struct kv_error *ret_why);

/* Frees what Lua has of it. */
void kv_call_drop_coroutine(struct kv_script_call *call);

/* ---- api.c: the table kv ---- */

/* Sets kv's functions, options included, in the table at the top. May raise. */
void kv_api_export(lua_State *lua, const struct kv_script_config *config);

/* Pushes the arguments of the call's hook, or what a request came to. Return how many; may raise.
 */
int kv_api_push_arguments(lua_State *lua, struct kv_script_call *call);
int kv_api_push_outcome(lua_State *lua, const struct kv_script_call *call);

/* Reads a TTL: a number of milliseconds, or a duration. Raises what is wrong. */
int64_t kv_api_check_ttl(lua_State *lua, int index);

/* Whether the error was raised by kv.refuse(); then the reason is in the call's `text`. */
bool kv_api_is_refusal(lua_State *lua, int index);

/* ---- hooks.c ---- */

/* At most so many lines a second. */
struct kv_script_pace {
    int64_t since_ms;
    uint32_t n_told, n_untold;
};

struct kv_script_loop {
    struct kv_script *script;
    struct kv_keyspace_loop *keyspace_loop;
    struct kv_script_state *state;
    struct kv_script_state *_Atomic next; /* compiled anew, on its way */
    struct kv_post take_next;
    struct kv_post run_ready;
    bool run_ready_is_posted;
    struct kv_queue ready;    /* after-hooks that may begin */
    struct kv_table busy;     /* after-hooks that have not ended, one for each key */
    struct kv_table counters; /* counter.c */
    struct kv_list all;       /* every call */
    struct kv_list spare;     /* the memory of some that have ended */
    uint32_t n_spare;
    uint32_t n_pending;       /* after-hooks that have not ended, those behind others included */
    _Atomic uint32_t n_calls; /* written by this loop alone */
    bool holds_writes;
    struct kv_script_pace errors, lines;
};

struct kv_script {
    struct kv_scripts *scripts;
    const struct kv_script_config *config;
    struct kv_interceptor interceptor;
    struct kv_script_loop *loops;
};

struct kv_scripts {
    size_t n;
    struct kv_script *all;
    uint32_t n_loops;
    struct kv_observer observer;
    struct kv_keyspace *keyspace;
    struct kv_origins *origins;
    atomic_bool is_ending; /* no hook begins or goes on any more */
};

enum kv_verdict kv_hooks_before_write(struct kv_interceptor *interceptor,
                                      struct kv_command *command);
void kv_hooks_on_change(struct kv_observer *observer, struct kv_keyspace_loop *loop,
                        const struct kv_change *change);
void kv_hooks_run_ready(struct kv_post *post);

/* What the call waited for has come. */
void kv_hooks_resume(struct kv_script_call *call, const struct kv_outcome *outcome);

/* Ends the call without letting it go on: the server is ending. */
void kv_hooks_give_up(struct kv_script_call *call);

/* Forgets every call of the loop. */
void kv_hooks_forget_all(struct kv_script_loop *here);

/* Of kv.log(). */
void kv_hooks_log(struct kv_script_loop *here, enum kv_log_level level, const char *text);

/* ---- counter.c: kv.incr() ---- */

/* Takes the call up; kv_hooks_resume() will bring what it came to. */
void kv_counter_add(struct kv_script_call *call);

/* ---- origin.c: which changes come from hooks ---- */

struct kv_origins;

/* A write of a hook that is under way, or whose change has not been seen. */
struct kv_origin;

struct kv_origins *kv_origins_create(void);
void kv_origins_destroy(struct kv_origins *origins); /* accepts NULL */

/* Before the write is sent. Threads: all of these, any. */
struct kv_origin *kv_origins_begin(struct kv_origins *origins, struct kv_slice key, uint32_t depth);

/* The write has ended. revision: of its change; 0 where there was none. */
void kv_origins_end(struct kv_origins *origins, struct kv_origin *origin, uint64_t revision);

/* A change is seen: each is once, those of a key in their order. Returns: its depth, 0 where no
 * hook made it. */
uint32_t kv_origins_see(struct kv_origins *origins, struct kv_slice key, uint64_t revision);

#endif
