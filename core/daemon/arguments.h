/*
 * The command line.
 */
#ifndef KV_DAEMON_ARGUMENTS_H
#define KV_DAEMON_ARGUMENTS_H

#include <kvserver/types.h>

enum kv_action {
    KV_ACTION_SERVE,
    KV_ACTION_CHECK_CONFIG,
    KV_ACTION_PRINT_CONFIG,
    KV_ACTION_EXPORT,
    KV_ACTION_IMPORT,
    KV_ACTION_RESTORE,
    KV_ACTION_HASH_TOKEN,
    KV_ACTION_MINT_TOKEN,
    KV_ACTION_VERSION,
    KV_ACTION_HELP,
};

struct kv_arguments {
    enum kv_action action;
    const char *config_path; /* NULL: defaults only */
    const char *import_path; /* IMPORT, RESTORE; `-`: standard input, for an IMPORT */
    const char *claims;      /* MINT_TOKEN */
};

int kv_arguments_parse(int argc, char **argv, struct kv_arguments *ret, struct kv_error *reterr);

extern const char kv_usage[];

#endif
