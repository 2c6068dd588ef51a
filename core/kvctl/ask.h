/*
 * Sends the request of a verb, and reports failures on standard error.
 */
#ifndef KV_KVCTL_ASK_H
#define KV_KVCTL_ASK_H

#include "kvctl/http.h"
#include "kvctl/verb.h"

/* Returns: KV_CTL_DONE and a successful answer (2xx); or another exit code, whose cause has been
 * reported.
 * accepted: a further status that counts as success, because the caller handles it; 0: none.
 * subject: the key or file that the request is about, for messages. */
int kv_ctl_ask(struct kv_ctl_call *call, const struct kv_ctl_request *request, const char *subject,
               int accepted, struct kv_ctl_answer *ret);

/* Returns: the exit code for a request without an answer. */
int kv_ctl_code_unanswered(const struct kv_ctl_answer *answer);

/* Reports why the server refused the request. Returns: the exit code for the answer, which is not
 * 2xx. */
int kv_ctl_tell_refusal(const char *subject, const struct kv_ctl_answer *answer);

/* Sends `messages`, a JSON array, as a batch; the answer is an array, too. Returns: as above. */
int kv_ctl_ask_batch(struct kv_ctl_call *call, struct kv_slice messages, const char *subject,
                     struct kv_ctl_answer *ret);

/* Picks a member of a JSON object. Returns: its text; bytes NULL: it has no such member. */
struct kv_slice kv_ctl_member(struct kv_slice object, struct kv_slice name);

/* Reports that the answer does not come from a KvServer. Returns: the exit code. */
int kv_ctl_tell_strange(struct kv_ctl_call *call, const char *subject);

#endif
