/*
 * Admission: whether a client may do what its command asks for. The one place where rights are
 * judged: every command of a client passes it when it is sent, before the store or anybody else
 * sees it, and once more when it has waited. What is sent without a client is the server's own, and
 * passes.
 */
#ifndef KV_KEYSPACE_ADMISSION_H
#define KV_KEYSPACE_ADMISSION_H

#include "access/access.h"
#include "keyspace/command.h"

/* Judges a command of a client with this principal. A SCAN without a prefix is narrowed to what
 * the principal may read; a write is made blind where it may not. What is denied is logged.
 * access: of the loop; NULL: nobody's rights change, and nothing is logged.
 * Returns: KV_OK, and the command holds the principal as long as it needs it; or the status that
 * it is to end with. */
int kv_admission_judge(struct kv_access_loop *access, struct kv_principal *principal,
                       struct kv_command *command);

/* Judges a command, which has waited, by what its principal may do now. Returns: as above. */
int kv_admission_judge_again(struct kv_access_loop *access, struct kv_command *command);

/* Whether a principal may be told the states of what a subscription covers. */
bool kv_admission_allows_subscription(const struct kv_principal *principal, struct kv_slice text);

/* A command that was judged has finished: its client is not told what it may not know. */
void kv_admission_leave(struct kv_command *command);

#endif
