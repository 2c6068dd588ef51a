/*
 * The rights that a command needs depend on its kind, and on what its outcome would reveal. If a
 * client may not read a key, the answer is the same whether the key exists or not: the command does
 * not reach the store, and the refusal depends on the grants only.
 */
#include "keyspace/admission.h"

#define ONLY_BY_NAME "keys that revoke tokens are written only with a grant that names their prefix"

enum {
    READ = KV_RIGHT_READ,
    WRITE = KV_RIGHT_WRITE,
    DENIED = 1 << 7,            /* no client may send it */
    LONGEST_PREFIXES_TOLD = 512 /* bytes of a refusal */
};

/* A condition reveals the present state; renewing a lease needs the rights of a touch. */
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
    case KV_COMMAND_CATCH_UP:
        return 0;
    case KV_COMMAND_TOUCH: /* the keyspace's own */
    case KV_N_COMMAND_KINDS:
        return DENIED;
    }
    return DENIED;
}
#pragma GCC diagnostic pop

/* ---- denials ---- */

static bool is_about_prefix(const struct kv_command *command)
{
    return command->kind == KV_COMMAND_SCAN ||
           (command->traits->is_about_subscriptions && command->subscribe.is_prefix);
}

static void tell_right(const char *name, const struct kv_prefixes *granted,
                       const struct kv_command *command, struct kv_buffer *text)
{
    kv_buffer_printf(text, "%sthe right `%s` is needed for this %s, and is granted for ",
                     text->len == 0 ? "" : "; ", name, is_about_prefix(command) ? "prefix" : "key");
    if (granted->n == 0)
        kv_buffer_append(text, KV_SLICE("none"));
    else
        kv_prefixes_print(granted, LONGEST_PREFIXES_TOLD, text);
}

/* Appends the missing rights. */
static void tell_rights(const struct kv_principal *principal, const struct kv_command *command,
                        struct kv_buffer *text)
{
    const struct kv_grants *grants = principal->grants;
    uint32_t rights = rights_of(command);
    if (!kv_grants_cover(grants, rights & READ, command->key))
        tell_right("read", &grants->read, command, text);
    if (!kv_grants_cover(grants, rights & WRITE, command->key))
        tell_right("write", &grants->write, command, text);
}

/* Appends the prefixes within which a listing, or a subscription to a prefix, must lie. */
static void tell_prefixes(const struct kv_principal *principal, struct kv_buffer *text)
{
    kv_buffer_append(text, KV_SLICE("the prefix must lie within one that is granted: "));
    kv_prefixes_print(&principal->grants->read, LONGEST_PREFIXES_TOLD, text);
}

/* An anonymous client is told only to authenticate. Not inlined, to keep the path of granted
 * commands short. */
__attribute__((noinline)) static int refuse(const struct kv_principal *principal,
                                            struct kv_command *command)
{
    bool is_identified = kv_principal_is_identified(principal);
    struct kv_buffer text = {0};
    if (is_about_prefix(command) && principal->grants->read.n != 0)
        tell_prefixes(principal, &text);
    else if (is_identified)
        tell_rights(principal, command, &text);
    if (is_identified && text.len == 0)
        kv_buffer_append(&text, KV_SLICE(ONLY_BY_NAME));
    if (text.len != 0)
        kv_command_refuse(command, kv_buffer_slice(&text));
    kv_buffer_fini(&text);
    return is_identified ? KV_FORBIDDEN : KV_UNIDENTIFIED;
}

static enum kv_denial cause_of(int verdict)
{
    if (verdict == KV_UNIDENTIFIED)
        return KV_DENIED_NO_TOKEN;
    return verdict == KV_EXPIRED ? KV_DENIED_ENDED : KV_DENIED_NO_RIGHT;
}

/* Briefer than the client's own text, which lists the prefixes that are granted. */
static const char *text_for_log(const struct kv_principal *principal,
                                const struct kv_command *command, int verdict)
{
    if (verdict != KV_FORBIDDEN)
        return kv_command_status_text(verdict);
    uint32_t rights = rights_of(command);
    bool lacks_read = !kv_grants_cover(principal->grants, rights & READ, command->key);
    bool lacks_write = !kv_grants_cover(principal->grants, rights & WRITE, command->key);
    if (lacks_read && lacks_write)
        return "the rights `read` and `write` are not granted for it";
    if (lacks_read)
        return "the right `read` is not granted for it";
    return lacks_write ? "the right `write` is not granted for it" : ONLY_BY_NAME;
}

__attribute__((noinline)) static int log_denial(const struct kv_access_loop *access,
                                                const struct kv_principal *principal,
                                                const struct kv_command *command, int verdict)
{
    struct kv_address_text address;
    bool has_address = command->order != NULL && command->order->address(command, &address);
    const struct kv_denied denied = {principal, has_address ? address.text : NULL};
    if (access != NULL)
        kv_denials_log(access->denials, cause_of(verdict), &denied, command->traits->name,
                       command->key, text_for_log(principal, command, verdict));
    return verdict;
}

/* ---- grants ---- */

/* Whether the SCAN lists all keys, and the principal may read some of them. */
static bool is_narrowed(const struct kv_principal *principal, struct kv_command *command)
{
    const struct kv_prefixes *granted = &principal->grants->read;
    if (command->kind != KV_COMMAND_SCAN || command->key.len != 0 || granted->n == 0)
        return false;
    command->page->within = granted;
    return true;
}

static bool is_granted(const struct kv_access_loop *access, const struct kv_principal *principal,
                       struct kv_command *command, uint32_t rights)
{
    if ((rights & DENIED) != 0)
        return false;
    if ((rights & WRITE) != 0 && access != NULL &&
        kv_access_reserves(access, principal->grants, command->key))
        return false;
    return kv_grants_cover(principal->grants, rights, command->key) ||
           is_narrowed(principal, command);
}

/* Interceptors look at the principal, and a listing uses its grants. */
static bool needs_principal(const struct kv_command *command)
{
    return command->traits->is_write || command->kind == KV_COMMAND_SCAN;
}

int kv_admission_judge(struct kv_access_loop *access, struct kv_principal *principal,
                       struct kv_command *command)
{
    uint32_t rights = rights_of(command);
    if (rights == 0)
        return KV_OK;
    if (kv_admission_is_expired(access, principal))
        return log_denial(access, principal, command, KV_EXPIRED);
    if (!is_granted(access, principal, command, rights))
        return log_denial(access, principal, command, refuse(principal, command));
    if (!needs_principal(command))
        return KV_OK;
    command->principal = kv_principal_ref(principal);
    command->is_blind =
        command->traits->is_write && !kv_prefixes_cover(&principal->grants->read, command->key);
    return KV_OK;
}

/* Owns: the caller, one reference. Returns: NULL and *reterr if the principal is no longer valid.
 */
static struct kv_principal *as_of_now(struct kv_access_loop *access, struct kv_principal *principal,
                                      struct kv_error *reterr)
{
    if (access == NULL || principal->kind == KV_PRINCIPAL_CONSTANT ||
        kv_access_is_current(access, principal))
        return kv_principal_ref(principal);
    return kv_access_renew(access, principal, kv_access_now_s(access), reterr);
}

static void forget_verdict(struct kv_command *command)
{
    command->principal = NULL;
    command->is_blind = false;
    if (command->kind == KV_COMMAND_SCAN)
        command->page->within = NULL;
}

int kv_admission_status_of_invalid(const struct kv_error *why)
{
    return kv_access_was_unsure(why) ? KV_UNAVAILABLE : KV_EXPIRED;
}

int kv_admission_judge_again(struct kv_access_loop *access, struct kv_command *command)
{
    struct kv_principal *before = command->principal;
    if (before == NULL)
        return KV_OK;
    struct kv_error why;
    struct kv_principal *now = as_of_now(access, before, &why);
    forget_verdict(command);
    int verdict = now == NULL ? kv_admission_status_of_invalid(&why)
                              : kv_admission_judge(access, now, command);
    if (verdict == KV_EXPIRED && now == NULL)
        log_denial(access, before, command, verdict);
    kv_principal_unref(before);
    kv_principal_unref(now);
    return verdict;
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
