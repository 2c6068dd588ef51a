/* Name lookups of the Redis client, with a getaddrinfo() whose duration a test controls. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <dlfcn.h>
#include <pthread.h>

#include "resolver.h"

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER; /* held: lookups of names block */
static atomic_int n_lookups;

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                struct addrinfo **ret)
{
    int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
    if ((hints->ai_flags & AI_NUMERICHOST) != 0)
        return real(node, service, hints, ret);
    n_lookups++;
    pthread_mutex_lock(&gate);
    pthread_mutex_unlock(&gate);
    return real("127.0.0.1", service, hints, ret);
}

static int find(struct resolver *resolver, const char *host, int64_t ms, struct addrinfo **peers)
{
    struct patience patience = {.until_ms = patience_clock_ms() + ms};
    return resolver_find(resolver, host, 6379, &patience, peers);
}

static void expect_local(int result, struct addrinfo *peers)
{
    assert_int_equal(result, 0);
    const struct sockaddr_in *address = (const struct sockaddr_in *)(const void *)peers->ai_addr;
    assert_int_equal(ntohl(address->sin_addr.s_addr), INADDR_LOOPBACK);
    assert_int_equal(ntohs(address->sin_port), 6379);
    freeaddrinfo(peers);
}

static void a_blocked_lookup_times_out_and_only_one_runs_at_a_time(void **state)
{
    struct resolver resolver = {0};
    struct addrinfo *peers = NULL;
    (void)state;
    n_lookups = 0;
    pthread_mutex_lock(&gate);
    for (int i = 0; i < 3; i++)
        assert_int_equal(find(&resolver, "redis.test", 20, &peers), EAI_AGAIN);
    assert_int_equal(find(&resolver, "other.test", 20, &peers), EAI_AGAIN);
    pthread_mutex_unlock(&gate);
    int result = find(&resolver, "redis.test", 60000, &peers);
    expect_local(result, peers);
    assert_int_equal(n_lookups, 1);
    result = find(&resolver, "other.test", 60000, &peers);
    expect_local(result, peers);
    resolver_fini(&resolver);
}

static void closing_ends_a_wait_for_a_lookup(void **state)
{
    struct resolver resolver = {0};
    struct addrinfo *peers = NULL;
    atomic_bool gives_up = true;
    struct patience patience = {patience_clock_ms() + 3600000, &gives_up};
    (void)state;
    pthread_mutex_lock(&gate);
    int64_t began_ms = patience_clock_ms();
    assert_int_equal(resolver_find(&resolver, "redis.test", 6379, &patience, &peers), EAI_AGAIN);
    assert_true(patience_clock_ms() - began_ms < 60000);
    resolver_fini(&resolver);
    pthread_mutex_unlock(&gate);
}

static void an_address_needs_no_lookup(void **state)
{
    struct resolver resolver = {0};
    struct addrinfo *peers = NULL;
    (void)state;
    n_lookups = 0;
    int result = find(&resolver, "127.0.0.1", 0, &peers);
    expect_local(result, peers);
    assert_int_equal(n_lookups, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_blocked_lookup_times_out_and_only_one_runs_at_a_time),
        cmocka_unit_test(closing_ends_a_wait_for_a_lookup),
        cmocka_unit_test(an_address_needs_no_lookup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
