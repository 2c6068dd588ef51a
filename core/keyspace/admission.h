/*
 * Admission: whether a client may do what its command asks for. The one place where rights are
 * judged: every command of a client passes it when it is sent, before the store or anybody else
 * sees it. What is sent without a client is the server's own, and passes.
 */
#ifndef KV_KEYSPACE_ADMISSION_H
#define KV_KEYSPACE_ADMISSION_H

#include "keyspace/command.h"

/* Judges a command of a client with this principal. A SCAN without a prefix is narrowed to what
 * the principal may read; a write is made blind where it may not. now_s: since 1970.
 * Returns: KV_OK, and the command holds the principal as long as it needs it; or the status that
 * it is to end with. */
int kv_admission_judge(struct kv_principal *principal, struct kv_command *command, int64_t now_s);

/* Whether a principal may be told the states of what a subscription covers. */
bool kv_admission_allows_subscription(const struct kv_principal *principal, struct kv_slice text);

/* A command that was judged has finished: its client is not told what it may not know. */
void kv_admission_leave(struct kv_command *command);

#endif
