/* Sources of keys: a file that changes while it is in use, and an HTTPS server. */
#include <fcntl.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "jwt/fetch.h"
#include "jwt/source.h"
#include "jwt_support.h"
#include "support/jwt/https.h"

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
    struct kv_jwt_source *again = get(); /* reads the file at once */
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

/* Holders of a set keep using it. */
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

static void a_file_without_keys_yields_no_set(void **state)
{
    (void)state;
    write_file("");
    struct kv_jwt_source *source = get();
    assert_null(kv_jwt_source_keys(source));
    kv_jwt_source_miss(source);
    kv_jwt_source_unref(source);
}

/* ---- a URL ---- */

static char certificate[] = "/tmp/kv_jwt_certificate_XXXXXX";
static struct kv_test_https *https;

static int start_https(void **state)
{
    (void)state;
    close(mkstemp(certificate));
    https = kv_test_https_start(certificate);
    return 0;
}

static int stop_https(void **state)
{
    (void)state;
    kv_test_https_stop(https);
    unlink(certificate);
    memset(certificate + sizeof(certificate) - 7, 'X', 6); /* for the next mkstemp() */
    return 0;
}

static void publish_by_url(struct kv_test_signer *const *signers, size_t n)
{
    char *text = kv_test_signers_jwks(signers, n);
    kv_test_https_answer(https, text);
    free(text);
}

/* ca_file: "" for the system's certificates. */
static struct kv_jwt_source *get_url(const char *ca_file)
{
    char url[64];
    snprintf(url, sizeof(url), "https://127.0.0.1:%u/jwks", kv_test_https_port(https));
    return kv_jwt_sources_get(
        sources, &(struct kv_jwt_place){.keys = kv_slice_of(url), .ca_file = kv_slice_of(ca_file)});
}

static void await_key(struct kv_jwt_source *source, const char *kid)
{
    for (int i = 0; i < PATIENCE_S * 100 && !knows(source, kid); i++)
        nanosleep(&(struct timespec){.tv_nsec = 10 * 1000 * 1000}, NULL);
    assert_true(knows(source, kid));
}

static void a_url_is_fetched_at_start_and_once_for_unknown_keys(void **state)
{
    struct kv_test_signer *const both[] = {first, second};
    (void)state;
    publish_by_url(&first, 1);
    struct kv_jwt_source *source = get_url(certificate);
    await_key(source, "first");
    publish_by_url(both, 2);
    for (int i = 0; i < PATIENCE_S * 100 && kv_test_https_n_requests(https) < 2; i++) {
        kv_jwt_source_miss(source); /* not counted during a fetch */
        nanosleep(&(struct timespec){.tv_nsec = 10 * 1000 * 1000}, NULL);
    }
    await_key(source, "second");
    for (int i = 0; i < 10; i++)
        kv_jwt_source_miss(source);
    assert_int_equal(kv_test_https_n_requests(https), 2);
    kv_jwt_source_unref(source);
}

/* Known keys are kept if the URL fails. */
static void known_keys_are_kept_while_the_url_fails(void **state)
{
    (void)state;
    publish_by_url(&first, 1);
    struct kv_jwt_source *source = get_url(certificate);
    await_key(source, "first");
    kv_test_https_answer_with(https, "500 Internal Server Error", "");
    kv_jwt_source_unref(get_url(certificate)); /* fetches the URL again */
    kv_test_https_await(https, 1);
    assert_true(knows(source, "first"));
    kv_jwt_source_unref(source);
}

/* No keys are known while the request is in progress, nor afterwards. */
static void a_redirect_to_plain_http_is_not_followed(void **state)
{
    (void)state;
    kv_test_https_answer_with(https, "302 Found", "Location: http://127.0.0.1:9/jwks\r\n");
    struct kv_jwt_source *source = get_url(certificate);
    kv_test_https_await(https, 0);
    assert_null(kv_jwt_source_keys(source));
    kv_jwt_source_unref(source);
}

static void fetch_for(struct kv_buffer *out, const char *ca_file, size_t most, const char *part)
{
    char url[64];
    atomic_bool is_ending = false;
    struct kv_error error = {0};
    snprintf(url, sizeof(url), "https://127.0.0.1:%u/jwks", kv_test_https_port(https));
    const struct kv_jwt_fetch fetch = {
        .url = url, .ca_file = ca_file, .most = most, .is_ending = &is_ending};
    int result = kv_jwt_fetch(&fetch, out, &error);
    assert_int_equal(result, part == NULL ? 0 : -1);
    if (part != NULL && strstr(error.text, part) == NULL)
        fail_msg("\"%s\" is not in: %s", part, error.text);
}

static void a_fetch_is_bounded_and_trusts_only_the_given_authority(void **state)
{
    struct kv_buffer out = {0};
    (void)state;
    kv_test_https_answer(https, "0123456789");
    fetch_for(&out, certificate, 10, NULL);
    assert_true(kv_slice_equals(kv_buffer_slice(&out), KV_SLICE("0123456789")));
    fetch_for(&out, certificate, 9, "longer than 9 bytes");
    fetch_for(&out, NULL, 10, "certificate");
    kv_test_https_answer_with(https, "404 Not Found", "");
    fetch_for(&out, certificate, 10, "answered with 404");
    kv_test_https_answer_with(https, "302 Found", "Location: http://127.0.0.1:9/\r\n");
    fetch_for(&out, certificate, 10, "http");
    kv_buffer_fini(&out);
}

#define URL_TEST(name) cmocka_unit_test_setup_teardown(name, start_https, stop_https)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_changed_file_takes_effect),
        cmocka_unit_test(a_broken_file_changes_nothing),
        cmocka_unit_test(a_set_outlives_its_source),
        cmocka_unit_test(a_file_without_keys_yields_no_set),
        URL_TEST(a_url_is_fetched_at_start_and_once_for_unknown_keys),
        URL_TEST(known_keys_are_kept_while_the_url_fails),
        URL_TEST(a_redirect_to_plain_http_is_not_followed),
        URL_TEST(a_fetch_is_bounded_and_trusts_only_the_given_authority),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
