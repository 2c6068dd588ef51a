/*
 * check(): it finds the faults that would make open() fail, and changes nothing.
 */
#include "contract/store/fixture.h"

#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "contract/store/options.h"
#include "contract/store/sum.h"

/* The faults that a check found. */
struct found {
    struct kv_faults faults;
    size_t n;
    char option[64]; /* of the last one */
};

static void add(const struct kv_faults *faults, const char *option, const char *format, ...)
{
    struct found *found = KV_CONTAINER((uintptr_t)faults, struct found, faults);
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    assert_true(text[0] != '\0');
    snprintf(found->option, sizeof(found->option), "%s", option);
    found->n++;
}

static struct found check(const struct fixture *fixture, const struct kv_option_value *values)
{
    struct found found = {.faults = {.size = sizeof(found.faults), .add = add}};
    fixture->ops->check(values, &found.faults);
    return found;
}

static struct fixture *checked(void **state)
{
    struct fixture *fixture = *state;
    if (fixture->ops->check == NULL)
        skip(); /* the schema covers everything */
    return fixture;
}

/* Returns: the index of the option that names the folder to write in; n_options if there is
 * none. */
static size_t folder_option(void)
{
    const struct kv_module *module = fixture_module();
    size_t i = 0;
    while (i < module->n_options && (module->options[i].flags & KV_OPTION_FOLDER) == 0)
        i++;
    return i;
}

static void open_store_is_not_a_fault(void **state)
{
    struct fixture *fixture = checked(state);
    struct kv_option_value *values = fixture_options(fixture->folder);
    put(fixture, KV_SLICE("key"), KV_SLICE("1"));
    assert_int_equal(check(fixture, values).n, 0);
    options_destroy(fixture_module(), values);
    assert_holds(fixture, KV_SLICE("key"), KV_SLICE("1"));
}

static void missing_store_is_not_a_fault_and_is_not_created(void **state)
{
    struct fixture *fixture = checked(state);
    char folder[] = "/tmp/kv-checked-XXXXXX";
    assert_non_null(mkdtemp(folder));
    struct kv_option_value *values = fixture_options(folder);
    assert_int_equal(check(fixture, values).n, 0);
    options_destroy(fixture_module(), values);
    assert_int_equal(rmdir(folder), 0); /* it is empty */
}

static void write_notes(const char *folder, char *path, size_t size)
{
    snprintf(path, size, "%s/notes", folder);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    fputs("of somebody else\n", file);
    assert_int_equal(fclose(file), 0);
}

/* A folder that contains foreign files; open() must leave it unchanged, too. */
static void folder_with_foreign_files_is_a_fault_of_its_option(void **state)
{
    struct fixture *fixture = checked(state);
    size_t place = folder_option();
    char folder[] = "/tmp/kv-checked-XXXXXX", notes[64];
    if (place == fixture_module()->n_options)
        skip(); /* the store has no folder */
    assert_non_null(mkdtemp(folder));
    struct kv_option_value *values = fixture_options(folder);
    const char *path = values[place].string.bytes;
    assert_true(strcmp(path, folder) == 0 || mkdir(path, 0700) == 0);
    write_notes(path, notes, sizeof(notes));
    uint64_t before = folder_sum(folder);
    struct found found = check(fixture, values);
    struct kv_store *store = NULL;
    struct kv_error error;
    assert_int_equal(fixture->ops->open(&fixture->host, values, &store, &error), -1);
    assert_int_equal(folder_sum(folder), before);
    unlink(notes);
    if (strcmp(path, folder) != 0)
        rmdir(path);
    assert_int_equal(rmdir(folder), 0);
    options_destroy(fixture_module(), values);
    assert_int_equal(found.n, 1);
    assert_string_equal(found.option, fixture_module()->options[place].name);
}

int run_check_tests(void)
{
    const struct CMUnitTest tests[] = {
        CONTRACT_TEST(open_store_is_not_a_fault),
        CONTRACT_TEST(missing_store_is_not_a_fault_and_is_not_created),
        CONTRACT_TEST(folder_with_foreign_files_is_a_fault_of_its_option),
    };
    return cmocka_run_group_tests_name("check", tests, NULL, NULL);
}
