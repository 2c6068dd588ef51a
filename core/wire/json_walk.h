/*
 * Steps through texts that the scanner (json.h) has passed, without checking them again. Never
 * passes `end`, whatever the text has.
 */
#ifndef KV_WIRE_JSON_WALK_H
#define KV_WIRE_JSON_WALK_H

/* The first byte at or after `at` that is not white space. */
const char *kv_json_skip_space(const char *at, const char *end);

/* at: the beginning of a string, or of any value. Returns: its end. */
const char *kv_json_skip_string(const char *at, const char *end);
const char *kv_json_skip_value(const char *at, const char *end);

#endif
