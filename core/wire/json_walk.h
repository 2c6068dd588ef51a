/*
 * Steps through texts that the scanner (json.h) has passed, without looking for faults again. `end`
 * is never passed, whatever the text has.
 */
#ifndef KV_WIRE_JSON_WALK_H
#define KV_WIRE_JSON_WALK_H

/* The first byte at or after `at` that is no white space. */
const char *kv_json_skip_space(const char *at, const char *end);

/* at: where a string, or any value, begins. Returns: where it ends. */
const char *kv_json_skip_string(const char *at, const char *end);
const char *kv_json_skip_value(const char *at, const char *end);

#endif
