/*
 * Templates: prefixes that contain the subject of a token, such as `user/{sub}/`.
 */
#ifndef KV_ACCESS_TEMPLATE_H
#define KV_ACCESS_TEMPLATE_H

#include "base/buffer.h"

/* Whether the template is valid: `{sub}` is the only placeholder, and a `/` follows it, as
 * otherwise the grants of `user-1` would include the keys of `user-10`. Errors: -1. */
int kv_template_check(struct kv_slice template, struct kv_error *reterr);

bool kv_template_has_subject(struct kv_slice template);

/* Whether a subject can be inserted into a template: it is not empty, and contains no `/`. */
bool kv_subject_is_usable(struct kv_slice subject);

/* Appends the prefix for a usable subject. */
void kv_template_append(struct kv_slice template, struct kv_slice subject, struct kv_buffer *out);

#endif
