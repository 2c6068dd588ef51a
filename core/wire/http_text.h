/*
 * Lexical rules of HTTP's lines (RFC 9110, section 5.6): tokens, blanks around values, names in any
 * letter case, lists.
 */
#ifndef KV_WIRE_HTTP_TEXT_H
#define KV_WIRE_HTTP_TEXT_H

#include <kvserver/types.h>

/* The place where a request violates the protocol, or a limit. */
struct kv_http_fault {
    int status;       /* of the answer that refuses it; 0: no fault */
    const char *what; /* a sentence without its full stop; constant */
    size_t at;        /* byte offset in the request; SIZE_MAX: no single byte */
};

bool kv_http_is_token_char(char byte);
bool kv_http_is_token(struct kv_slice text);

static inline bool kv_http_is_blank(char byte)
{
    return byte == ' ' || byte == '\t';
}

/* Whether the byte is a control character other than tab, which a field value must not contain. */
static inline bool kv_http_is_control(char byte)
{
    return ((unsigned char)byte < ' ' && byte != '\t') || byte == '\x7f';
}

/* The text without the blanks around it. */
struct kv_slice kv_http_trim(struct kv_slice text);

/* Whether two texts are equal, ignoring letter case. lower: in lower case. */
bool kv_http_equals(struct kv_slice text, struct kv_slice lower);

/* Takes the first element, trimmed and possibly empty, off a comma-separated list.
 * Returns: false if the list is empty. */
bool kv_http_list_next(struct kv_slice *list, struct kv_slice *ret_element);

/* Whether a comma-separated list has this element, in any letter case. */
bool kv_http_list_has(struct kv_slice list, struct kv_slice lower);

#endif
