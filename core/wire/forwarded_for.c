#include "wire/forwarded_for.h"

#include <string.h>

static bool is_blank(char byte)
{
    return byte == ' ' || byte == '\t';
}

static struct kv_slice trim(struct kv_slice text)
{
    while (text.len != 0 && is_blank(text.bytes[text.len - 1]))
        text.len--;
    while (text.len != 0 && is_blank(text.bytes[0]))
        text = (struct kv_slice){text.bytes + 1, text.len - 1};
    return text;
}

/* `[::1]:80` and `192.0.2.1:80` have a port; `::1` has none. */
static struct kv_slice without_port(struct kv_slice text)
{
    if (text.len == 0)
        return text;
    if (text.bytes[0] == '[') {
        const char *end = memchr(text.bytes, ']', text.len);
        size_t len = end == NULL ? 0 : (size_t)(end - text.bytes) - 1;
        return (struct kv_slice){text.bytes + 1, len};
    }
    const char *colon = memchr(text.bytes, ':', text.len);
    bool is_port = colon != NULL && memrchr(text.bytes, ':', text.len) == colon;
    return (struct kv_slice){text.bytes, is_port ? (size_t)(colon - text.bytes) : text.len};
}

bool kv_forwarded_for_take_last(struct kv_slice *list, struct kv_address *ret)
{
    const char *comma = list->len == 0 ? NULL : memrchr(list->bytes, ',', list->len);
    size_t before = comma == NULL ? 0 : (size_t)(comma + 1 - list->bytes);
    struct kv_slice last = {list->bytes + before, list->len - before};
    list->len = comma == NULL ? 0 : before - 1;
    return last.len != 0 && kv_address_read(without_port(trim(last)), ret);
}
