#include "request.h"

#include <assert.h>

/* Writes the digits up to the end of the room. Returns: where they begin. printf() would take an
 * eighth of the processor time of a read. */
static char *write_digits(char *end, uint64_t number)
{
    do {
        *--end = (char)('0' + number % 10);
        number /= 10;
    } while (number != 0);
    return end;
}

static size_t n_digits(uint64_t number)
{
    size_t n = 1;
    while ((number /= 10) != 0)
        n++;
    return n;
}

static void append_head(struct buffer *out, char type, size_t number)
{
    size_t n = n_digits(number);
    char *at = out->bytes + out->end;
    assert(out->capacity - out->end > n);
    *at = type;
    write_digits(at + 1 + n, number);
    out->end += 1 + n;
    buffer_append(out, KV_SLICE("\r\n"));
}

void request_begin(struct buffer *out, size_t n_words)
{
    append_head(out, '*', n_words);
}

void request_open(struct buffer *out, size_t len)
{
    append_head(out, '$', len);
}

void request_close(struct buffer *out)
{
    buffer_append(out, KV_SLICE("\r\n"));
}

void request_joined(struct buffer *out, struct kv_slice first, struct kv_slice second)
{
    request_open(out, first.len + second.len);
    buffer_append(out, first);
    buffer_append(out, second);
    request_close(out);
}

void request_word(struct buffer *out, struct kv_slice word)
{
    request_joined(out, word, (struct kv_slice){0});
}

void request_number(struct buffer *out, int64_t number)
{
    char digits[REQUEST_WORD];
    char *begin =
        write_digits(digits + sizeof(digits), number < 0 ? 0 - (uint64_t)number : (uint64_t)number);
    if (number < 0)
        *--begin = '-';
    request_word(out, (struct kv_slice){begin, (size_t)(digits + sizeof(digits) - begin)});
}

bool request_words(struct buffer *out, const struct kv_slice *words, size_t n_words)
{
    size_t size = REQUEST_WORD;
    for (size_t i = 0; i < n_words; i++)
        size += REQUEST_WORD + words[i].len;
    if (!buffer_reserve(out, size))
        return false;
    request_begin(out, n_words);
    for (size_t i = 0; i < n_words; i++)
        request_word(out, words[i]);
    return true;
}
