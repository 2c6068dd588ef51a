#include "daemon/process.h"

#include <malloc.h>
#include <signal.h>
#include <sys/resource.h>

enum {
    RESERVED_DESCRIPTORS = 256,
    LARGE_BLOCK = 1 << 20,
    MOST_FAST = 160 /* bytes of a block that is kept as it is; the most that glibc takes */
};

/* As many as the system may grant. Returns: how many that are; 0 where it does not say. */
static rlim_t raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return 0;
    struct rlimit raised = {.rlim_cur = limit.rlim_max, .rlim_max = limit.rlim_max};
    return setrlimit(RLIMIT_NOFILE, &raised) == 0 ? raised.rlim_cur : limit.rlim_cur;
}

/* Connections that there can be besides the store's files, sinks and the rest. */
static uint32_t possible_connections(rlim_t descriptors)
{
    rlim_t reserved =
        descriptors / 4 < RESERVED_DESCRIPTORS ? descriptors / 4 : RESERVED_DESCRIPTORS;
    rlim_t possible = descriptors - reserved;
    return possible > UINT32_MAX ? UINT32_MAX : (uint32_t)possible;
}

/* Only a number that somebody chose is worth a warning. */
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

/* What is freed in large pieces goes back to the system, and small change does not make the heaps
 * of the threads grow and shrink with every turn. */
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
    signal(SIGXFSZ, SIG_IGN); /* a file that is too long is an error of write() */
    tune_allocator();
}
