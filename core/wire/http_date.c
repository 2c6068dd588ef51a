#include "wire/http_date.h"

#include <time.h>

/* The program's locale is C: names are English. */

void kv_http_date_write(char *at, int64_t seconds)
{
    const time_t latest = 253402300799; /* of the year 9999 */
    time_t time = seconds < 0 ? 0 : seconds > latest ? latest : (time_t)seconds;
    struct tm date;
    gmtime_r(&time, &date);
    strftime(at, KV_HTTP_DATE_LEN + 1, "%a, %d %b %Y %H:%M:%S GMT", &date);
}

bool kv_http_date_read(struct kv_slice text, int64_t *ret_seconds)
{
    static const char *const formats[] = {"%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT",
                                          "%a %b %d %H:%M:%S %Y"};
    char copy[64];
    if (text.len >= sizeof(copy))
        return false;
    memcpy(copy, text.bytes == NULL ? "" : text.bytes, text.len);
    copy[text.len] = '\0';
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        struct tm date = {0};
        const char *end = strptime(copy, formats[i], &date);
        if (end != NULL && *end == '\0') {
            *ret_seconds = timegm(&date);
            return true;
        }
    }
    return false;
}
