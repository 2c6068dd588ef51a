/*
 * Edits: UPDATEs that make the new value of what is there.
 */
#ifndef KV_PROTOCOL_EDIT_H
#define KV_PROTOCOL_EDIT_H

#include "keyspace/keyspace.h"

/* The UPDATE adds an integer (wire/integer.h) to the integer that is there, 0 where there is none.
 * It ends with KV_INAPPLICABLE where there is another value, or the sum is none. */
void kv_edit_increment(struct kv_command *command, int64_t by);

/* The UPDATE applies a merge patch (wire/merge_patch.h), a scanned text that the command keeps as
 * its argument. max_bytes: of the result. */
void kv_edit_merge(struct kv_command *command, struct kv_slice patch, size_t max_bytes);

#endif
