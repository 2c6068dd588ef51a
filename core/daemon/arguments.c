/* A few long options, and -c; by getopt_long, with messages of our own. */
#include "daemon/arguments.h"

#include <getopt.h>

const char kv_usage[] =
    "usage: kvserver [-c FILE] [--check-config | --print-config | --version | --help]\n"
    "\n"
    "  -c, --config FILE   the configuration, a YAML file; without it, all defaults\n"
    "      --check-config  check the configuration, modules and their options included, and exit\n"
    "      --print-config  print the configuration with the defaults filled in, and exit\n"
    "      --version       print the version, and exit\n"
    "  -h, --help          print this, and exit\n";

static const struct option options[] = {
    {"config", required_argument, NULL, 'c'}, {"check-config", no_argument, NULL, 'k'},
    {"print-config", no_argument, NULL, 'p'}, {"version", no_argument, NULL, 'V'},
    {"help", no_argument, NULL, 'h'},         {0},
};

int kv_arguments_parse(int argc, char **argv, struct kv_arguments *ret, struct kv_error *reterr)
{
    struct kv_arguments arguments = {.action = KV_ACTION_SERVE};
    opterr = 0;
    for (int option; (option = getopt_long(argc, argv, ":c:h", options, NULL)) != -1;) {
        switch (option) {
        case 'c':
            arguments.config_path = optarg;
            break;
        case 'k':
            arguments.action = KV_ACTION_CHECK_CONFIG;
            break;
        case 'p':
            arguments.action = KV_ACTION_PRINT_CONFIG;
            break;
        case 'V':
            arguments.action = KV_ACTION_VERSION;
            break;
        case 'h':
            arguments.action = KV_ACTION_HELP;
            break;
        case ':':
            return kv_error_set(reterr, "%s needs a value", argv[optind - 1]);
        default:
            return kv_error_set(reterr, "unknown option %s", argv[optind - 1]);
        }
    }
    if (optind < argc)
        return kv_error_set(reterr, "unexpected argument %s", argv[optind]);
    *ret = arguments;
    return 0;
}
