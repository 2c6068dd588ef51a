/*
 * The check of a module's identity: a series of refusals, each of which may read only data that the
 * previous ones have validated. So the order matters: version, sizes, kind, texts, capabilities,
 * options, and the table of functions last. The requirements of each kind are in a table here.
 */
#include "module/check.h"

#include <stdlib.h>

#include "base/mem.h"

/* The end of the member: the size of a struct whose version ended with it. */
#define END_OF(type, member) (offsetof(type, member) + sizeof(((type *)NULL)->member))

/* The sizes of ABI 1.0: the minimum for a module of this major. */
#define FIRST_MODULE_SIZE END_OF(struct kv_module, ops)
#define FIRST_OPTION_SIZE END_OF(struct kv_option, doc)

/* A function that a module must have: always, or if it claims the capability; but only if it was
 * built for an ABI that has the function. */
struct slot {
    const char *name;
    size_t offset;
    uint64_t capability; /* 0: always */
    uint16_t since;      /* ABI minor */
};

struct kind {
    const char *name;
    const char *a_name; /* with its article */
    uint64_t capabilities;
    size_t ops_size;
    size_t first_ops_size; /* in ABI 1.0 */
    const struct slot *slots;
    size_t n_slots;
};

#define STORE_SLOT(member)                                                                         \
    {                                                                                              \
#member, offsetof(struct kv_store_ops, member), 0, 0                                       \
    }
#define TTL_SLOT(member)                                                                           \
    {                                                                                              \
#member, offsetof(struct kv_ttl_ops, member), 0, 0                                         \
    }
#define SINK_SLOT(member)                                                                          \
    {                                                                                              \
#member, offsetof(struct kv_sink_ops, member), 0, 0                                        \
    }

static const struct slot store_slots[] = {
    STORE_SLOT(open),
    STORE_SLOT(info),
    STORE_SLOT(submit),
    STORE_SLOT(scan),
    STORE_SLOT(expire),
    STORE_SLOT(ref),
    STORE_SLOT(unref),
    STORE_SLOT(close),
    {"open_to_read", offsetof(struct kv_store_ops, open_to_read), KV_STORE_DURABLE, 3},
    {"revision", offsetof(struct kv_store_ops, revision), KV_STORE_IN_ORDER, 3},
    {"read_log", offsetof(struct kv_store_ops, read_log), KV_STORE_LOG, 3},
    {"settled", offsetof(struct kv_store_ops, settled), KV_STORE_SHOWS, 6},
    {"claim_state", offsetof(struct kv_store_ops, claim_state), KV_STORE_SHOWS, 6},
    {"has_to_show", offsetof(struct kv_store_ops, has_to_show), KV_STORE_SHOWS, 6},
};

static const struct slot ttl_slots[] = {
    TTL_SLOT(open),
    TTL_SLOT(on_write),
    {"on_read", offsetof(struct kv_ttl_ops, on_read), KV_TTL_RENEWS, 0},
    TTL_SLOT(close),
};

static const struct slot sink_slots[] = {
    SINK_SLOT(open),
    SINK_SLOT(deliver),
    SINK_SLOT(close),
};

#define SLOTS(table) .slots = table, .n_slots = sizeof(table) / sizeof((table)[0])

static const struct kind kinds[] = {
    [KV_MODULE_STORE] = {.name = "store",
                         .a_name = "a store",
                         .capabilities = KV_STORE_DURABLE | KV_STORE_ORDERED | KV_STORE_SYNC |
                                         KV_STORE_UPDATES | KV_STORE_SEEKS | KV_STORE_IN_ORDER |
                                         KV_STORE_LOG | KV_STORE_SHOWS | KV_STORE_TOUCHES |
                                         KV_STORE_CATCHES_UP,
                         .ops_size = sizeof(struct kv_store_ops),
                         .first_ops_size = END_OF(struct kv_store_ops, close),
                         SLOTS(store_slots)},
    [KV_MODULE_TTL] = {.name = "ttl",
                       .a_name = "a ttl module",
                       .capabilities = KV_TTL_RENEWS,
                       .ops_size = sizeof(struct kv_ttl_ops),
                       .first_ops_size = END_OF(struct kv_ttl_ops, close),
                       SLOTS(ttl_slots)},
    [KV_MODULE_SINK] = {.name = "sink",
                        .a_name = "a sink",
                        .capabilities = 0,
                        .ops_size = sizeof(struct kv_sink_ops),
                        .first_ops_size = END_OF(struct kv_sink_ops, close),
                        SLOTS(sink_slots)},
};

/* Returns: NULL for a kind that this server does not know. */
static const struct kind *find_kind(uint32_t kind)
{
    if (kind >= sizeof(kinds) / sizeof(kinds[0]) || kinds[kind].name == NULL)
        return NULL;
    return &kinds[kind];
}

const char *kv_module_kind_name(enum kv_module_kind kind)
{
    const struct kind *found = find_kind(kind);
    return found == NULL ? NULL : found->name;
}

static int check_versions(const char *path, const struct kv_module *given, struct kv_error *reterr)
{
    if (given->abi_major != KV_ABI_MAJOR || given->abi_minor > KV_ABI_MINOR)
        return kv_error_set(reterr, "%s speaks module ABI %u.%u, this server %u.%u", path,
                            given->abi_major, given->abi_minor, KV_ABI_MAJOR, KV_ABI_MINOR);
    if (given->size < FIRST_MODULE_SIZE)
        return kv_error_set(reterr, "%s has an identity of %u bytes, module ABI 1.0 one of %zu",
                            path, given->size, FIRST_MODULE_SIZE);
    if (given->option_size < FIRST_OPTION_SIZE)
        return kv_error_set(reterr, "%s describes an option in %u bytes, module ABI 1.0 in %zu",
                            path, given->option_size, FIRST_OPTION_SIZE);
    return 0;
}

static int check_kind(const char *path, enum kv_module_kind wanted, uint32_t given,
                      struct kv_error *reterr)
{
    const struct kind *kind = find_kind(given);
    const struct kind *wanted_kind = find_kind(wanted);
    if (kind == NULL)
        return kv_error_set(reterr, "%s is of kind %u, which this server does not know (%u is %s)",
                            path, given, wanted, wanted_kind->a_name);
    if (kind != wanted_kind)
        return kv_error_set(reterr, "%s is %s, not %s", path, kind->a_name, wanted_kind->a_name);
    return 0;
}

static int check_texts(const char *path, struct kv_slice stem, const struct kv_module *identity,
                       struct kv_error *reterr)
{
    if (identity->name == NULL)
        return kv_error_set(reterr, "%s does not say its name, and should be \"%.*s\"", path,
                            (int)stem.len, stem.bytes);
    if (!kv_slice_equals(kv_slice_of(identity->name), stem))
        return kv_error_set(reterr, "%s calls itself \"%s\", its file \"%.*s\"", path,
                            identity->name, (int)stem.len, stem.bytes);
    if (identity->version == NULL || identity->version[0] == '\0')
        return kv_error_set(reterr, "%s does not say its version", path);
    if (identity->options == NULL && identity->n_options != 0)
        return kv_error_set(reterr, "%s has %zu options and no list of them", path,
                            identity->n_options);
    return 0;
}

static int check_capabilities(const char *path, const struct kind *kind, uint64_t capabilities,
                              struct kv_error *reterr)
{
    if ((capabilities & ~kind->capabilities) != 0)
        return kv_error_set(reterr, "%s claims capabilities %#jx, %s can have %#jx", path,
                            (uintmax_t)capabilities, kind->a_name, (uintmax_t)kind->capabilities);
    return 0;
}

static bool has_function(const void *ops, size_t offset)
{
    void (*function)(void);
    memcpy(&function, (const char *)ops + offset, sizeof(function));
    return function != NULL;
}

static int check_slots(const char *path, const struct kind *kind, const struct kv_module *identity,
                       const void *ops, struct kv_error *reterr)
{
    for (const struct slot *slot = kind->slots; slot < kind->slots + kind->n_slots; slot++) {
        if (has_function(ops, slot->offset) || identity->abi_minor < slot->since)
            continue;
        if (slot->capability == 0)
            return kv_error_set(reterr, "%s lacks the function %s, which %s must have", path,
                                slot->name, kind->a_name);
        if ((slot->capability & identity->capabilities) != 0)
            return kv_error_set(reterr, "%s claims capability %#jx, which needs the function %s",
                                path, (uintmax_t)slot->capability, slot->name);
    }
    return 0;
}

/* Returns: 0, and *ret_ops the table in this server's size. */
static int check_ops(const char *path, const struct kind *kind, const struct kv_module *identity,
                     void **ret_ops, struct kv_error *reterr)
{
    if (identity->ops == NULL)
        return kv_error_set(reterr, "%s has no table of functions", path);
    uint32_t size;
    memcpy(&size, identity->ops, sizeof(size));
    if (size < kind->first_ops_size)
        return kv_error_set(reterr, "%s has functions in %u bytes, %s of module ABI 1.0 in %zu",
                            path, size, kind->a_name, kind->first_ops_size);
    void *ops = kv_calloc(1, kind->ops_size);
    memcpy(ops, identity->ops, size < kind->ops_size ? size : kind->ops_size);
    if (check_slots(path, kind, identity, ops, reterr) != 0) {
        free(ops);
        return -1;
    }
    *ret_ops = ops;
    return 0;
}

int kv_module_check(const char *path, struct kv_slice stem, enum kv_module_kind kind,
                    const struct kv_module *given, struct kv_module_facts *ret,
                    struct kv_error *reterr)
{
    if (given == NULL)
        return kv_error_set(reterr, "%s has an entry that returns nothing", path);
    if (check_versions(path, given, reterr) != 0 ||
        check_kind(path, kind, given->kind, reterr) != 0)
        return -1;
    struct kv_module identity = {0};
    memcpy(&identity, given, given->size < sizeof(identity) ? given->size : sizeof(identity));
    const struct kind *known = find_kind(kind);
    void *ops = NULL;
    if (check_texts(path, stem, &identity, reterr) != 0 ||
        check_capabilities(path, known, identity.capabilities, reterr) != 0 ||
        check_ops(path, known, &identity, &ops, reterr) != 0)
        return -1;
    identity.ops = ops;
    ret->identity = identity;
    ret->ops = ops;
    return 0;
}
