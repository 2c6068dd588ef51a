/*
 * Walks the schema with its path. The rest of this folder relies on everything that this check
 * accepts.
 */
#include "conf/schema.h"

#include "conf/option.h"
#include "conf/path.h"
#include "conf/scalar.h"
#include "conf/text.h"

enum {
    MOST_LEVELS = 16
};

struct walk {
    size_t option_size;
    struct kv_path path;
    unsigned level;
    struct kv_error *reterr;
};

static int fault(struct walk *walk, const char *format, ...) KV_PRINTF(2, 3);

static int fault(struct walk *walk, const char *format, ...)
{
    struct kv_error what;
    va_list args;
    va_start(args, format);
    vsnprintf(what.text, sizeof(what.text), format, args);
    va_end(args);
    if (walk->path.text.len == 0)
        return kv_error_set(walk->reterr, "the options: %s", what.text);
    return kv_error_set(walk->reterr, "option \"%s\": %s", kv_path_text(&walk->path), what.text);
}

static bool is_snake_case(const char *name)
{
    return *name >= 'a' && *name <= 'z' &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == strlen(name);
}

static int check_numbers(struct walk *walk, const struct kv_option *option)
{
    if (!kv_option_is_number(option))
        return option->keyword == NULL ? 0 : fault(walk, "only numbers have a keyword");
    if (option->min > kv_option_max(option))
        return fault(walk, "its min is above its max (both have to be given)");
    if (option->type != KV_OPTION_INT && option->min < 0)
        return fault(walk, "its min is below 0");
    return 0;
}

/* Checks the value that an option has if the file does not give it. */
static int check_default(struct walk *walk, const struct kv_option *option)
{
    struct kv_error what;
    bool is_required = option->flags & KV_OPTION_REQUIRED;
    if (option->fallback != NULL) {
        if (!kv_option_is_scalar(option))
            return fault(walk, "only scalars have a default");
        if (is_required)
            return fault(walk, "required, and yet with a default");
        struct kv_option_value value = {0};
        if (kv_scalar_parse(option, kv_slice_of(option->fallback), &value, &what) != 0)
            return fault(walk, "the default: %s", what.text);
    } else if (kv_option_is_number(option) && !is_required) {
        if (kv_scalar_check_range(option, 0, "0", &what) != 0)
            return fault(walk, "the default: %s", what.text);
    }
    return 0;
}

static int check_fields(struct walk *walk, const struct kv_option *option);

/* `doc` appears in a comment of the printed configuration. */
static bool is_one_line(const char *doc)
{
    struct kv_slice rest = kv_slice_of(doc);
    uint32_t code;
    while (rest.len > 0)
        if (kv_text_take(&rest, &code) != 0 || kv_text_is_control(code))
            return false;
    return true;
}

static int check_flags(struct walk *walk, const struct kv_option *option)
{
    const uint32_t uses = KV_OPTION_READS | KV_OPTION_WRITES | KV_OPTION_FOLDER;
    uint32_t unknown =
        option->flags & ~(KV_OPTION_REQUIRED | KV_OPTION_SECRET | KV_OPTION_URL | uses);
    uint32_t use = option->flags & uses;
    if (unknown != 0)
        return fault(walk, "its flags 0x%x are unknown", (unsigned)unknown);
    if (use != 0 && option->type != KV_OPTION_PATH)
        return fault(walk, "only paths are read or written");
    if ((use & (use - 1)) != 0)
        return fault(walk, "a path has one use");
    if ((option->flags & KV_OPTION_URL) && option->type != KV_OPTION_STRING)
        return fault(walk, "only texts are URLs");
    if (option->secret_keys != NULL &&
        (option->type != KV_OPTION_MAP || !(option->flags & KV_OPTION_SECRET)))
        return fault(walk, "only secret maps have secret keys");
    return 0;
}

static int check_option(struct walk *walk, const struct kv_option *option)
{
    if (option->type < KV_OPTION_BOOL || option->type > KV_OPTION_PATH)
        return fault(walk, "its type %d is unknown", (int)option->type);
    if (check_flags(walk, option) != 0)
        return -1;
    if (option->doc != NULL && !is_one_line(option->doc))
        return fault(walk, "its doc is not one line of text");
    if (option->type == KV_OPTION_CHOICE && (option->choices == NULL || option->choices[0] == NULL))
        return fault(walk, "it has no choices");
    if (check_numbers(walk, option) != 0 || check_default(walk, option) != 0)
        return -1;
    return check_fields(walk, option);
}

static int check_name(struct walk *walk, const struct kv_option *parent, size_t i)
{
    const char *name = kv_option_at(parent->fields, walk->option_size, i).name;
    if (name == NULL)
        return fault(walk, "the name of member %zu is missing", i + 1);
    if (!is_snake_case(name))
        return fault(walk, "the name %s is not snake_case", kv_text_show(kv_slice_of(name)).text);
    for (size_t j = 0; j < i; j++)
        if (strcmp(kv_option_at(parent->fields, walk->option_size, j).name, name) == 0)
            return fault(walk, "the name \"%s\" is there twice", name);
    return 0;
}

static int check_member(struct walk *walk, const struct kv_option *parent, size_t i)
{
    if (check_name(walk, parent, i) != 0)
        return -1;
    struct kv_option field = kv_option_field(parent, walk->option_size, i);
    size_t mark = kv_path_enter(&walk->path, field.name);
    int status = check_option(walk, &field);
    kv_path_leave(&walk->path, mark);
    return status;
}

static int check_members(struct walk *walk, const struct kv_option *block)
{
    for (size_t i = 0; i < block->n_fields; i++)
        if (check_member(walk, block, i) != 0)
            return -1;
    return 0;
}

static int check_element(struct walk *walk, const struct kv_option *list)
{
    if (list->n_fields != 1)
        return fault(walk, "a list has one element in its fields, not %zu", list->n_fields);
    struct kv_option element = kv_option_field(list, walk->option_size, 0);
    size_t mark = kv_path_enter_index(&walk->path, 0);
    int status = check_option(walk, &element);
    kv_path_leave(&walk->path, mark);
    return status;
}

static int check_fields(struct walk *walk, const struct kv_option *option)
{
    if (option->type != KV_OPTION_BLOCK && option->type != KV_OPTION_LIST)
        return 0;
    if (option->fields == NULL && option->n_fields != 0)
        return fault(walk, "its fields are missing");
    if (walk->level == MOST_LEVELS)
        return fault(walk, "nested more than %d levels deep", (int)MOST_LEVELS);
    walk->level++;
    int status =
        option->type == KV_OPTION_BLOCK ? check_members(walk, option) : check_element(walk, option);
    walk->level--;
    return status;
}

int kv_schema_check(const struct kv_option *options, size_t n, size_t option_size,
                    struct kv_error *reterr)
{
    if (option_size < offsetof(struct kv_option, fallback) || option_size % sizeof(void *) != 0)
        return kv_error_set(reterr, "%zu is not the size of an option", option_size);
    const struct kv_option root = {.type = KV_OPTION_BLOCK, .fields = options, .n_fields = n};
    struct walk walk = {.option_size = option_size, .reterr = reterr};
    int status = check_fields(&walk, &root);
    kv_path_fini(&walk.path);
    return status;
}
