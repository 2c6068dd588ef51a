/* store_contract <module.so> [option=value …]: the whole suite on one store. */
#include "contract/store/fixture.h"

int main(int argc, char **argv)
{
    struct kv_loaded_module *module;
    struct kv_error error;
    if (argc < 2) {
        fprintf(stderr, "usage: %s <module.so> [option=value ...]\n", argv[0]);
        return 2;
    }
    if (kv_module_load_file(argv[1], KV_MODULE_STORE, &module, &error) != 0) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    fixture_configure(module, argc - 2, argv + 2);
    int n_failed = run_command_tests() + run_condition_tests() + run_expiry_tests() +
                   run_order_tests() + run_scan_tests() + run_random_tests() + run_thread_tests() +
                   run_linear_tests() + run_reading_tests() + run_check_tests() +
                   run_metrics_tests() + run_update_tests() + run_seek_tests() +
                   run_long_key_tests() + run_revision_tests() + run_log_tests() +
                   run_showing_tests() + run_recall_tests();
    kv_module_unload(module);
    return n_failed == 0 ? 0 : 1;
}
