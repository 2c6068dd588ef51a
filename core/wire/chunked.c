/* A state for each position in the grammar, and a function for each state that reads one byte; data
 * is taken in runs. */
#include "wire/chunked.h"

#include "base/digits.h"

enum {
    SIZE_BEGIN,
    SIZE,
    BEFORE_EXTENSION, /* blanks after a size */
    EXTENSION,
    SIZE_LF,
    DATA,
    DATA_CR,
    DATA_LF,
    TRAILER_BEGIN,
    TRAILER_NAME,
    TRAILER_VALUE,
    TRAILER_LF,
    END_LF,
    END,
    N_STATES,
    BROKEN = -1
};

void kv_chunked_init(struct kv_chunked *chunked, uint64_t max_bytes)
{
    *chunked = (struct kv_chunked){.state = SIZE_BEGIN, .max_bytes = max_bytes};
}

static int refuse(struct kv_chunked *chunked, int status, const char *what)
{
    chunked->fault = (struct kv_http_fault){status, what, chunked->n_read};
    return BROKEN;
}

static int fail(struct kv_chunked *chunked, const char *what)
{
    return refuse(chunked, 400, what);
}

/* Counts a byte that is neither data nor needed to tell its length. */
static int spend(struct kv_chunked *chunked, int next)
{
    if (++chunked->n_overhead > KV_CHUNKED_MOST_OVERHEAD)
        return fail(chunked, "the extensions of the chunks are too long");
    return next;
}

static int read_digit(struct kv_chunked *chunked, char byte)
{
    bool is_leading_zero = chunked->state == SIZE && chunked->size == 0;
    int digit = kv_digits_hex(byte);
    if (digit < 0)
        return fail(chunked, "the size of a chunk is not hexadecimal digits");
    bool fits = chunked->size <= UINT64_MAX >> 4;
    chunked->size = fits ? chunked->size << 4 | (unsigned)digit : UINT64_MAX;
    return is_leading_zero || !fits ? spend(chunked, SIZE) : SIZE;
}

static int read_size(struct kv_chunked *chunked, char byte)
{
    if (byte == '\r')
        return SIZE_LF;
    if (byte == ';')
        return spend(chunked, EXTENSION);
    return kv_http_is_blank(byte) ? spend(chunked, BEFORE_EXTENSION) : read_digit(chunked, byte);
}

static int read_before_extension(struct kv_chunked *chunked, char byte)
{
    if (byte == ';')
        return spend(chunked, EXTENSION);
    if (!kv_http_is_blank(byte))
        return fail(chunked, "the size of a chunk is not hexadecimal digits");
    return spend(chunked, BEFORE_EXTENSION);
}

static int read_extension(struct kv_chunked *chunked, char byte)
{
    if (byte == '\r')
        return SIZE_LF;
    if (kv_http_is_control(byte))
        return fail(chunked, "the extension of a chunk has a control character");
    return spend(chunked, EXTENSION);
}

static int read_size_lf(struct kv_chunked *chunked, char byte)
{
    if (byte != '\n')
        return fail(chunked, "the line with the size of a chunk does not end in CR LF");
    if (chunked->size > chunked->max_bytes - chunked->n_data)
        return refuse(chunked, 413, "the body is larger than this server takes");
    return chunked->size == 0 ? TRAILER_BEGIN : DATA;
}

static int read_data_cr(struct kv_chunked *chunked, char byte)
{
    return byte == '\r' ? DATA_LF : fail(chunked, "the data of a chunk does not end in CR LF");
}

static int read_data_lf(struct kv_chunked *chunked, char byte)
{
    return byte == '\n' ? SIZE_BEGIN : fail(chunked, "the data of a chunk does not end in CR LF");
}

static int count_trailer(struct kv_chunked *chunked, int next)
{
    if (++chunked->n_trailers > KV_CHUNKED_MOST_OVERHEAD)
        return fail(chunked, "the trailers are too long");
    return next;
}

static int read_trailer_begin(struct kv_chunked *chunked, char byte)
{
    if (byte == '\r')
        return END_LF;
    if (!kv_http_is_token_char(byte))
        return fail(chunked, "a trailer is not a header line");
    return count_trailer(chunked, TRAILER_NAME);
}

static int read_trailer_name(struct kv_chunked *chunked, char byte)
{
    if (byte != ':' && !kv_http_is_token_char(byte))
        return fail(chunked, "a trailer is not a header line");
    return count_trailer(chunked, byte == ':' ? TRAILER_VALUE : TRAILER_NAME);
}

static int read_trailer_value(struct kv_chunked *chunked, char byte)
{
    if (byte == '\r')
        return count_trailer(chunked, TRAILER_LF);
    if (kv_http_is_control(byte))
        return fail(chunked, "a trailer has a control character");
    return count_trailer(chunked, TRAILER_VALUE);
}

static int read_trailer_lf(struct kv_chunked *chunked, char byte)
{
    if (byte != '\n')
        return fail(chunked, "a trailer does not end in CR LF");
    return count_trailer(chunked, TRAILER_BEGIN);
}

static int read_end_lf(struct kv_chunked *chunked, char byte)
{
    return byte == '\n' ? END : fail(chunked, "the body does not end in CR LF");
}

static int (*const readers[N_STATES])(struct kv_chunked *, char) = {
    [SIZE_BEGIN] = read_digit,
    [SIZE] = read_size,
    [BEFORE_EXTENSION] = read_before_extension,
    [EXTENSION] = read_extension,
    [SIZE_LF] = read_size_lf,
    [DATA_CR] = read_data_cr,
    [DATA_LF] = read_data_lf,
    [TRAILER_BEGIN] = read_trailer_begin,
    [TRAILER_NAME] = read_trailer_name,
    [TRAILER_VALUE] = read_trailer_value,
    [TRAILER_LF] = read_trailer_lf,
    [END_LF] = read_end_lf,
};

/* Returns: the number of data bytes. */
static size_t take_data(struct kv_chunked *chunked, char *to, const char *from, size_t len)
{
    size_t n = len < chunked->size ? len : (size_t)chunked->size;
    if (to != from)
        memmove(to, from, n);
    chunked->size -= n;
    chunked->n_data += n;
    chunked->n_read += n;
    chunked->n_overhead -= n < chunked->n_overhead ? n : chunked->n_overhead;
    if (chunked->size == 0)
        chunked->state = DATA_CR;
    return n;
}

int kv_chunked_read(struct kv_chunked *chunked, char *to, const char *from, size_t len,
                    size_t *ret_read, size_t *ret_written)
{
    size_t at = 0, written = 0;
    while (at < len && chunked->state != END && chunked->state != BROKEN) {
        if (chunked->state == DATA) {
            size_t n = take_data(chunked, to + written, from + at, len - at);
            at += n;
            written += n;
            continue;
        }
        chunked->state = readers[chunked->state](chunked, from[at]);
        if (chunked->state != BROKEN) {
            chunked->n_read++;
            at++;
        }
    }
    *ret_read = at;
    *ret_written = written;
    return chunked->state == END ? 1 : chunked->state == BROKEN ? -1 : 0;
}
