/*
 * Edits: UPDATEs that compute a new value from the stored one.
 */
#ifndef KV_PROTOCOL_EDIT_H
#define KV_PROTOCOL_EDIT_H

#include "keyspace/keyspace.h"

/* The UPDATE adds an integer (wire/integer.h) to the stored one, 0 if the key is missing. It ends
 * with KV_INAPPLICABLE if the value, or the sum, is no such integer. */
void kv_edit_increment(struct kv_command *command, int64_t by);

/* The UPDATE applies a merge patch (wire/merge_patch.h), a scanned text that the command keeps as
 * its argument. max_bytes: of the result. */
void kv_edit_merge(struct kv_command *command, struct kv_slice patch, size_t max_bytes);

#endif
