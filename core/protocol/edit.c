#include "protocol/edit.h"

#include "wire/integer.h"
#include "wire/merge_patch.h"

static int refuse(struct kv_command *command, int status, const char *why)
{
    command->refusal = why;
    return status;
}

static int add(struct kv_command *command, const struct kv_item *old, struct kv_buffer *out)
{
    int64_t integer = 0, sum;
    if (old->revision != 0 && !kv_integer_read(old->value, &integer))
        return refuse(command, KV_INAPPLICABLE,
                      "the value must be an integer between -2^63+1 and 2^63-1");
    if (!kv_integer_add(integer, command->update->number, &sum))
        return refuse(command, KV_INAPPLICABLE, "the sum must be between -2^63+1 and 2^63-1");
    if (kv_buffer_try_reserve(out, KV_INTEGER_ROOM) == NULL)
        return KV_FULL;
    out->len += kv_integer_write(out->bytes + out->len, sum);
    return KV_OK;
}

static int merge(struct kv_command *command, const struct kv_item *old, struct kv_buffer *out)
{
    struct kv_slice value = {0};
    if (old->revision != 0)
        value = old->value;
    switch (kv_merge_patch(value, command->argument, out)) {
    case 0:
        return KV_OK;
    case KV_MERGE_TOO_MANY:
        return refuse(command, KV_TOO_BIG, "the patch has more than 65536 members");
    default:
        return KV_FULL;
    }
}

void kv_edit_increment(struct kv_command *command, int64_t by)
{
    command->update->compute = add;
    command->update->is_quick = true;
    command->update->number = by;
}

void kv_edit_merge(struct kv_command *command, struct kv_slice patch, size_t max_bytes)
{
    command->update->compute = merge;
    command->update->max_bytes = max_bytes;
    command->argument = patch;
}
