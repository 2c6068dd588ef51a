/* kvserver: reads the command line and the configuration, and does what they say. */
#include <stdio.h>
#include <stdlib.h>

#include "daemon/arguments.h"
#include "daemon/chain.h"
#include "daemon/config.h"
#include "daemon/export.h"
#include "daemon/import.h"
#include "daemon/outlets.h"
#include "daemon/scripting.h"
#include "daemon/server.h"
#include "daemon/streams.h"

/* The exit codes besides 0. A supervisor need not start the program again after the second. */
enum {
    EXIT_AT_RUN_TIME = EXIT_FAILURE,
    EXIT_MISCONFIGURED = 2 /* the command line, or the configuration, is wrong */
};

static int print_config(const struct kv_config *config)
{
    struct kv_buffer text = {0};
    kv_config_print(config, &text);
    fwrite(text.bytes, 1, text.len, stdout);
    kv_buffer_fini(&text);
    return 0;
}

/* Policies and sinks say in their open() what no schema can, and scripts when they are compiled. */
static int check_config(const struct kv_config *config, const char *path, struct kv_error *reterr)
{
    struct kv_chain *chain = kv_chain_open(config, reterr);
    struct kv_outlets *outlets = chain == NULL ? NULL : kv_outlets_open(config, reterr);
    struct kv_scripts *scripts = outlets == NULL ? NULL : kv_scripting_load(config, 1, reterr);
    bool is_valid = scripts != NULL;
    kv_scripts_destroy(scripts);
    kv_outlets_close(outlets);
    kv_chain_close(chain);
    if (!is_valid)
        return KV_MISCONFIGURED;
    printf("%s: the configuration is valid\n", path == NULL ? "defaults" : path);
    return 0;
}

static int import(const struct kv_config *config, const char *path, struct kv_error *reterr)
{
    struct kv_import *import = kv_import_open(path, config, reterr);
    if (import == NULL)
        return -1;
    int result = kv_server_run(config, import, reterr);
    kv_import_close(import);
    return result;
}

static int act(const struct kv_arguments *arguments, const struct kv_config *config,
               struct kv_error *reterr)
{
    switch (arguments->action) {
    case KV_ACTION_PRINT_CONFIG:
        return print_config(config);
    case KV_ACTION_CHECK_CONFIG:
        return check_config(config, arguments->config_path, reterr);
    case KV_ACTION_EXPORT:
        return kv_export_run(config, reterr);
    case KV_ACTION_IMPORT:
        return import(config, arguments->import_path, reterr);
    default:
        return kv_server_run(config, NULL, reterr);
    }
}

static int with_config(const struct kv_arguments *arguments, struct kv_error *reterr)
{
    struct kv_config config;
    if (kv_config_load(arguments->config_path, &config, reterr) != 0)
        return KV_MISCONFIGURED;
    kv_log_configure(config.log_level, config.log_format);
    int result = act(arguments, &config, reterr);
    kv_config_fini(&config);
    return result;
}

/* What was printed must have arrived. */
static int end_output(void)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return EXIT_SUCCESS;
    perror("kvserver: cannot write to the standard output");
    return EXIT_AT_RUN_TIME;
}

/* Whether what the action is for goes to the standard output. */
static bool is_to_print(enum kv_action action)
{
    return action != KV_ACTION_SERVE && action != KV_ACTION_IMPORT;
}

int main(int argc, char **argv)
{
    struct kv_arguments arguments;
    struct kv_error error;
    if (kv_streams_occupy() != 0) {
        perror("kvserver: /dev/null, in place of a standard stream that is closed");
        return EXIT_AT_RUN_TIME;
    }
    if (kv_arguments_parse(argc, argv, &arguments, &error) != 0) {
        fprintf(stderr, "kvserver: %s\n%s", error.text, kv_usage);
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
    int result = with_config(&arguments, &error);
    if (result == 0)
        return end_output();
    fprintf(stderr, "kvserver: %s\n", error.text);
    return result == KV_MISCONFIGURED ? EXIT_MISCONFIGURED : EXIT_AT_RUN_TIME;
}
