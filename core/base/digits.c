/* Two digits a step, from the last to the first. */
#include "base/digits.h"

#include <string.h>

size_t kv_digits_write(char *to, uint64_t number)
{
    static const char pairs[] = "00010203040506070809101112131415161718192021222324"
                                "25262728293031323334353637383940414243444546474849"
                                "50515253545556575859606162636465666768697071727374"
                                "75767778798081828384858687888990919293949596979899";
    char digits[KV_DIGITS_MAX];
    size_t at = sizeof(digits);
    for (; number >= 100; number /= 100)
        memcpy(digits + (at -= 2), pairs + number % 100 * 2, 2);
    if (number >= 10)
        memcpy(digits + (at -= 2), pairs + number * 2, 2);
    else
        digits[--at] = (char)('0' + number);
    memcpy(to, digits + at, sizeof(digits) - at);
    return sizeof(digits) - at;
}
