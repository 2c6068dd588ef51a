/*
 * Durations as written by people: `10 hours 1m 5s`, `1.5h`, `.5d`, `2days`, or a lone number of
 * milliseconds. One or more `<number> <unit>` parts in any order; repeated units add up. White
 * space (JSON's four characters) is allowed anywhere except before the first part and within a
 * number or a unit. A number is decimal digits with at most one point, which must be followed by
 * digits; it has no sign and no exponent. Units, in any letter case:
 *
 *      ms msec msecs millisecond milliseconds   s sec secs second seconds   m min mins minute
 * minutes h hr hrs hour hours   d day days   w week weeks   mo month months (a twelfth of a year)
 *      y yr yrs year years (365.25 days)
 */
#ifndef KV_BASE_DURATION_H
#define KV_BASE_DURATION_H

#include <kvserver/types.h>

/* Reads a duration of at most `max_ms` milliseconds. The sum is computed in exact decimal
 * arithmetic, whatever the number of digits, and is rounded up to a whole millisecond once.
 * Returns: 0, or -1 with *ret_what a constant text that continues a sentence after the quoted
 * duration, such as `is not a duration: …` or `is too long`. */
int kv_duration_parse(struct kv_slice text, int64_t max_ms, int64_t *ret_ms, const char **ret_what);

/* Refuses a valid duration that is a lone number other than 0: its author may have meant any unit.
 * Errors: -1 with a text such as `30 has no unit; write 30ms, 30s or 30m`. */
int kv_duration_check_unit(struct kv_slice text, struct kv_error *reterr);

#endif
