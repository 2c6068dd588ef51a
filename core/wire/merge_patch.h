/*
 * JSON Merge Patch (RFC 7396), on texts: members that the patch does not name keep their bytes and
 * their order, and a patch that alters nothing gives the same bytes. New members follow the
 * existing ones, in the order of the patch. If a member is repeated, the last one counts.
 *
 * Takes time in proportion to the length of both texts, however deep they are, and memory in
 * proportion to the number of the patch's members.
 */
#ifndef KV_WIRE_MERGE_PATCH_H
#define KV_WIRE_MERGE_PATCH_H

#include "wire/patch_tree.h"

/* Appends the result of the patch to `out`. Both texts have passed the scanner, and have no white
 * space around them.
 * old: bytes NULL if there is none; then, or if it is not an object, the patch is applied to an
 * empty object. Returns: 0, or KV_MERGE_TOO_MANY or KV_MERGE_NO_MEMORY, with `out` unchanged. */
int kv_merge_patch(struct kv_slice old, struct kv_slice patch, struct kv_buffer *out);

#endif
