#include "http/lists.h"

#include <stdlib.h>

#include "base/buffer.h"
#include "base/mem.h"

struct kv_http_lists {
    struct kv_slice *origins, *hosts;
    size_t n_origins, n_hosts;
};

/* The texts follow the list, in one block. Owns: the caller, by free(). */
static struct kv_slice *copy(const struct kv_slice *list, size_t n)
{
    size_t size = n * sizeof(*list) + 1;
    for (size_t i = 0; i < n; i++)
        size += list[i].len;
    struct kv_slice *copied = kv_alloc(size);
    char *at = (char *)(copied + n);
    for (size_t i = 0; i < n; i++) {
        copied[i] = (struct kv_slice){at, list[i].len};
        at = kv_put(at, list[i]);
    }
    return copied;
}

struct kv_http_lists *kv_http_lists_copy(const struct kv_http_config *config)
{
    struct kv_http_lists *lists = kv_alloc(sizeof(*lists));
    *lists = (struct kv_http_lists){.origins = copy(config->origins, config->n_origins),
                                    .hosts = copy(config->hosts, config->n_hosts),
                                    .n_origins = config->n_origins,
                                    .n_hosts = config->n_hosts};
    return lists;
}

void kv_http_lists_free(struct kv_http_lists *lists)
{
    if (lists == NULL)
        return;
    free(lists->origins);
    free(lists->hosts);
    free(lists);
}

void kv_http_lists_use(const struct kv_http_lists *lists, struct kv_http_config *config)
{
    config->origins = lists->origins;
    config->n_origins = lists->n_origins;
    config->hosts = lists->hosts;
    config->n_hosts = lists->n_hosts;
}
