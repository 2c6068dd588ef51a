/*
 * The options of kvctl: one table, which is used to parse the command line and to generate help and
 * completions.
 */
#ifndef KV_KVCTL_OPTION_H
#define KV_KVCTL_OPTION_H

#include <stdbool.h>
#include <stdint.h>

enum kv_ctl_option_id {
    /* for every verb */
    KV_CTL_OUTPUT,
    KV_CTL_URL,
    KV_CTL_CONTEXT,
    KV_CTL_TOKEN_FILE,
    KV_CTL_CACERT,
    KV_CTL_CERT,
    KV_CTL_CERT_KEY,
    KV_CTL_TIMEOUT,
    KV_CTL_QUIET,
    KV_CTL_HELP,
    KV_CTL_N_COMMON,
    /* for some verbs */
    KV_CTL_JSON_KEYS = KV_CTL_N_COMMON,
    KV_CTL_TTL,
    KV_CTL_STRING,
    KV_CTL_IF_REVISION,
    KV_CTL_IF_ABSENT,
    KV_CTL_PREFIX,
    KV_CTL_DELIMITER,
    KV_CTL_VALUES,
    KV_CTL_LONG,
    KV_CTL_COUNT,
    KV_CTL_LIMIT,
    KV_CTL_INITIAL,
    KV_CTL_SINCE,
    KV_CTL_EPOCH,
    KV_CTL_FORCE,
    KV_CTL_LIVE,
    KV_CTL_BATCH,
    KV_CTL_CONNECTIONS,
    KV_CTL_DURATION,
    KV_CTL_KEYS,
    KV_CTL_SIZE,
    KV_CTL_N_OPTIONS
};

#define KV_CTL_OPTION(id) (UINT32_C(1) << (id))
#define KV_CTL_COMMON     (KV_CTL_OPTION(KV_CTL_N_COMMON) - 1)

struct kv_ctl_option {
    const char *name;
    char letter;          /* 0: none */
    const char *argument; /* the name of its value in help, in capitals; NULL: it has no value */
    const char *words;    /* the permitted values, separated by blanks; NULL: any */
    bool is_file;         /* its value is a file name */
    const char *summary;
};

extern const struct kv_ctl_option kv_ctl_options[KV_CTL_N_OPTIONS];

#endif
