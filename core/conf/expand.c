/*
 * One pass from left to right. The value of a variable is appended and not examined again, so that
 * the environment can introduce neither further variables nor structure.
 */
#include "conf/expand.h"

#include <ctype.h>
#include <stdlib.h>

#include "base/utf8.h"
#include "conf/text.h"

enum {
    NAME_MAX_BYTES = 255
};

static const char *process_get(const struct kv_conf_env *env, const char *name)
{
    (void)env;
    return getenv(name);
}

const struct kv_conf_env kv_conf_env_process = {.get = process_get};

static struct kv_slice skip(struct kv_slice text, size_t n)
{
    return (struct kv_slice){.bytes = text.bytes + n, .len = text.len - n};
}

static bool is_name(struct kv_slice text)
{
    if (text.len == 0 || text.len > NAME_MAX_BYTES || isdigit((unsigned char)text.bytes[0]))
        return false;
    for (size_t i = 0; i < text.len; i++)
        if (!isalnum((unsigned char)text.bytes[i]) && text.bytes[i] != '_')
            return false;
    return true;
}

/* inside: the text between the braces: `NAME` or `NAME:-fallback`. */
static int append_variable(struct kv_slice inside, const struct kv_conf_env *env,
                           struct kv_buffer *out, struct kv_error *reterr)
{
    struct kv_slice name = inside;
    const char *dash = memmem(inside.bytes, inside.len, ":-", 2);
    if (dash != NULL)
        name.len = (size_t)(dash - inside.bytes);
    if (!is_name(name))
        return kv_error_set(reterr, "%s is not the name of a variable (write $${ for the text ${)",
                            kv_text_show(name).text);
    char name_text[NAME_MAX_BYTES + 1];
    snprintf(name_text, sizeof(name_text), "%.*s", (int)name.len, name.bytes);
    const char *value = env->get(env, name_text);
    if (value != NULL && (dash == NULL || *value != '\0')) {
        if (!kv_utf8_is_valid(kv_slice_of(value)))
            return kv_error_set(reterr, "the environment's %s is not UTF-8", name_text);
        kv_buffer_append(out, kv_slice_of(value));
        return 0;
    }
    if (dash == NULL)
        return kv_error_set(reterr, "the environment has no %s (a default is given as ${%s:-text})",
                            name_text, name_text);
    kv_buffer_append(out, skip(inside, name.len + 2));
    return 0;
}

/* `text` begins with `${`; advances it past the closing brace. */
static int append_reference(struct kv_slice *text, const struct kv_conf_env *env,
                            struct kv_buffer *out, struct kv_error *reterr)
{
    struct kv_slice inside = skip(*text, 2);
    const char *end = inside.len == 0 ? NULL : memchr(inside.bytes, '}', inside.len);
    if (end == NULL)
        return kv_error_set(reterr, "${ has no } (write $${ for the text ${)");
    inside.len = (size_t)(end - inside.bytes);
    if (memmem(inside.bytes, inside.len, "${", 2) != NULL)
        return kv_error_set(reterr, "a variable within a variable");
    *text = skip(*text, inside.len + 3);
    return append_variable(inside, env, out, reterr);
}

int kv_conf_expand(struct kv_slice text, const struct kv_conf_env *env, struct kv_buffer *out,
                   struct kv_error *reterr)
{
    while (text.len > 0) {
        if (kv_slice_has_prefix(text, KV_SLICE("$${"))) {
            kv_buffer_append(out, KV_SLICE("${"));
            text = skip(text, 3);
        } else if (kv_slice_has_prefix(text, KV_SLICE("${"))) {
            if (append_reference(&text, env, out, reterr) != 0)
                return -1;
        } else {
            kv_buffer_append_char(out, text.bytes[0]);
            text = skip(text, 1);
        }
    }
    return 0;
}

bool kv_conf_has_variables(struct kv_slice text)
{
    while (text.len > 0) {
        if (kv_slice_has_prefix(text, KV_SLICE("${")))
            return true;
        text = skip(text, kv_slice_has_prefix(text, KV_SLICE("$${")) ? 3 : 1);
    }
    return false;
}
