/*
 * Prefixes with the subject of a token in them: `user/{sub}/`.
 */
#ifndef KV_ACCESS_TEMPLATE_H
#define KV_ACCESS_TEMPLATE_H

#include "base/buffer.h"

/* Whether it can be used: `{sub}` is the only placeholder, and a `/` follows it, as otherwise the
 * keys of `user-1` would be those of `user-10`, too. Errors: -1. */
int kv_template_check(struct kv_slice template, struct kv_error *reterr);

bool kv_template_has_subject(struct kv_slice template);

/* Whether a subject can stand in a template: it is not empty, and no path. */
bool kv_subject_is_usable(struct kv_slice subject);

/* Appends the prefix for a usable subject. */
void kv_template_append(struct kv_slice template, struct kv_slice subject, struct kv_buffer *out);

#endif
