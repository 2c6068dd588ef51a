/*
 * The option `prefixes` shared by policies: the keys that a policy applies to.
 */
#ifndef KV_TTL_PREFIXES_H
#define KV_TTL_PREFIXES_H

#include <kvserver/ttl.h>

static const struct kv_option prefixes_element = {.type = KV_OPTION_STRING};

#define PREFIXES_OPTION                                                                            \
    {                                                                                              \
        .name = "prefixes", .type = KV_OPTION_LIST, .fields = &prefixes_element, .n_fields = 1,    \
        .doc = "only keys that begin with one of these; none: all keys"                            \
    }

static inline bool prefixes_have(const struct kv_option_value *prefixes, struct kv_slice key)
{
    for (size_t i = 0; i < prefixes->list.n; i++)
        if (kv_slice_has_prefix(key, prefixes->list.items[i].string))
            return true;
    return prefixes->list.n == 0;
}

#endif
