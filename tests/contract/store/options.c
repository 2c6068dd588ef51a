/* Reads scalars as plainly as can be: what a test writes is not what an operator writes. */
#include "contract/store/options.h"

#include <stdlib.h>

static int read_choice(const struct kv_option *option, const char *text, int64_t *ret)
{
    for (int64_t i = 0; option->choices[i] != NULL; i++)
        if (strcmp(option->choices[i], text) == 0) {
            *ret = i;
            return 0;
        }
    return -1;
}

/* "@folder/x" with the folder in place. Returns: NULL where there is no memory. */
static char *expand(const char *text, const char *folder)
{
    const char *mark = strstr(text, FOLDER_MARK);
    char *expanded;
    if (mark == NULL)
        return strdup(text);
    if (asprintf(&expanded, "%.*s%s%s", (int)(mark - text), text, folder,
                 mark + strlen(FOLDER_MARK)) < 0)
        return NULL;
    return expanded;
}

static int read_integer(const struct kv_option *option, const char *text, int64_t *ret)
{
    if (option->keyword != NULL && strcmp(option->keyword, text) == 0) {
        *ret = KV_OPTION_KEYWORD;
        return 0;
    }
    char *end;
    *ret = strtoll(text, &end, 10);
    return *end == '\0' ? 0 : -1;
}

static int read_value(const struct kv_option *option, const char *text, const char *folder,
                      struct kv_option_value *value)
{
    switch (option->type) {
    case KV_OPTION_BOOL:
        value->boolean = strcmp(text, "true") == 0;
        return 0;
    case KV_OPTION_INT:
    case KV_OPTION_DURATION:
    case KV_OPTION_SIZE:
        return read_integer(option, text, &value->integer);
    case KV_OPTION_REAL:
        value->real = strtod(text, NULL);
        return 0;
    case KV_OPTION_CHOICE:
        return read_choice(option, text, &value->integer);
    case KV_OPTION_STRING: {
        char *expanded = expand(text, folder);
        if (expanded == NULL)
            return -1;
        value->string = kv_slice_of(expanded);
        return 0;
    }
    default:
        return -1;
    }
}

/* The value of the last setting of that name. Returns: NULL where there is none. */
static const char *find_setting(const char *name, int n_settings, char **settings)
{
    size_t len = strlen(name);
    for (int i = n_settings; i-- > 0;)
        if (strncmp(settings[i], name, len) == 0 && settings[i][len] == '=')
            return settings[i] + len + 1;
    return NULL;
}

struct kv_option_value *options_create(const struct kv_module *module, int n_settings,
                                       char **settings, const char *folder, struct kv_error *reterr)
{
    struct kv_option_value *values = calloc(module->n_options + 1, sizeof(*values));
    for (size_t i = 0; i < module->n_options; i++) {
        const struct kv_option *option = &module->options[i];
        const char *text = find_setting(option->name, n_settings, settings);
        values[i].is_given = text != NULL;
        if (text == NULL)
            text = option->fallback;
        if (option->type == KV_OPTION_STRING && text == NULL)
            text = "";
        if (text != NULL && read_value(option, text, folder, &values[i]) != 0) {
            kv_error_set(reterr, "option %s can't be read from \"%s\"", option->name, text);
            options_destroy(module, values);
            return NULL;
        }
    }
    return values;
}

void options_destroy(const struct kv_module *module, struct kv_option_value *values)
{
    for (size_t i = 0; values != NULL && i < module->n_options; i++)
        if (module->options[i].type == KV_OPTION_STRING)
            free((char *)values[i].string.bytes);
    free(values);
}
