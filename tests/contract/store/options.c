/* Reads the scalars of a module's schema, and its lists of strings, as the server does. Blocks get
 * their defaults. */
#include "contract/store/options.h"

#include <stdlib.h>

#include "conf/option.h"
#include "conf/scalar.h"

/* Replaces "@folder" in the text. Returns: NULL if memory runs out. */
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

/* A string is copied, with the folder in place. */
static int read_value(const struct kv_option *option, const char *text, const char *folder,
                      struct kv_option_value *value, struct kv_error *reterr)
{
    if (!kv_option_is_text(option))
        return kv_scalar_parse(option, kv_slice_of(text), value, reterr);
    char *expanded = expand(text, folder);
    if (expanded == NULL)
        return kv_error_set(reterr, "no memory");
    value->string = kv_slice_of(expanded);
    return 0;
}

/* Strings separated by commas. */
static int read_list(const struct kv_option *option, const char *text, const char *folder,
                     struct kv_option_value *value, struct kv_error *reterr)
{
    size_t most = 1;
    for (const char *comma = text; (comma = strchr(comma, ',')) != NULL; comma++)
        most++;
    struct kv_option_value *items = calloc(most, sizeof(*items));
    char *rest = strdup(text), *at = rest, *one;
    int result = 0;
    value->list.items = items;
    while (result == 0 && (one = strsep(&at, ",")) != NULL)
        result = read_value(&option->fields[0], one, folder, &items[value->list.n++], reterr);
    free(rest);
    return result;
}

static int read_setting(const struct kv_option *option, const char *text, const char *folder,
                        struct kv_option_value *value, struct kv_error *reterr)
{
    return option->type == KV_OPTION_LIST ? read_list(option, text, folder, value, reterr)
                                          : read_value(option, text, folder, value, reterr);
}

/* The value of the last setting with that name. Returns: NULL if there is none. */
static const char *find_setting(const char *name, int n_settings, char **settings)
{
    size_t len = strlen(name);
    for (int i = n_settings; i-- > 0;)
        if (strncmp(settings[i], name, len) == 0 && settings[i][len] == '=')
            return settings[i] + len + 1;
    return NULL;
}

static void release(const struct kv_option *option, struct kv_option_value *value)
{
    if (kv_option_is_text(option))
        free((char *)value->string.bytes);
    for (size_t i = 0; option->type == KV_OPTION_BLOCK && i < value->list.n; i++)
        release(&option->fields[i], (struct kv_option_value *)&value->list.items[i]);
    for (size_t i = 0; option->type == KV_OPTION_LIST && i < value->list.n; i++)
        release(&option->fields[0], (struct kv_option_value *)&value->list.items[i]);
    if (option->type == KV_OPTION_BLOCK || option->type == KV_OPTION_LIST)
        free((void *)value->list.items);
}

static int read_default(const struct kv_option *option, const char *folder,
                        struct kv_option_value *value, struct kv_error *reterr)
{
    if (option->type == KV_OPTION_BLOCK) {
        struct kv_option_value *items = calloc(option->n_fields + 1, sizeof(*items));
        int result = 0;
        value->list.items = items;
        value->list.n = option->n_fields;
        for (size_t i = 0; i < option->n_fields && result == 0; i++)
            result = read_default(&option->fields[i], folder, &items[i], reterr);
        return result;
    }
    const char *text = option->fallback;
    if (kv_option_is_text(option) && text == NULL)
        text = "";
    return text == NULL ? 0 : read_value(option, text, folder, value, reterr);
}

struct kv_option_value *options_create(const struct kv_module *module, int n_settings,
                                       char **settings, const char *folder, struct kv_error *reterr)
{
    struct kv_option_value *values = calloc(module->n_options + 1, sizeof(*values));
    for (size_t i = 0; i < module->n_options; i++) {
        const struct kv_option *option = &module->options[i];
        const char *text = find_setting(option->name, n_settings, settings);
        values[i].is_given = text != NULL;
        struct kv_error error;
        int result = text != NULL ? read_setting(option, text, folder, &values[i], &error)
                                  : read_default(option, folder, &values[i], &error);
        if (result != 0) {
            kv_error_set(reterr, "option %s: \"%s\" %s", option->name, text == NULL ? "" : text,
                         error.text);
            options_destroy(module, values);
            return NULL;
        }
    }
    return values;
}

void options_destroy(const struct kv_module *module, struct kv_option_value *values)
{
    for (size_t i = 0; values != NULL && i < module->n_options; i++)
        release(&module->options[i], &values[i]);
    free(values);
}
