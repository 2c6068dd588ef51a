/* Where keys come from: a file that changes while it is in use. */
#include <fcntl.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "jwt/source.h"
#include "jwt_support.h"

enum {
    PATIENCE_S = 60
};

static struct kv_jwt_sources *sources;
static struct kv_test_signer *first, *second;
static char path[] = "/tmp/kv_jwt_source_XXXXXX";

static sem_t changes;

static void count_change(struct kv_jwt_watch *self)
{
    (void)self;
    sem_post(&changes);
}

static struct kv_jwt_watch watch = {.changed = count_change};

static void await_change(void)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_S;
    assert_int_equal(sem_timedwait(&changes, &until), 0);
}

static void write_file(const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void write_keys(struct kv_test_signer *const *signers, size_t n)
{
    char *text = kv_test_signers_jwks(signers, n);
    write_file(text);
    free(text);
}

static int set_up(void **state)
{
    (void)state;
    int file = mkstemp(path);
    close(file);
    sem_init(&changes, 0, 0);
    kv_log_configure(KV_LOG_ERROR, KV_LOG_TEXT);
    first = kv_test_signer_create("EdDSA", "first");
    second = kv_test_signer_create("ES256", "second");
    sources = kv_jwt_sources_create(&watch);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    kv_jwt_sources_destroy(sources);
    kv_test_signer_destroy(first);
    kv_test_signer_destroy(second);
    unlink(path);
    return 0;
}

static struct kv_jwt_source *get(void)
{
    return kv_jwt_sources_get(sources, &(struct kv_jwt_place){.keys = kv_slice_of(path)});
}

static bool knows(struct kv_jwt_source *source, const char *kid)
{
    struct kv_jwt_key_set *set = kv_jwt_source_keys(source);
    bool does = set != NULL && kv_jwt_key_set_knows(set, kv_slice_of(kid));
    kv_jwt_key_set_unref(set);
    return does;
}

static void a_changed_file_takes_effect(void **state)
{
    (void)state;
    write_keys(&first, 1);
    struct kv_jwt_source *source = get();
    assert_true(knows(source, "first"));
    assert_false(knows(source, "second"));
    write_keys(&second, 1);
    await_change();
    assert_false(knows(source, "first"));
    assert_true(knows(source, "second"));
    kv_jwt_source_unref(source);
}

static void a_broken_file_changes_nothing(void **state)
{
    (void)state;
    write_keys(&first, 1);
    struct kv_jwt_source *source = get();
    write_file("{\"keys\":[{\"kty\":");
    struct kv_jwt_source *again = get(); /* which reads it at once */
    assert_ptr_equal(source, again);
    assert_true(knows(source, "first"));
    unlink(path);
    kv_jwt_source_unref(again);
    again = get();
    assert_true(knows(source, "first"));
    write_keys(&second, 1);
    await_change();
    assert_true(knows(source, "second"));
    kv_jwt_source_unref(again);
    kv_jwt_source_unref(source);
}

/* Those who hold it keep using the set that they have. */
static void a_set_outlives_its_source(void **state)
{
    (void)state;
    write_keys(&first, 1);
    struct kv_jwt_source *source = get();
    struct kv_jwt_key_set *set = kv_jwt_source_keys(source);
    kv_jwt_source_unref(source);
    assert_true(kv_jwt_key_set_knows(set, KV_SLICE("first")));
    kv_jwt_key_set_unref(set);
}

static void without_keys_there_is_no_set(void **state)
{
    (void)state;
    write_file("");
    struct kv_jwt_source *source = get();
    assert_null(kv_jwt_source_keys(source));
    kv_jwt_source_miss(source);
    kv_jwt_source_unref(source);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_changed_file_takes_effect),
        cmocka_unit_test(a_broken_file_changes_nothing),
        cmocka_unit_test(a_set_outlives_its_source),
        cmocka_unit_test(without_keys_there_is_no_set),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
