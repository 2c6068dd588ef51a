/*
 * Admission: whether a client may do what its command asks for. Rights are judged only here: every
 * command of a client passes admission when it is sent, before the store or any other part sees it,
 * and again if it had to wait. Commands without a client are the server's own, and pass unchecked.
 */
#ifndef KV_KEYSPACE_ADMISSION_H
#define KV_KEYSPACE_ADMISSION_H

#include "access/access.h"
#include "keyspace/command.h"

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

/* The status of a command whose principal is no longer valid (kv_access_renew). */
int kv_admission_status_of_invalid(const struct kv_access_loop *access);

/* Whether the principal may see the states of the keys that a subscription covers. */
bool kv_admission_allows_subscription(const struct kv_principal *principal, struct kv_slice text);

/* Removes from the outcome of a finished command, which was judged, anything that its client may
 * not know. */
void kv_admission_leave(struct kv_command *command);

#endif
