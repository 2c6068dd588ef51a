/*
 * Admission: whether a client may do what its command asks for. Rights are judged only here: every
 * command of a client passes admission when it is sent, before the store or any other part sees it,
 * and again if it had to wait. Commands without a client are the server's own, and pass unchecked.
 */
#ifndef KV_KEYSPACE_ADMISSION_H
#define KV_KEYSPACE_ADMISSION_H

#include "access/access.h"
#include "keyspace/command.h"

/* The time at which expiry is judged, in seconds since 1970. access: of the loop, or NULL. */
static inline int64_t kv_admission_now_s(struct kv_access_loop *access)
{
    return access == NULL ? kv_wall_us() / 1000000 : kv_access_now_s(access);
}

static inline bool kv_admission_is_expired(struct kv_access_loop *access,
                                           const struct kv_principal *principal)
{
    return principal->expires_s != 0 &&
           kv_principal_has_expired(principal, kv_admission_now_s(access));
}

/* The short way for most commands: whether kv_admission_judge() would let the command pass, which
 * is a GET of a client whose principal was judged by the rules in force. Reveals, and changes,
 * nothing. */
static inline bool kv_admission_passes(struct kv_access_loop *access,
                                       const struct kv_principal *principal,
                                       const struct kv_command *command)
{
    return command->kind == KV_COMMAND_GET && access != NULL &&
           kv_access_is_current(access, principal) &&
           kv_prefixes_cover(&principal->grants->read, command->key) &&
           !kv_admission_is_expired(access, principal);
}

/* Judges a command of a client with this principal. A SCAN without a prefix is narrowed to the
 * prefixes that the principal may read; a write becomes blind if the principal may not read the
 * key. Denials are logged.
 * access: of the loop; NULL: rights never change, and nothing is logged.
 * Returns: KV_OK, and the command holds the principal as long as it needs it; or the status that
 * ends the command. */
int kv_admission_judge(struct kv_access_loop *access, struct kv_principal *principal,
                       struct kv_command *command);

/* Judges a command that has waited, by its principal's present rights. Returns: as above. */
int kv_admission_judge_again(struct kv_access_loop *access, struct kv_command *command);

/* The status of a command whose principal is no longer valid. why: from kv_access_renew(). */
int kv_admission_status_of_invalid(const struct kv_error *why);

/* Whether the principal may see the states of the keys that a subscription covers. */
bool kv_admission_allows_subscription(const struct kv_principal *principal, struct kv_slice text);

/* Removes from the outcome of a finished command, which was judged, anything that its client may
 * not know. */
void kv_admission_leave(struct kv_command *command);

#endif
