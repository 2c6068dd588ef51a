/*
 * Each piece between two `&` is decoded to the end of one buffer that has room for all of them, as
 * no piece gets longer; so the buffer never moves.
 */
#include "wire/query.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/digits.h"
#include "base/utf8.h"
#include "wire/quote.h"

int kv_query_begin(struct kv_query *query, const struct kv_query_form *form, struct kv_slice text,
                   struct kv_buffer *decoded)
{
    *query = (struct kv_query){.form = form, .text = text, .decoded = decoded};
    decoded->len = 0;
    return text.len == 0 || kv_buffer_try_reserve(decoded, text.len) != NULL ? 0 : -1;
}

/* Takes the next piece that is not empty. Returns: false if there is none. */
static bool next_piece(struct kv_query *query, struct kv_slice *ret_piece)
{
    struct kv_slice text = query->text;
    while (query->at < text.len && text.bytes[query->at] == '&')
        query->at++;
    if (query->at >= text.len)
        return false;
    const char *begin = text.bytes + query->at;
    const char *end = memchr(begin, '&', text.len - query->at);
    ret_piece->bytes = begin;
    ret_piece->len = end == NULL ? text.len - query->at : (size_t)(end - begin);
    query->at += ret_piece->len;
    return true;
}

static void split(struct kv_slice piece, struct kv_slice *ret_name, struct kv_slice *ret_value)
{
    const char *equals = memchr(piece.bytes, '=', piece.len);
    size_t len = equals == NULL ? piece.len : (size_t)(equals - piece.bytes);
    size_t begin = equals == NULL ? piece.len : len + 1;
    *ret_name = (struct kv_slice){piece.bytes, len};
    *ret_value = (struct kv_slice){piece.bytes + begin, piece.len - begin};
}

/* Returns: -1 and *reterr if an escape is broken, or the result is not UTF-8. */
static int decode(struct kv_query *query, struct kv_slice part, struct kv_slice *ret_decoded,
                  struct kv_error *reterr)
{
    struct kv_buffer *out = query->decoded;
    const char *at = part.bytes, *end = part.bytes + part.len;
    struct kv_slice decoded = {.bytes = out->bytes + out->len};
    while (at < end) {
        int byte = *at == '+' ? ' ' : (unsigned char)*at;
        if (byte == '%' && (byte = kv_digits_percent(at, end)) < 0)
            return kv_error_set(reterr, "the query: a broken percent escape at byte %zu",
                                (size_t)(at - query->text.bytes));
        at += *at == '%' ? 3 : 1;
        out->bytes[out->len++] = (char)byte;
        decoded.len++;
    }
    if (!kv_utf8_is_valid(decoded))
        return kv_error_set(reterr, "the query: the text at byte %zu is not UTF-8",
                            (size_t)(part.bytes - query->text.bytes));
    *ret_decoded = decoded;
    return 0;
}

static int refuse_unknown(const struct kv_query_form *form, struct kv_slice name,
                          struct kv_error *reterr)
{
    char names[256] = "";
    size_t len = 0;
    for (size_t i = 0; i < form->n_names && len < sizeof(names); i++)
        len += (size_t)snprintf(names + len, sizeof(names) - len, "%s%s", i == 0 ? "" : ", ",
                                form->names[i].bytes);
    return kv_error_set(reterr, "unknown parameter \"%s\": this path takes %s", kv_quote(name).text,
                        names);
}

static int find(const struct kv_query_form *form, struct kv_slice name)
{
    for (size_t i = 0; i < form->n_names; i++)
        if (kv_slice_equals(name, form->names[i]))
            return (int)i;
    return -1;
}

/* Returns: the index of the name; -1 and *reterr if it is not accepted, or not again. */
static int identify(struct kv_query *query, struct kv_slice name, struct kv_error *reterr)
{
    const struct kv_query_form *form = query->form;
    int which = find(form, name);
    if (which < 0)
        return refuse_unknown(form, name, reterr);
    uint32_t bit = UINT32_C(1) << which;
    if ((query->seen & ~form->repeatable & bit) != 0)
        return kv_error_set(reterr, "the parameter \"%s\" is given twice",
                            form->names[which].bytes);
    query->seen |= bit;
    return which;
}

int kv_query_next(struct kv_query *query, struct kv_slice *ret_value, struct kv_error *reterr)
{
    struct kv_slice piece, name, value;
    if (!next_piece(query, &piece))
        return KV_QUERY_END;
    split(piece, &name, &value);
    if (decode(query, name, &name, reterr) != 0)
        return KV_QUERY_BAD;
    int which = identify(query, name, reterr);
    if (which < 0 || decode(query, value, ret_value, reterr) != 0)
        return KV_QUERY_BAD;
    return which;
}

int kv_query_read_bool(struct kv_slice name, struct kv_slice value, bool *ret,
                       struct kv_error *reterr)
{
    *ret = kv_slice_equals(value, KV_SLICE("true"));
    if (*ret || kv_slice_equals(value, KV_SLICE("false")))
        return 0;
    return kv_error_set(reterr, "the parameter \"%s\" must be true or false, not \"%s\"",
                        name.bytes, kv_quote(value).text);
}

/* Returns: false if the text does not consist of digits, or is above `most`. */
static bool read_digits(struct kv_slice text, uint64_t most, uint64_t *ret)
{
    uint64_t number = 0;
    for (size_t i = 0; i < text.len; i++) {
        uint64_t digit = (uint64_t)text.bytes[i] - '0';
        if (digit > 9 || number > (most - digit) / 10 || digit > most)
            return false;
        number = number * 10 + digit;
    }
    *ret = number;
    return text.len > 0;
}

int kv_query_read_number(struct kv_slice name, struct kv_slice value, uint64_t least, uint64_t most,
                         uint64_t *ret, struct kv_error *reterr)
{
    if (read_digits(value, most, ret) && *ret >= least)
        return 0;
    return kv_error_set(reterr,
                        "the parameter \"%s\" must be a whole number from %" PRIu64 " to %" PRIu64
                        ", not \"%s\"",
                        name.bytes, least, most, kv_quote(value).text);
}
