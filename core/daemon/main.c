/* kvserver: reads the command line and the configuration, and does what they say. */
#include <stdio.h>
#include <stdlib.h>

#include "daemon/arguments.h"
#include "daemon/config.h"
#include "daemon/server.h"

enum {
    EXIT_USAGE = 2
};

static int print_config(const struct kv_config *config)
{
    struct kv_buffer text = {0};
    kv_config_print(config, &text);
    fwrite(text.bytes, 1, text.len, stdout);
    kv_buffer_fini(&text);
    return 0;
}

static int with_config(const struct kv_arguments *arguments, struct kv_error *reterr)
{
    struct kv_config config;
    int result = 0;
    if (kv_config_load(arguments->config_path, &config, reterr) != 0)
        return -1;
    if (arguments->action == KV_ACTION_PRINT_CONFIG) {
        result = print_config(&config);
    } else if (arguments->action == KV_ACTION_CHECK_CONFIG) {
        printf("%s: the configuration is valid\n",
               arguments->config_path == NULL ? "defaults" : arguments->config_path);
    } else {
        kv_log_configure(config.log_level, config.log_format);
        result = kv_server_run(&config, reterr);
    }
    kv_config_fini(&config);
    return result;
}

/* What was printed must have arrived. */
static int end_output(void)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return EXIT_SUCCESS;
    perror("kvserver: cannot write to the standard output");
    return EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    struct kv_arguments arguments;
    struct kv_error error;
    if (kv_arguments_parse(argc, argv, &arguments, &error) != 0) {
        fprintf(stderr, "kvserver: %s\n%s", error.text, kv_usage);
        return EXIT_USAGE;
    }
    if (arguments.action == KV_ACTION_HELP) {
        fputs(kv_usage, stdout);
        return end_output();
    }
    if (arguments.action == KV_ACTION_VERSION) {
        puts("kvserver " KV_VERSION);
        return end_output();
    }
    if (with_config(&arguments, &error) == 0)
        return end_output();
    fprintf(stderr, "kvserver: %s\n", error.text);
    return EXIT_FAILURE;
}
