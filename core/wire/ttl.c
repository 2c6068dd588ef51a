/* wire/decimal.h reads numbers exactly, base/duration.h reads strings; this file applies the
 * limit. */
#include "wire/ttl.h"

#include <kvserver/ttl.h>

#include "base/duration.h"
#include "wire/decimal.h"
#include "wire/json.h"
#include "wire/json_string.h"
#include "wire/quote.h"

static int refuse(struct kv_slice value, const char *what, struct kv_error *reterr)
{
    return kv_error_set(reterr, "ttl: %s %s", kv_quote(value).text, what);
}

static int parse_number(struct kv_slice number, int64_t *ret_ms, struct kv_error *reterr)
{
    struct kv_decimal decimal = kv_decimal_read(number);
    if (decimal.is_negative)
        return refuse(number, "is negative", reterr);
    if (decimal.rounded > KV_TTL_MAX_MS)
        return refuse(number, "is too long", reterr);
    *ret_ms = (int64_t)decimal.rounded;
    return 0;
}

static int parse_escaped(struct kv_slice string, int64_t *ret_ms, const char **ret_what)
{
    struct kv_buffer text = {0};
    int rc = kv_json_unescape(string, &text);
    *ret_what = rc == KV_JSON_NO_MEMORY ? "is too long for this machine's memory"
                                        : "is not a duration: it has a lone surrogate";
    if (rc == 0)
        rc = kv_duration_parse(kv_buffer_slice(&text), KV_TTL_MAX_MS, ret_ms, ret_what);
    kv_buffer_fini(&text);
    return rc;
}

static int parse_string(struct kv_slice string, int64_t *ret_ms, struct kv_error *reterr)
{
    const char *what;
    int rc = kv_json_has_escapes(string)
                 ? parse_escaped(string, ret_ms, &what)
                 : kv_duration_parse(kv_json_inside(string), KV_TTL_MAX_MS, ret_ms, &what);
    return rc == 0 ? 0 : refuse(string, what, reterr);
}

int kv_ttl_parse(struct kv_slice json_value, int64_t *ret_ms, struct kv_error *reterr)
{
    switch (kv_json_type_of(json_value)) {
    case KV_JSON_NUMBER:
        return parse_number(json_value, ret_ms, reterr);
    case KV_JSON_STRING:
        return parse_string(json_value, ret_ms, reterr);
    default:
        return refuse(json_value, "is neither a number nor a string", reterr);
    }
}
