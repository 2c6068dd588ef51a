#include "wire/json_walk.h"

#include <stdbool.h>
#include <string.h>

static bool is_space(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

const char *kv_json_skip_space(const char *at, const char *end)
{
    while (at < end && is_space(*at))
        at++;
    return at;
}

/* A quote after an odd number of backslashes does not end the string. */
const char *kv_json_skip_string(const char *at, const char *end)
{
    const char *inside = at + 1;
    while (inside < end) {
        const char *quote = memchr(inside, '"', (size_t)(end - inside));
        if (quote == NULL)
            return end;
        const char *before = quote;
        while (before > at + 1 && before[-1] == '\\')
            before--;
        if ((quote - before) % 2 == 0)
            return quote + 1;
        inside = quote + 1;
    }
    return end;
}

/* Skips an array or an object. */
static const char *skip_nested(const char *at, const char *end)
{
    unsigned depth = 0;
    while (at < end) {
        char byte = *at;
        if (byte == '"') {
            at = kv_json_skip_string(at, end);
            continue;
        }
        at++;
        if (byte == '{' || byte == '[')
            depth++;
        else if ((byte == '}' || byte == ']') && --depth == 0)
            return at;
    }
    return end;
}

const char *kv_json_skip_value(const char *at, const char *end)
{
    if (at == end)
        return end;
    if (*at == '"')
        return kv_json_skip_string(at, end);
    if (*at == '{' || *at == '[')
        return skip_nested(at, end);
    while (at < end && *at != ',' && *at != '}' && *at != ']' && !is_space(*at))
        at++;
    return at;
}
