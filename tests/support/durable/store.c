#include "support/durable/store.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/client/folder.h"
#include "support/client/stream.h"

void kv_test_store_make(struct kv_test_store *store)
{
    *store = (struct kv_test_store){.disk = kv_test_folder_make()};
    store->path = kv_test_path(store->disk, "deep/data");
    setenv("KV_DISK_ROOT", store->disk, 1);
}

static char *state_path(const struct kv_test_store *store, const char *state)
{
    char *path;
    if (asprintf(&path, "%s.%s", store->disk, state) < 0)
        fail_msg("no memory");
    return path;
}

void kv_test_store_set(const struct kv_test_store *store, const char *state, bool is_so)
{
    char *path = state_path(store, state);
    if (is_so)
        kv_test_file_write(path, KV_SLICE(""));
    else
        unlink(path);
    free(path);
}

void kv_test_store_remove(struct kv_test_store *store)
{
    kv_test_folder_remove(store->disk);
    free(store->disk);
    free(store->path);
    *store = (struct kv_test_store){0};
}

/* ThreadSanitizer leaves little address space for a map. */
static const char *small_options(const char *module, const char *options)
{
    if (strcmp(module, "rocksdb") == 0)
        return ", journal: 64KiB, write_buffer: 64KiB, block_cache: 64KiB";
    return strstr(options, "map_size:") != NULL ? ", journal: 64KiB"
                                                : ", journal: 64KiB, map_size: 16GiB";
}

char *kv_test_store_yaml(const struct kv_test_store *store, const char *options)
{
    struct kv_buffer yaml = {0};
    const char *module = getenv("KV_TEST_STORE");
    kv_buffer_printf(&yaml,
                     "listen: [{host: 127.0.0.1, port: %%port}]\nthreads: 2\nmodules: %s\n"
                     "storage: {module: %s, %s: {path: %s, cache: 64KiB%s%s}}\n",
                     getenv("KV_TEST_MODULES"), module, module, store->path,
                     small_options(module, options), options);
    kv_buffer_append_char(&yaml, '\0');
    return yaml.bytes;
}

void kv_test_store_start(struct kv_test_store *store, const char *options)
{
    char *yaml = kv_test_store_yaml(store, options);
    kv_test_server_start(&store->server, yaml);
    free(yaml);
}

/* After an orderly shutdown, a store does not need its journal. An empty file is one of a segment
 * that was never started, and determines its number. */
void kv_test_store_begin_at(struct kv_test_store *store, uint64_t number)
{
    char name[64];
    kv_test_store_start(store, "");
    kv_test_server_stop_cleanly(&store->server);
    snprintf(name, sizeof(name), "journal/%06ju.journal", (uintmax_t)number);
    char *journal = kv_test_path(store->path, "journal");
    kv_test_folder_empty(journal);
    free(journal);
    char *path = kv_test_path(store->path, name);
    kv_test_file_write(path, KV_SLICE(""));
    free(path);
}

uint64_t kv_test_store_last_number(const struct kv_test_store *store)
{
    uint64_t last = 0;
    char *path = kv_test_path(store->path, "journal");
    DIR *folder = opendir(path);
    assert_non_null(folder);
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        uint64_t number = strtoull(entry->d_name, NULL, 10);
        last = last < number ? number : last;
    }
    closedir(folder);
    free(path);
    return last;
}

/* For a program that uses any free port. Owns: the caller. */
static char *portless_yaml(const struct kv_test_store *store)
{
    char *yaml = kv_test_store_yaml(store, "");
    memcpy(strstr(yaml, "%port"), "0    ", strlen("%port"));
    return yaml;
}

void kv_test_store_export(const struct kv_test_store *store, struct kv_test_outcome *ret)
{
    char *yaml = portless_yaml(store);
    kv_test_program_run_with_file("--export", yaml, ret);
    free(yaml);
}

void kv_test_store_expect_refusal(const struct kv_test_store *store, const char *path,
                                  const char *what)
{
    struct kv_test_program program;
    char *yaml = portless_yaml(store);
    kv_test_program_prepare(&program);
    char *file = kv_test_program_write(&program, "kvserver.yaml", yaml);
    kv_test_program_spawn(&program, (const char *[]){"-c", file, NULL});
    int exit_code = kv_test_program_wait(&program, KV_TEST_LIMIT_MS);
    char *log = kv_test_program_read(&program, "err");
    if ((exit_code != 1 && exit_code != 2) || strstr(log, path) == NULL ||
        strstr(log, what) == NULL)
        fail_msg("exit code %d; expected of %s: %s; its log:\n%s", exit_code, path, what, log);
    kv_test_program_remove(&program);
    free(log);
    free(file);
    free(yaml);
}

uint64_t kv_test_setting(const char *name, uint64_t fallback)
{
    const char *text = getenv(name);
    return text == NULL ? fallback : strtoull(text, NULL, 10);
}
