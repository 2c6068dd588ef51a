/*
 * The rights that a command takes depend on its kind, and on what its outcome would tell. What a
 * client may not read is answered the same whether it is there or not: it does not reach the store.
 */
#include "keyspace/admission.h"

enum {
    READ = KV_RIGHT_READ,
    WRITE = KV_RIGHT_WRITE,
    DENIED = 1 << 7,            /* no client may */
    LONGEST_PREFIXES_TOLD = 512 /* bytes of a refusal */
};

/* A condition tells of the state that is there; a lease is renewed, as by a touch. */
static uint32_t rights_of_write(const struct kv_command *command)
{
    return command->cond != 0 || command->is_lease ? READ | WRITE : WRITE;
}

/* A kind that is not listed does not compile. */
#pragma GCC diagnostic push
#pragma GCC diagnostic error "-Wswitch"
static uint32_t rights_of(const struct kv_command *command)
{
    switch (command->kind) {
    case KV_COMMAND_GET:
    case KV_COMMAND_SCAN:
    case KV_COMMAND_SUBSCRIBE:
        return READ;
    case KV_COMMAND_SET:
    case KV_COMMAND_DELETE:
        return rights_of_write(command);
    case KV_COMMAND_UPDATE:
        return READ | WRITE;
    case KV_COMMAND_UNSUBSCRIBE:
    case KV_COMMAND_NOTE:
        return 0;
    case KV_COMMAND_TOUCH: /* the keyspace's own */
    case KV_N_COMMAND_KINDS:
        return DENIED;
    }
    return DENIED;
}
#pragma GCC diagnostic pop

/* Says which prefixes a listing, or a subscription of a prefix, may lie within. */
static void tell_prefixes(const struct kv_principal *principal, struct kv_command *command)
{
    const struct kv_prefixes *granted = &principal->grants->read;
    struct kv_buffer text = {0};
    if (granted->n == 0)
        return;
    kv_buffer_append(&text, KV_SLICE("the prefix must lie within one that is granted: "));
    kv_prefixes_print(granted, LONGEST_PREFIXES_TOLD, &text);
    kv_command_refuse(command, kv_buffer_slice(&text));
    kv_buffer_fini(&text);
}

static int refuse(const struct kv_principal *principal, struct kv_command *command)
{
    bool is_about_prefix = command->kind == KV_COMMAND_SCAN || command->subscribe.is_prefix;
    if (is_about_prefix)
        tell_prefixes(principal, command);
    bool is_identified = principal->token.len != 0;
    return is_identified ? KV_FORBIDDEN : KV_UNIDENTIFIED;
}

/* Whether the SCAN lists all keys, and the principal may read some of them. */
static bool is_narrowed(const struct kv_principal *principal, struct kv_command *command)
{
    const struct kv_prefixes *granted = &principal->grants->read;
    if (command->kind != KV_COMMAND_SCAN || command->key.len != 0 || granted->n == 0)
        return false;
    command->page->within = granted;
    return true;
}

static bool is_granted(const struct kv_principal *principal, struct kv_command *command)
{
    uint32_t rights = rights_of(command);
    if ((rights & DENIED) != 0)
        return false;
    return kv_grants_cover(principal->grants, rights, command->key) ||
           is_narrowed(principal, command);
}

/* Interceptors ask who it is, and a listing reads by its grants. */
static bool needs_principal(const struct kv_command *command)
{
    return command->traits->is_write || command->kind == KV_COMMAND_SCAN;
}

int kv_admission_judge(struct kv_principal *principal, struct kv_command *command, int64_t now_s)
{
    if (kv_principal_has_expired(principal, now_s))
        return KV_EXPIRED;
    if (!is_granted(principal, command))
        return refuse(principal, command);
    if (needs_principal(command))
        command->principal = kv_principal_ref(principal);
    command->is_blind =
        command->traits->is_write && !kv_prefixes_cover(&principal->grants->read, command->key);
    return KV_OK;
}

bool kv_admission_allows_subscription(const struct kv_principal *principal, struct kv_slice text)
{
    return principal->is_unlimited || kv_prefixes_cover(&principal->grants->read, text);
}

void kv_admission_leave(struct kv_command *command)
{
    if (command->is_blind)
        command->revision = 0;
    kv_principal_unref(command->principal);
    command->principal = NULL;
}
