/* kvserver: reads the command line and the configuration, and carries out the action. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/print.h"
#include "daemon/arguments.h"
#include "daemon/config.h"
#include "daemon/print.h"
#include "daemon/export.h"
#include "daemon/granted_prefixes.h"
#include "daemon/hash_token.h"
#include "daemon/import.h"
#include "daemon/listen_tls.h"
#include "daemon/mint_token.h"
#include "daemon/preflight.h"
#include "daemon/restore.h"
#include "daemon/server.h"
#include "daemon/staging.h"
#include "daemon/streams.h"
#include "daemon/unfinished.h"

/* The exit codes besides 0. With EXIT_MISCONFIGURED, a supervisor need not restart the program. */
enum {
    EXIT_AT_RUN_TIME = EXIT_FAILURE,
    EXIT_MISCONFIGURED = 2 /* the command line, or the configuration, is wrong */
};

/* Secrets that the file contains literally are printed only to a regular file, so that the output
 * can be used as it is; other people may see a terminal or a pipe. */
static void print_config(const struct kv_config *config)
{
    struct stat status;
    struct kv_buffer text = {0};
    bool is_file = fstat(STDOUT_FILENO, &status) == 0 && S_ISREG(status.st_mode);
    struct kv_conf_printer printer = {.out = &text, .shows_secrets = is_file};
    kv_config_print(config, false, &printer);
    fwrite(text.bytes, 1, text.len, stdout);
    kv_buffer_fini(&text);
    if (printer.n_literal != 0 && !is_file)
        fprintf(stderr,
                "kvserver: %zu secret%s hidden; printed into a file, or taken from the "
                "environment (${VAR}), the output can be used as it is\n",
                printer.n_literal, printer.n_literal == 1 ? " is" : "s are");
    else if (printer.n_literal != 0 && (status.st_mode & (S_IRGRP | S_IROTH)) != 0)
        fputs("kvserver: the output has secrets in it and others can read it: chmod 600 it\n",
              stderr);
}

static void print_warning(void *user, const char *text)
{
    (void)user;
    fprintf(stderr, "kvserver: warning: %s\n", text);
}

/* Warnings about settings that are not faults. */
static void warn(const struct kv_config *config)
{
    struct kv_error text;
    kv_granted_prefixes_warn(config, print_warning, NULL);
    for (size_t i = 0; i < config->n_listen; i++) {
        struct kv_tls *tls = config->listen[i].tls.is_given ? kv_listen_tls_open(config, i) : NULL;
        if (tls != NULL && kv_listen_tls_ends_soon(config, i, tls, &text))
            print_warning(NULL, text.text);
        kv_tls_destroy(tls);
    }
}

static int check_config(struct kv_config *config, const char *path)
{
    if (kv_preflight_thoroughly(config) != 0)
        return KV_MISCONFIGURED;
    warn(config);
    printf("%s: the configuration is valid\n", path == NULL ? "defaults" : path);
    return 0;
}

/* Faults are reported before anything is served. */
static int serve(struct kv_config *config, struct kv_import *import, struct kv_error *reterr)
{
    if (kv_preflight(config) != 0)
        return KV_MISCONFIGURED;
    return kv_server_run(config, import, reterr);
}

/* An incomplete store is not served. */
static int serve_whole(struct kv_config *config, struct kv_import *import, struct kv_error *reterr)
{
    return kv_unfinished_refuse(config, reterr) == 0 ? serve(config, import, reterr) : -1;
}

static int serve_restored(struct kv_config *config, struct kv_error *reterr)
{
    if (kv_preflight(config) != 0)
        return KV_MISCONFIGURED;
    return kv_staging_apply(config, reterr) == 0 ? serve_whole(config, NULL, reterr) : -1;
}

static bool is_durable(const struct kv_config *config)
{
    return (config->store.module->identity->capabilities & KV_STORE_DURABLE) != 0;
}

static int import(struct kv_config *config, const char *path, struct kv_error *reterr)
{
    if (kv_staging_refuse_others(config, path, reterr) != 0)
        return -1;
    struct kv_import *import = kv_import_open(path, config, reterr);
    int result = -1;
    if (import == NULL)
        return -1;
    if (is_durable(config) && !kv_import_has_input(import))
        kv_error_set(reterr, "the standard input is empty, as after an export that failed: nothing "
                             "was imported");
    else if (!is_durable(config) || kv_import_refuse_backup_ahead(import, reterr) == 0)
        result = serve_whole(config, import, reterr);
    kv_import_close(import);
    return result;
}

/* The mark is created before the store, and removed after the store is closed: until then, a power
 * cut may lose loaded data. */
static int serve_marked(struct kv_config *config, struct kv_import *import, const char *path,
                        struct kv_error *reterr)
{
    if (kv_preflight(config) != 0)
        return KV_MISCONFIGURED;
    if (kv_unfinished_mark(config, reterr) != 0)
        return -1;
    struct kv_error error;
    int result = kv_server_run(config, import, reterr);
    if (result == 0)
        return kv_staging_end_restore(config, path, reterr);
    if (kv_restore_demand_new_store(config, &error) == 0)
        kv_unfinished_clear(config, &error); /* no store was created */
    return result;
}

static int restore(struct kv_config *config, const char *path, struct kv_error *reterr)
{
    if (kv_staging_refuse_others(config, path, reterr) != 0 ||
        kv_unfinished_refuse(config, reterr) != 0)
        return -1;
    struct kv_import *import = kv_import_open_backup(path, config, reterr);
    int result = import == NULL ? -1 : serve_marked(config, import, path, reterr);
    kv_import_close(import);
    return result;
}

static int export(const struct kv_config *config, struct kv_error *reterr)
{
    return kv_unfinished_refuse(config, reterr) == 0 ? kv_export_run(config, reterr) : -1;
}

static int act(const struct kv_arguments *arguments, struct kv_config *config,
               struct kv_error *reterr)
{
    switch (arguments->action) {
    case KV_ACTION_PRINT_CONFIG:
        print_config(config);
        return 0;
    case KV_ACTION_CHECK_CONFIG:
        return check_config(config, arguments->config_path);
    case KV_ACTION_MINT_TOKEN:
        return kv_mint_token_run(config, arguments->claims);
    case KV_ACTION_EXPORT:
        return export(config, reterr);
    case KV_ACTION_IMPORT:
        return import(config, arguments->import_path, reterr);
    case KV_ACTION_RESTORE:
        return restore(config, arguments->import_path, reterr);
    default:
        return serve_restored(config, reterr);
    }
}

/* Reports all faults, including those of parts that were not needed yet. */
static void tell_faults(struct kv_config *config)
{
    struct kv_buffer faults = {0};
    if (config->values != NULL)
        kv_preflight_thoroughly(config);
    kv_config_append_faults(config, "kvserver: ", &faults);
    if (faults.len != 0)
        fwrite(faults.bytes, 1, faults.len, stderr);
    kv_buffer_fini(&faults);
}

/* Returns: 0; -1 and *reterr; KV_MISCONFIGURED, after printing the faults. */
static int with_config(const struct kv_arguments *arguments, struct kv_error *reterr)
{
    struct kv_config config;
    int result = KV_MISCONFIGURED;
    if (kv_config_load(arguments->config_path, &config) == 0) {
        kv_log_configure(config.log_level, config.log_format);
        result = act(arguments, &config, reterr);
    }
    if (result == KV_MISCONFIGURED)
        tell_faults(&config);
    kv_config_fini(&config);
    return result;
}

/* Checks that everything printed has been written. */
static int end_output(void)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return EXIT_SUCCESS;
    perror("kvserver: cannot write to the standard output");
    return EXIT_AT_RUN_TIME;
}

/* Whether the action prints its result to standard output. */
static bool is_to_print(enum kv_action action)
{
    return action != KV_ACTION_SERVE && action != KV_ACTION_IMPORT && action != KV_ACTION_RESTORE;
}

int main(int argc, char **argv)
{
    struct kv_arguments arguments;
    struct kv_error error;
    if (kv_streams_occupy() != 0) {
        perror("kvserver: /dev/null, instead of a closed standard stream");
        return EXIT_AT_RUN_TIME;
    }
    if (kv_arguments_parse(argc, argv, &arguments, &error) != 0) {
        fprintf(stderr, "kvserver: %s; see kvserver --help\n", error.text);
        return EXIT_MISCONFIGURED;
    }
    if (is_to_print(arguments.action) && !kv_streams_have_output()) {
        fputs("kvserver: the standard output is closed\n", stderr);
        return EXIT_AT_RUN_TIME;
    }
    if (arguments.action == KV_ACTION_HELP) {
        fputs(kv_usage, stdout);
        return end_output();
    }
    if (arguments.action == KV_ACTION_VERSION) {
        puts("kvserver " KV_VERSION);
        return end_output();
    }
    int result = arguments.action == KV_ACTION_HASH_TOKEN ? kv_hash_token_run(&error)
                                                          : with_config(&arguments, &error);
    if (result == 0)
        return end_output();
    if (result == KV_MISCONFIGURED)
        return EXIT_MISCONFIGURED;
    fprintf(stderr, "kvserver: %s\n", error.text);
    return EXIT_AT_RUN_TIME;
}
