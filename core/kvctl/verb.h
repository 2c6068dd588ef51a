/*
 * A verb of kvctl, and a call of it.
 */
#ifndef KV_KVCTL_VERB_H
#define KV_KVCTL_VERB_H

#include "base/buffer.h"
#include "kvctl/exit_code.h"
#include "kvctl/option.h"

enum kv_ctl_format {
    KV_CTL_TEXT,
    KV_CTL_JSON,
    KV_CTL_JSONL,
    KV_CTL_RAW
};

struct kv_ctl_http;
struct kv_ctl_verb;

/* The parsed command line. */
struct kv_ctl_arguments {
    const char
        *options[KV_CTL_N_OPTIONS]; /* the value; NULL: not given; for a flag, its own name */
    const char **prefixes;          /* every --prefix */
    size_t n_prefixes;
    const char **operands; /* NULL-terminated */
    size_t n_operands;
};

/* One run of the program. */
struct kv_ctl_call {
    const struct kv_ctl_verb *verbs; /* all verbs; the one after the last has no name */
    const struct kv_ctl_verb *verb;
    struct kv_ctl_arguments arguments;
    enum kv_ctl_format format;
    int64_t timeout_ms;       /* the longest silence of a server */
    struct kv_ctl_http *http; /* the server; NULL: the verb needs none */
};

/* Constant. */
struct kv_ctl_verb {
    const char *name;
    const char *operands; /* for help: "KEY VALUE" */
    const char *summary;  /* a line */
    const char *help;     /* further lines, or NULL */
    uint32_t least, most; /* operands */
    uint32_t options;     /* KV_CTL_OPTION() of its options besides the common ones */
    const char *words;    /* permitted first operands, separated by blanks; NULL: any */
    bool takes_files;     /* its operands are file names */
    bool is_local;        /* it needs no server */
    /* Returns: the exit code; failures have been reported. */
    int (*run)(struct kv_ctl_call *call);
};

#define KV_CTL_ANY_NUMBER UINT32_MAX

static inline bool kv_ctl_has(const struct kv_ctl_call *call, enum kv_ctl_option_id option)
{
    return call->arguments.options[option] != NULL;
}

#endif
