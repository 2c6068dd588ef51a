/*
 * Conditions of requests for files (RFC 9110, section 13). A file has an arbitrary entity tag, and
 * possibly a time of modification; the entity tags of keys are revisions (wire/etag.h).
 */
#ifndef KV_HTTP_FILE_CONDITIONS_H
#define KV_HTTP_FILE_CONDITIONS_H

#include "http/answer.h"
#include "http/request.h"
#include "wire/http_text.h"

/* Returns: the status of the answer: 200, 304 or 412. */
int kv_file_conditions_judge(const struct kv_request *request, const struct kv_file_head *file);

#endif
