#include "daemon/process.h"

#include <malloc.h>
#include <signal.h>
#include <sys/resource.h>

enum {
    RESERVED_DESCRIPTORS = 4096, /* or a quarter of them; of these */
    SHARE_OF_LINGERING = 4,
    SHARE_OF_REFUSED = 8,
    LARGE_BLOCK = 1 << 20,
    MOST_FAST = 160 /* the largest block that is cached; the maximum that glibc permits */
};

/* Raises it as far as the system permits. Returns: the limit; 0 if the system does not report
 * it. */
static rlim_t raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return 0;
    struct rlimit raised = {.rlim_cur = limit.rlim_max, .rlim_max = limit.rlim_max};
    return setrlimit(RLIMIT_NOFILE, &raised) == 0 ? raised.rlim_cur : limit.rlim_cur;
}

static rlim_t lesser(rlim_t a, rlim_t b)
{
    return a < b ? a : b;
}

/* For the store's files, sinks and the rest. */
static rlim_t reserved_of(rlim_t descriptors)
{
    return lesser(descriptors / 4, RESERVED_DESCRIPTORS);
}

/* The number of connections that the descriptors permit besides the store's files, sinks and the
 * rest. */
static uint32_t possible_connections(rlim_t descriptors)
{
    rlim_t possible = descriptors - reserved_of(descriptors);
    return possible > UINT32_MAX ? UINT32_MAX : (uint32_t)possible;
}

/* Warns only about a configured number. */
uint32_t kv_process_fit_connections(const struct kv_config *config)
{
    rlim_t descriptors = raise_descriptor_limit();
    uint32_t wanted = config->net.max_connections;
    uint32_t possible = descriptors == 0 ? wanted : possible_connections(descriptors);
    if (wanted <= possible)
        return wanted;
    kv_log(config->connections_are_auto ? KV_LOG_DEBUG : KV_LOG_WARN, "server",
           "limits.connections is %u, but the system lets this process open %llu files: %u "
           "connections are taken",
           wanted, (unsigned long long)descriptors, possible);
    return possible;
}

void kv_process_fit_net(const struct kv_config *config, struct kv_net_config *net)
{
    rlim_t descriptors = raise_descriptor_limit();
    rlim_t reserved = descriptors == 0 ? RESERVED_DESCRIPTORS : reserved_of(descriptors);
    net->max_connections = kv_process_fit_connections(config);
    net->max_descriptors = descriptors == 0 ? 0 : possible_connections(descriptors);
    net->max_lingering = (uint32_t)lesser(1 + reserved / SHARE_OF_LINGERING, KV_MOST_LINGERING);
    net->max_refused = (uint32_t)lesser(1 + reserved / SHARE_OF_REFUSED, KV_MOST_REFUSED);
}

/* Large freed blocks return to the system, and small ones do not make the heaps of the threads grow
 * and shrink with every turn. */
static void tune_allocator(void)
{
    mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK);
    mallopt(M_TRIM_THRESHOLD, 4 * LARGE_BLOCK);
    mallopt(M_TOP_PAD, LARGE_BLOCK / 4);
    mallopt(M_MXFAST, MOST_FAST);
}

void kv_process_prepare(void)
{
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* if a file becomes too long, write() returns an error */
    tune_allocator();
}
