/*
 * extension-list = 1#extension; extension = token *( ";" param ); param = token [ "=" value ],
 * where the value is a token, or a quoted string that contains one. An offer is declined if a
 * parameter is unknown, repeated, or has an invalid value; then the next one is considered.
 */
#include "wire/deflate_offer.h"

#include <stdio.h>

#include "wire/http_text.h"

enum parameter {
    SERVER_NO_CONTEXT_TAKEOVER,
    CLIENT_NO_CONTEXT_TAKEOVER,
    SERVER_MAX_WINDOW_BITS,
    CLIENT_MAX_WINDOW_BITS,
    N_PARAMETERS
};

static const struct kv_slice names[N_PARAMETERS] = {
    [SERVER_NO_CONTEXT_TAKEOVER] = {"server_no_context_takeover", 26},
    [CLIENT_NO_CONTEXT_TAKEOVER] = {"client_no_context_takeover", 26},
    [SERVER_MAX_WINDOW_BITS] = {"server_max_window_bits", 22},
    [CLIENT_MAX_WINDOW_BITS] = {"client_max_window_bits", 22},
};

enum {
    LEAST_BITS = 8,
    LONGEST_VALUE = 2 /* of a known parameter */
};

struct value {
    bool is_given;
    bool is_longer; /* longer than `text` */
    uint8_t len;
    char text[LONGEST_VALUE];
};

struct offer {
    bool is_deflate;
    bool is_declined;
    uint32_t given; /* a bit for each parameter */
    struct kv_deflate_terms terms;
};

static void skip_blanks(struct kv_slice *left)
{
    while (left->len != 0 && kv_http_is_blank(left->bytes[0]))
        *left = (struct kv_slice){left->bytes + 1, left->len - 1};
}

/* Removes this byte from the front, with the blanks around it. Returns: whether it was there. */
static bool take(struct kv_slice *left, char byte)
{
    skip_blanks(left);
    if (left->len == 0 || left->bytes[0] != byte)
        return false;
    *left = (struct kv_slice){left->bytes + 1, left->len - 1};
    skip_blanks(left);
    return true;
}

/* Removes the token at the front. Returns: the token; empty if there is none. */
static struct kv_slice take_token(struct kv_slice *left)
{
    size_t len = 0;
    while (len < left->len && kv_http_is_token_char(left->bytes[len]))
        len++;
    struct kv_slice token = {left->bytes, len};
    *left = (struct kv_slice){left->bytes + len, left->len - len};
    return token;
}

static void append(struct value *value, char byte)
{
    if (value->len == LONGEST_VALUE)
        value->is_longer = true;
    else
        value->text[value->len++] = byte;
}

/* Starts after the opening quote. Returns: whether the string contains a token, and is closed. */
static bool take_quoted(struct kv_slice *left, struct value *value)
{
    size_t at = 0, n = 0;
    for (; at < left->len && left->bytes[at] != '"'; at++, n++) {
        if (left->bytes[at] == '\\' && ++at == left->len)
            return false;
        if (!kv_http_is_token_char(left->bytes[at]))
            return false;
        append(value, left->bytes[at]);
    }
    if (n == 0 || at == left->len)
        return false;
    *left = (struct kv_slice){left->bytes + at + 1, left->len - at - 1};
    return true;
}

/* Starts after the `=`. Returns: whether there is a value. */
static bool take_value(struct kv_slice *left, struct value *value)
{
    value->is_given = true;
    if (left->len != 0 && left->bytes[0] == '"') {
        *left = (struct kv_slice){left->bytes + 1, left->len - 1};
        return take_quoted(left, value);
    }
    struct kv_slice token = take_token(left);
    for (size_t i = 0; i < token.len; i++)
        append(value, token.bytes[i]);
    return token.len != 0;
}

/* A decimal number from 8 to 15, without leading zeros. Returns: 0 for anything else. */
static uint8_t window_bits_of(const struct value *value)
{
    if (value->is_longer || value->len == 0)
        return 0;
    uint8_t number = 0;
    for (uint8_t i = 0; i < value->len; i++) {
        if (value->text[i] < '0' || value->text[i] > '9')
            return 0;
        number = (uint8_t)(number * 10 + (value->text[i] - '0'));
    }
    bool is_plain = value->text[0] != '0';
    return is_plain && number >= LEAST_BITS && number <= KV_DEFLATE_MOST_BITS ? number : 0;
}

static enum parameter parameter_of(struct kv_slice name)
{
    int i = 0;
    while (i < N_PARAMETERS && !kv_http_equals(name, names[i]))
        i++;
    return i;
}

static void note(struct offer *offer, struct kv_slice name, const struct value *value)
{
    enum parameter parameter = parameter_of(name);
    bool is_number = parameter == SERVER_MAX_WINDOW_BITS ||
                     (parameter == CLIENT_MAX_WINDOW_BITS && value->is_given);
    bool is_right = is_number ? window_bits_of(value) != 0 : !value->is_given;
    if (parameter == N_PARAMETERS || !is_right || (offer->given & 1u << parameter) != 0) {
        offer->is_declined = true;
        return;
    }
    offer->given |= 1u << parameter;
    if (parameter == SERVER_MAX_WINDOW_BITS)
        offer->terms = (struct kv_deflate_terms){window_bits_of(value), true};
}

/* Returns: whether the extension is well formed. */
static bool take_extension(struct kv_slice *left, struct offer *offer)
{
    struct kv_slice name = take_token(left);
    *offer = (struct offer){.is_deflate = kv_http_equals(name, KV_SLICE("permessage-deflate")),
                            .terms = {.window_bits = KV_DEFLATE_MOST_BITS}};
    if (name.len == 0)
        return false;
    while (take(left, ';')) {
        struct value value = {0};
        struct kv_slice parameter = take_token(left);
        if (parameter.len == 0 || (take(left, '=') && !take_value(left, &value)))
            return false;
        note(offer, parameter, &value);
    }
    return true;
}

int kv_deflate_offer_read(struct kv_slice line, struct kv_deflate_terms *terms)
{
    struct kv_slice left = line;
    for (;;) {
        struct offer offer;
        while (take(&left, ',')) { /* a list may have empty elements (RFC 9110, section 5.6.1) */
        }
        if (left.len == 0)
            return 0;
        if (!take_extension(&left, &offer))
            return -1;
        if (offer.is_deflate && !offer.is_declined && terms->window_bits == 0)
            *terms = offer.terms;
        if (left.len != 0 && left.bytes[0] != ',')
            return -1;
    }
}

struct kv_slice kv_deflate_offer_answer(const struct kv_deflate_terms *terms,
                                        char room[KV_DEFLATE_LONGEST_ANSWER])
{
    static const char always[] =
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
    int len = 0;
    if (terms->window_bits != 0 && terms->names_window)
        len = snprintf(room, KV_DEFLATE_LONGEST_ANSWER, "%s; server_max_window_bits=%u", always,
                       terms->window_bits);
    else if (terms->window_bits != 0)
        len = snprintf(room, KV_DEFLATE_LONGEST_ANSWER, "%s", always);
    return (struct kv_slice){room, (size_t)len};
}
