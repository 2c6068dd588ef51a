#include "faults.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "fixture.h"
#include "support/client/folder.h"

enum {
    MISCONFIGURED = 2
};

static void check(const char *yaml, struct kv_test_program *program,
                  struct kv_test_outcome *ret_outcome)
{
    kv_test_program_prepare(program);
    char *text = kv_test_with_modules(yaml);
    char *path = kv_test_program_write(program, "kvserver.yaml", text);
    char *folder = kv_test_path(program->folder, "dir");
    assert_int_equal(mkdir(folder, 0700), 0);
    kv_test_program_run((const char *[]){"-c", path, "--check-config", NULL}, ret_outcome);
    free(folder);
    free(path);
    free(text);
}

char *kv_test_faults_of(const char *yaml)
{
    struct kv_test_outcome outcome;
    struct kv_test_program program;
    struct kv_buffer said = {0};
    check(yaml, &program, &outcome);
    assert_int_equal(outcome.exit_code, outcome.err[0] == '\0' ? 0 : MISCONFIGURED);
    size_t len = strlen(program.folder);
    for (const char *at = outcome.err; *at != '\0';) {
        bool is_folder = strncmp(at, program.folder, len) == 0;
        kv_buffer_append(&said, is_folder ? KV_SLICE("%s") : (struct kv_slice){at, 1});
        at += is_folder ? len : 1;
    }
    kv_buffer_append_char(&said, '\0');
    kv_test_outcome_fini(&outcome);
    kv_test_program_remove(&program);
    return said.bytes;
}

void kv_test_expect_faults(const char *yaml, const char *const faults[], size_t n)
{
    char *said = kv_test_faults_of(yaml);
    struct kv_buffer expected = {0};
    for (size_t i = 0; i < n; i++)
        kv_buffer_printf(&expected, "kvserver: %%s/kvserver.yaml:1:%s\n", faults[i]);
    kv_buffer_append_char(&expected, '\0');
    assert_string_equal(said, expected.bytes);
    kv_buffer_fini(&expected);
    free(said);
}
