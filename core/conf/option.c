/* Options are read through copies, so that only kv_option_at() needs to know the stride. */
#include "conf/option.h"

struct kv_option kv_option_at(const struct kv_option *options, size_t option_size, size_t i)
{
    struct kv_option copy = {0};
    size_t known = option_size < sizeof(copy) ? option_size : sizeof(copy);
    memcpy(&copy, (const char *)options + i * option_size, known);
    return copy;
}

struct kv_option kv_option_field(const struct kv_option *parent, size_t option_size, size_t i)
{
    struct kv_option field = kv_option_at(parent->fields, option_size, i);
    field.flags |= parent->flags & (KV_OPTION_SECRET | KV_OPTION_ABSENT);
    if (parent->type == KV_OPTION_LIST && kv_option_is_scalar(&field) && field.fallback == NULL)
        field.flags |= KV_OPTION_REQUIRED;
    if (field.flags & KV_OPTION_ABSENT)
        field.flags &= ~(uint32_t)KV_OPTION_REQUIRED;
    return field;
}

static bool is_secret_key(const struct kv_option *map, const char *key)
{
    if (map->secret_keys == NULL)
        return true;
    for (const char *const *secret = map->secret_keys; *secret != NULL; secret++)
        if (strcmp(*secret, key) == 0)
            return true;
    return false;
}

struct kv_option kv_option_of_key(const struct kv_option *map, const char *key)
{
    struct kv_option text = {.name = key, .type = KV_OPTION_STRING, .flags = map->flags};
    if (!is_secret_key(map, key))
        text.flags &= ~(uint32_t)KV_OPTION_SECRET;
    return text;
}

bool kv_option_is_scalar(const struct kv_option *option)
{
    return (option->type >= KV_OPTION_BOOL && option->type <= KV_OPTION_CHOICE) ||
           option->type == KV_OPTION_PATH;
}

bool kv_option_is_text(const struct kv_option *option)
{
    return option->type == KV_OPTION_STRING || option->type == KV_OPTION_PATH;
}

bool kv_option_is_number(const struct kv_option *option)
{
    return option->type == KV_OPTION_INT || option->type == KV_OPTION_DURATION ||
           option->type == KV_OPTION_SIZE;
}

int64_t kv_option_max(const struct kv_option *option)
{
    return option->min == 0 && option->max == 0 ? INT64_MAX : option->max;
}
