/*
 * Durations as people write them: `10 hours 1m 5s`, `1.5h`, `.5d`, `2days`, or a lone number of
 * milliseconds. One or more `<number> <unit>` parts in any order, repeated units adding up. White
 * space (JSON's four characters) may stand anywhere but before the first part and within a number
 * or a unit. A number is decimal digits with at most one point, and digits after the point; it has
 * no sign and no exponent. Units, in any letter case:
 *
 *   ms msec msecs millisecond milliseconds   s sec secs second seconds   m min mins minute minutes
 *   h hr hrs hour hours   d day days   w week weeks   mo month months (a twelfth of a year)
 *   y yr yrs year years (365.25 days)
 */
#ifndef KV_BASE_DURATION_H
#define KV_BASE_DURATION_H

#include <kvserver/types.h>

/* Reads a duration of at most `max_ms` milliseconds. The sum is exact decimal arithmetic, whatever
 * the number of digits, and is rounded up to a whole millisecond once.
 * Returns: 0, or -1 with *ret_what a constant text that reads on after the quoted duration, as
 * `is not a duration: …` or `is too long`. */
int kv_duration_parse(struct kv_slice text, int64_t max_ms, int64_t *ret_ms, const char **ret_what);

/* Refuses a duration that was read, and not 0, but is a lone number: a person may have meant it in
 * any unit.
 * Errors: -1 with a text as `30 has no unit; write 30ms, 30s or 30m`. */
int kv_duration_check_unit(struct kv_slice text, struct kv_error *reterr);

#endif
