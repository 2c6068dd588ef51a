/*
 * Block style, one option a line. A printer keeps its depth, and the number of list dashes due on
 * the next line, so that `- ` comes before the first line of an item, whatever that is. Scalars are
 * plain only if every character is known to be harmless.
 */
#include "conf/print.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>

#include "conf/check.h"
#include "conf/node.h"
#include "conf/option.h"
#include "conf/scalar.h"
#include "conf/text.h"
#include "conf/tree.h"
#include "conf/units.h"
#include "conf/url.h"

enum {
    STEP = 2 /* spaces per level */
};

struct printer {
    struct kv_conf_printer *outer;
    size_t option_size;
    size_t indent;
    unsigned dashes;
    struct kv_buffer *out;
};

/* A value, and the node that gives it (NULL: none). */
struct place {
    const struct kv_option_value *value;
    const struct kv_conf_node *node;
};

static void print_lines(struct printer *printer, const struct kv_option *option,
                        struct place place);

static void append(struct printer *printer, const char *text)
{
    kv_buffer_append(printer->out, kv_slice_of(text));
}

/* Begins a line. Each dash takes the place of one level of indentation. */
static void begin_line(struct printer *printer)
{
    size_t spaces = printer->indent - (size_t)printer->dashes * STEP;
    kv_buffer_printf(printer->out, "%*s", (int)spaces, "");
    for (; printer->dashes > 0; printer->dashes--)
        append(printer, "- ");
}

static bool is_plain(struct kv_slice text)
{
    static const char inner[] = "_./-+@:";
    if (text.len == 0 || text.bytes[text.len - 1] == ':' ||
        kv_slice_equals(text, KV_SLICE("null")) ||
        (!isalnum((unsigned char)text.bytes[0]) && strchr("_./", text.bytes[0]) == NULL))
        return false;
    for (size_t i = 0; i < text.len; i++)
        if (!isalnum((unsigned char)text.bytes[i]) &&
            memchr(inner, text.bytes[i], sizeof(inner) - 1) == NULL)
            return false;
    return true;
}

/* Whether the character may appear unescaped within YAML's double quotes. */
static bool is_printable(uint32_t code)
{
    return !kv_text_is_control(code) && code != 0x2028 && code != 0x2029 && code != 0xfeff &&
           code != 0xfffe && code != 0xffff;
}

static void append_character(struct kv_buffer *out, uint32_t code, struct kv_slice bytes)
{
    if (code == '"' || code == '\\')
        kv_buffer_append_char(out, '\\');
    if (is_printable(code))
        kv_buffer_append(out, bytes);
    else if (code == '\n')
        kv_buffer_append(out, KV_SLICE("\\n"));
    else if (code == '\t')
        kv_buffer_append(out, KV_SLICE("\\t"));
    else
        kv_buffer_printf(out, code <= 0xff ? "\\x%02" PRIx32 : "\\u%04" PRIx32, code);
}

/* Appends a scalar of YAML: plain or in double quotes. The text is UTF-8, as checked when it was
 * read. */
static void append_scalar(struct kv_buffer *out, struct kv_slice text)
{
    if (is_plain(text)) {
        kv_buffer_append(out, text);
        return;
    }
    kv_buffer_append_char(out, '"');
    uint32_t code;
    const char *from = text.bytes;
    while (text.len > 0 && kv_text_take(&text, &code) == 0) {
        append_character(out, code, (struct kv_slice){from, (size_t)(text.bytes - from)});
        from = text.bytes;
    }
    kv_buffer_append_char(out, '"');
}

/* Appends a value's text, with `${` escaped. */
static void append_text(struct kv_buffer *out, struct kv_slice text)
{
    struct kv_buffer escaped = {0};
    for (size_t i = 0; i < text.len; i++) {
        if (text.bytes[i] == '$' && i + 1 < text.len && text.bytes[i + 1] == '{')
            kv_buffer_append_char(&escaped, '$');
        kv_buffer_append_char(&escaped, text.bytes[i]);
    }
    append_scalar(out, kv_buffer_slice(&escaped));
    kv_buffer_fini(&escaped);
}

/* Appends a number with as few digits as preserve its value. */
static void append_real(struct kv_buffer *out, double real)
{
    char digits[32];
    int precision = 1;
    do
        snprintf(digits, sizeof(digits), "%.*g", precision, real);
    while (strtod(digits, NULL) != real && precision++ < 17);
    kv_buffer_append(out, kv_slice_of(digits));
}

static void append_number(struct kv_buffer *out, const struct kv_option *option, int64_t number)
{
    if (option->keyword != NULL && number == KV_OPTION_KEYWORD)
        append_text(out, kv_slice_of(option->keyword));
    else
        kv_number_append(option->type, number, out);
}

static void append_value(struct kv_buffer *out, const struct kv_option *option,
                         const struct kv_option_value *value)
{
    switch (option->type) {
    case KV_OPTION_BOOL:
        kv_buffer_append(out, kv_slice_of(value->boolean ? "true" : "false"));
        break;
    case KV_OPTION_REAL:
        append_real(out, value->real);
        break;
    case KV_OPTION_STRING:
    case KV_OPTION_PATH:
        append_text(out, value->string);
        break;
    case KV_OPTION_CHOICE:
        append_text(out, kv_slice_of(option->choices[value->integer]));
        break;
    default:
        append_number(out, option, value->integer);
    }
}

static bool has_required(const struct kv_option *block, size_t option_size)
{
    for (size_t i = 0; i < block->n_fields; i++)
        if (kv_option_at(block->fields, option_size, i).flags & KV_OPTION_REQUIRED)
            return true;
    return false;
}

/* Whether the option is a tree, or a list of trees, which the caller prints. */
static bool is_left_out(const struct kv_option *option, size_t option_size)
{
    if (option->type != KV_OPTION_LIST)
        return option->type == KV_OPTION_TREE;
    struct kv_option element = kv_option_field(option, option_size, 0);
    return is_left_out(&element, option_size);
}

static bool has_lines(const struct printer *printer, const struct kv_option *option,
                      const struct kv_option_value *value)
{
    if (option->type != KV_OPTION_BLOCK)
        return value->list.n != 0;
    for (size_t i = 0; i < option->n_fields; i++) {
        struct kv_option field = kv_option_field(option, printer->option_size, i);
        if (!is_left_out(&field, printer->option_size))
            return true;
    }
    return false;
}

/* The text after the name if the value fits into the line. Returns: NULL if it needs more lines. */
static const char *short_form(const struct printer *printer, const struct kv_option *option,
                              const struct kv_option_value *value)
{
    /* If the block were written out, it would be given, and its required members missing. */
    if (option->type == KV_OPTION_BLOCK && !value->is_given &&
        has_required(option, printer->option_size))
        return "~";
    if (has_lines(printer, option, value))
        return NULL;
    return option->type == KV_OPTION_LIST ? "[]" : "{}";
}

/* Whether the value contains a secret; a default does not. */
static bool has_secret(const struct kv_option *option, const struct kv_option_value *value)
{
    if (option->flags & KV_OPTION_URL)
        return value->is_given && kv_url_login(value->string).len != 0;
    return value->is_given && (option->flags & KV_OPTION_SECRET) != 0;
}

/* Of a URL, only the login is hidden. */
static void append_hidden(struct kv_buffer *out, const struct kv_option *option,
                          const struct kv_option_value *value)
{
    if (!(option->flags & KV_OPTION_URL)) {
        append_scalar(out, KV_SLICE(KV_SCALAR_HIDDEN));
        return;
    }
    struct kv_slice login = kv_url_login(value->string);
    struct kv_buffer url = {0};
    kv_buffer_printf(&url, "%.*s" KV_SCALAR_HIDDEN "%s", (int)(login.bytes - value->string.bytes),
                     value->string.bytes, login.bytes + login.len);
    append_text(out, kv_buffer_slice(&url));
    kv_buffer_fini(&url);
}

/* Appends a given value; one that may be secret, with its references to variables. */
static void append_given(struct printer *printer, const struct kv_option *option,
                         struct place place)
{
    bool may_be_secret = (option->flags & (KV_OPTION_SECRET | KV_OPTION_URL)) != 0;
    bool is_secret = has_secret(option, place.value);
    const char *source = may_be_secret ? kv_conf_node_source(place.node) : NULL;
    printer->outer->n_literal += is_secret && source == NULL;
    if (source != NULL)
        append_scalar(printer->out, kv_slice_of(source));
    else if (is_secret && !printer->outer->shows_secrets)
        append_hidden(printer->out, option, place.value);
    else
        append_value(printer->out, option, place.value);
}

static void end_line(struct printer *printer, const char *doc)
{
    if (doc != NULL && *doc != '\0')
        kv_buffer_printf(printer->out, "  # %s", doc);
    kv_buffer_append_char(printer->out, '\n');
}

/* Appends a value that fits into the line. Returns: whether more lines have to follow. */
static bool append_short(struct printer *printer, const struct kv_option *option,
                         struct place place, const char *space)
{
    bool is_scalar = kv_option_is_scalar(option);
    const char *text = is_scalar ? NULL : short_form(printer, option, place.value);
    if (!is_scalar && text == NULL)
        return true;
    append(printer, space);
    if (is_scalar)
        append_given(printer, option, place);
    else
        append(printer, text);
    return false;
}

static void print_member(struct printer *printer, const struct kv_option *option,
                         struct place place)
{
    begin_line(printer);
    kv_buffer_printf(printer->out, "%s:", option->name);
    bool has_more = append_short(printer, option, place, " ");
    end_line(printer, option->doc);
    if (!has_more)
        return;
    printer->indent += STEP;
    print_lines(printer, option, place);
    printer->indent -= STEP;
}

static bool fits_a_line(const struct printer *printer, const struct kv_option *option,
                        const struct kv_option_value *value)
{
    return kv_option_is_scalar(option) || short_form(printer, option, value) != NULL;
}

static void print_item(struct printer *printer, const struct kv_option *element, struct place place)
{
    printer->indent += STEP;
    printer->dashes++;
    if (fits_a_line(printer, element, place.value)) {
        begin_line(printer);
        append_short(printer, element, place, "");
        end_line(printer, NULL);
    } else {
        print_lines(printer, element, place);
    }
    printer->indent -= STEP;
}

static void print_pair(struct printer *printer, const struct kv_option *map, struct kv_slice name,
                       struct place place)
{
    const struct kv_option text = kv_option_of_key(map, name.bytes);
    begin_line(printer);
    append_scalar(printer->out, name);
    append(printer, ": ");
    append_given(printer, &text, place);
    end_line(printer, NULL);
}

static void print_pairs(struct printer *printer, const struct kv_option *map, struct place place)
{
    const struct kv_option_value *items = place.value->list.items;
    for (size_t i = 0; i < place.value->list.n; i += 2) {
        const char *name = items[i].string.bytes;
        const struct place pair = {&items[i + 1], kv_conf_node_find(place.node, name)};
        print_pair(printer, map, items[i].string, pair);
    }
}

static void print_items(struct printer *printer, const struct kv_option *list, struct place place)
{
    struct kv_option element = kv_option_field(list, printer->option_size, 0);
    for (size_t i = 0; i < place.value->list.n; i++) {
        const struct place item = {&place.value->list.items[i], kv_conf_node_child(place.node, i)};
        print_item(printer, &element, item);
    }
}

static void print_members(struct printer *printer, const struct kv_option *block,
                          struct place place)
{
    for (size_t i = 0; i < place.value->list.n; i++) {
        struct kv_option field = kv_option_field(block, printer->option_size, i);
        const struct place member = {&place.value->list.items[i],
                                     kv_conf_node_find(place.node, field.name)};
        if (!is_left_out(&field, printer->option_size))
            print_member(printer, &field, member);
    }
}

static void print_lines(struct printer *printer, const struct kv_option *option, struct place place)
{
    if (option->type == KV_OPTION_MAP)
        print_pairs(printer, option, place);
    else if (option->type == KV_OPTION_LIST)
        print_items(printer, option, place);
    else
        print_members(printer, option, place);
}

void kv_conf_print_text(struct kv_buffer *out, struct kv_slice text, const char *source)
{
    if (source != NULL)
        append_scalar(out, kv_slice_of(source));
    else
        append_text(out, text);
}

void kv_conf_print(struct kv_conf_printer *outer, const struct kv_conf_block *block,
                   const struct kv_option_value *values, unsigned indent)
{
    const struct kv_option root = {
        .type = KV_OPTION_BLOCK, .fields = block->options, .n_fields = block->n_options};
    const struct kv_option_value value = {.list = {.items = values, .n = block->n_options}};
    struct printer printer = {
        .outer = outer, .option_size = block->option_size, .indent = indent, .out = outer->out};
    print_lines(&printer, &root, (struct place){&value, block->node});
}
