/* The loader: its results for good modules, and each of its refusals, word for word. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "module/check.h"
#include "module/module.h"

static struct kv_loaded_module *load(enum kv_module_kind kind, const char *name)
{
    struct kv_loaded_module *module = NULL;
    struct kv_error error = {0};
    if (kv_module_load(MODULES, kind, name, &module, &error) != 0)
        fail_msg("%s", error.text);
    return module;
}

/* The message for one of the bad modules, after the path with which it must start. */
static void assert_refused(enum kv_module_kind kind, const char *name, const char *expected)
{
    struct kv_loaded_module *module = NULL;
    struct kv_error error = {0};
    char path[1024];
    snprintf(path, sizeof(path), BAD_MODULES "/%s/%s.so ", kv_module_kind_name(kind), name);
    assert_int_equal(kv_module_load(BAD_MODULES, kind, name, &module, &error), -1);
    assert_null(module);
    assert_int_equal(strncmp(error.text, path, strlen(path)), 0);
    assert_string_equal(error.text + strlen(path), expected);
}

static void assert_store_refused(const char *name, const char *expected)
{
    assert_refused(KV_MODULE_STORE, name, expected);
}

static void store_is_loaded_with_its_identity_and_functions(void **state)
{
    (void)state;
    struct kv_loaded_module *module = load(KV_MODULE_STORE, "simple");
    assert_string_equal(module->identity->name, "simple");
    assert_string_equal(module->path, MODULES "/store/simple.so");
    assert_true((module->identity->capabilities & KV_STORE_ORDERED) != 0);
    assert_non_null(kv_module_store_ops(module)->submit);
    assert_string_equal(module->identity->options[0].name, "max_bytes");
    kv_module_unload(module);
}

static void optional_slot_is_null(void **state)
{
    (void)state;
    struct kv_loaded_module *module = load(KV_MODULE_TTL, "fixed");
    assert_non_null(kv_module_ttl_ops(module)->on_write);
    assert_null(kv_module_ttl_ops(module)->on_read);
    kv_module_unload(module);
}

static void module_loaded_twice_stays_loaded_after_one_unload(void **state)
{
    (void)state;
    struct kv_loaded_module *first = load(KV_MODULE_TTL, "fixed");
    struct kv_loaded_module *second = load(KV_MODULE_TTL, "fixed");
    kv_module_unload(first);
    assert_string_equal(second->identity->version, "1.0");
    kv_module_unload(second);
}

static void unload_accepts_null(void **state)
{
    (void)state;
    kv_module_unload(NULL);
}

static void file_without_a_slash_is_loaded_from_the_working_folder(void **state)
{
    (void)state;
    struct kv_loaded_module *module = NULL;
    char *before = getcwd(NULL, 0);
    assert_int_equal(chdir(MODULES "/ttl"), 0);
    int rc = kv_module_load_file("fixed.so", KV_MODULE_TTL, &module, NULL);
    assert_int_equal(chdir(before), 0);
    free(before);
    assert_int_equal(rc, 0);
    kv_module_unload(module);
}

static void kinds_are_named_like_their_folders(void **state)
{
    (void)state;
    assert_string_equal(kv_module_kind_name(KV_MODULE_STORE), "store");
    assert_string_equal(kv_module_kind_name(KV_MODULE_TTL), "ttl");
    assert_string_equal(kv_module_kind_name(KV_MODULE_SINK), "sink");
    assert_null(kv_module_kind_name((enum kv_module_kind)0));
    assert_null(kv_module_kind_name((enum kv_module_kind)4));
}

static void name_that_is_a_path_is_refused(void **state)
{
    (void)state;
    static const char *const names[] = {"", ".", "..", ".hidden", "/simple", "../store/simple"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct kv_loaded_module *module = NULL;
        struct kv_error error = {0};
        char expected[128];
        snprintf(expected, sizeof(expected), "\"%s\" is not the name of a store module", names[i]);
        assert_int_equal(kv_module_load(MODULES, KV_MODULE_STORE, names[i], &module, &error), -1);
        assert_string_equal(error.text, expected);
    }
}

static void missing_module_is_reported_with_the_available_ones(void **state)
{
    (void)state;
    struct kv_loaded_module *module = NULL;
    struct kv_error error = {0};
    assert_int_equal(kv_module_load(BAD_MODULES, KV_MODULE_TTL, "sliding", &module, &error), -1);
    assert_string_equal(error.text, "no ttl module \"sliding\" in " BAD_MODULES
                                    "/ttl (there are: no_close, renews_nothing; a module "
                                    "whose library is not installed is left out of the build)");
}

static void missing_folder_has_no_modules(void **state)
{
    (void)state;
    struct kv_loaded_module *module = NULL;
    struct kv_error error = {0};
    assert_int_equal(kv_module_load("nowhere", KV_MODULE_SINK, "webhook", &module, &error), -1);
    assert_string_equal(error.text, "the folder of the modules cannot be read: nowhere/sink: "
                                    "No such file or directory");
}

static void module_of_another_kind_is_reported(void **state)
{
    (void)state;
    struct kv_loaded_module *module = NULL;
    struct kv_error error = {0};
    assert_int_equal(kv_module_load(MODULES, KV_MODULE_STORE, "file", &module, &error), -1);
    assert_string_equal(error.text, "file is a sink, not a store");
}

static void missing_file_is_refused_with_the_linkers_message(void **state)
{
    (void)state;
    struct kv_loaded_module *module = NULL;
    struct kv_error error = {0};
    assert_int_equal(kv_module_load_file("nowhere/x.so", KV_MODULE_SINK, &module, &error), -1);
    assert_string_equal(error.text, "nowhere/x.so cannot be loaded: cannot open shared object "
                                    "file: No such file or directory");
}

static void file_that_is_not_a_shared_object_is_refused(void **state)
{
    (void)state;
    assert_store_refused("no_object", "cannot be loaded: file too short");
}

static void shared_object_without_entry_is_refused(void **state)
{
    (void)state;
    assert_store_refused("no_entry",
                         "is no module of this server: it exports no kv_module_entry()");
}

static void entry_that_returns_null_is_refused(void **state)
{
    (void)state;
    assert_store_refused("no_identity", "has an entry that returns nothing");
}

static void other_major_version_is_refused(void **state)
{
    (void)state;
    assert_store_refused("newer_major", "speaks module ABI 2.8, this server 1.8");
}

static void newer_minor_version_is_refused(void **state)
{
    (void)state;
    assert_store_refused("newer_minor", "speaks module ABI 1.9, this server 1.8");
}

static void identity_smaller_than_the_first_one_is_refused(void **state)
{
    (void)state;
    assert_store_refused("small_identity", "has an identity of 16 bytes, module ABI 1.0 one of 64");
}

static void option_smaller_than_the_first_one_is_refused(void **state)
{
    (void)state;
    assert_store_refused("small_option", "describes an option in 8 bytes, module ABI 1.0 in 80");
}

static void module_of_another_kind_is_refused(void **state)
{
    (void)state;
    assert_store_refused("wrong_kind", "is a ttl module, not a store");
}

static void module_of_an_unknown_kind_is_refused(void **state)
{
    (void)state;
    assert_store_refused("unknown_kind",
                         "is of kind 9, which this server does not know (1 is a store)");
}

static void module_without_a_name_is_refused(void **state)
{
    (void)state;
    assert_store_refused("no_name", "does not say its name, and should be \"no_name\"");
}

static void module_with_another_name_than_its_file_is_refused(void **state)
{
    (void)state;
    assert_store_refused("other_name", "calls itself \"another\", its file \"other_name\"");
}

static void module_without_a_version_is_refused(void **state)
{
    (void)state;
    assert_store_refused("no_version", "does not say its version");
}

static void options_counted_but_not_listed_are_refused(void **state)
{
    (void)state;
    assert_store_refused("no_options", "has 3 options and no list of them");
}

static void unknown_capability_is_refused(void **state)
{
    (void)state;
    assert_store_refused("unknown_capability",
                         "claims capabilities 0x8000, a store can have 0x3ff");
}

static void module_without_functions_is_refused(void **state)
{
    (void)state;
    assert_store_refused("no_ops", "has no table of functions");
}

static void table_smaller_than_the_first_one_is_refused(void **state)
{
    (void)state;
    assert_store_refused("small_ops", "has functions in 24 bytes, a store of module ABI 1.0 in 72");
}

static void missing_function_is_named(void **state)
{
    (void)state;
    assert_store_refused("no_submit", "lacks the function submit, which a store must have");
    assert_refused(KV_MODULE_TTL, "no_close",
                   "lacks the function close, which a ttl module must have");
}

static void capability_without_its_function_is_refused(void **state)
{
    (void)state;
    assert_refused(KV_MODULE_TTL, "renews_nothing",
                   "claims capability 0x1, which needs the function on_read");
}

static void function_of_a_later_abi_is_not_required(void **state)
{
    struct kv_loaded_module *module;
    struct kv_error error;
    (void)state;
    assert_store_refused("durable_unread", "claims capability 0x1, which needs the function "
                                           "open_to_read");
    if (kv_module_load(BAD_MODULES, KV_MODULE_STORE, "durable_of_1_2", &module, &error) != 0)
        fail_msg("%s", error.text);
    assert_null(kv_module_store_ops(module)->open_to_read);
    kv_module_unload(module);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(store_is_loaded_with_its_identity_and_functions),
        cmocka_unit_test(optional_slot_is_null),
        cmocka_unit_test(module_loaded_twice_stays_loaded_after_one_unload),
        cmocka_unit_test(unload_accepts_null),
        cmocka_unit_test(file_without_a_slash_is_loaded_from_the_working_folder),
        cmocka_unit_test(kinds_are_named_like_their_folders),
        cmocka_unit_test(name_that_is_a_path_is_refused),
        cmocka_unit_test(missing_module_is_reported_with_the_available_ones),
        cmocka_unit_test(missing_folder_has_no_modules),
        cmocka_unit_test(module_of_another_kind_is_reported),
        cmocka_unit_test(missing_file_is_refused_with_the_linkers_message),
        cmocka_unit_test(file_that_is_not_a_shared_object_is_refused),
        cmocka_unit_test(shared_object_without_entry_is_refused),
        cmocka_unit_test(entry_that_returns_null_is_refused),
        cmocka_unit_test(other_major_version_is_refused),
        cmocka_unit_test(newer_minor_version_is_refused),
        cmocka_unit_test(identity_smaller_than_the_first_one_is_refused),
        cmocka_unit_test(option_smaller_than_the_first_one_is_refused),
        cmocka_unit_test(module_of_another_kind_is_refused),
        cmocka_unit_test(module_of_an_unknown_kind_is_refused),
        cmocka_unit_test(module_without_a_name_is_refused),
        cmocka_unit_test(module_with_another_name_than_its_file_is_refused),
        cmocka_unit_test(module_without_a_version_is_refused),
        cmocka_unit_test(options_counted_but_not_listed_are_refused),
        cmocka_unit_test(unknown_capability_is_refused),
        cmocka_unit_test(module_without_functions_is_refused),
        cmocka_unit_test(table_smaller_than_the_first_one_is_refused),
        cmocka_unit_test(missing_function_is_named),
        cmocka_unit_test(capability_without_its_function_is_refused),
        cmocka_unit_test(function_of_a_later_abi_is_not_required),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
