/*
 * Block style, one option a line. A printer knows how deep it is and how many dashes of list
 * items are due on the next line, so that `- ` lands before the first line of whatever an item
 * turns out to be. Scalars stay plain only where every character is known to be harmless.
 */
#include "conf/print.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>

#include "conf/option.h"
#include "conf/text.h"
#include "conf/units.h"

enum {
    STEP = 2 /* spaces a level */
};

struct printer {
    size_t option_size;
    size_t indent;
    unsigned dashes;
    struct kv_buffer *out;
};

static void print_lines(struct printer *printer, const struct kv_option *option,
                        const struct kv_option_value *value);

static void append(struct printer *printer, const char *text)
{
    kv_buffer_append(printer->out, kv_slice_of(text));
}

/* Opens a line. The dashes take the place of as many steps of the indent. */
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

/* Whether YAML takes the character within double quotes as it is. */
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

/* As YAML has it: plain or in double quotes. The text is UTF-8, like everything from a file. */
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

/* A value's text: `${` is written so that it stays what it is. */
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

/* With as few digits as give the same number back. */
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

/* Trees, and lists of them: the caller prints those. */
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

/* What stands behind the name where no lines follow. Returns: NULL where lines do, and for plain
 * scalars. */
static const char *short_form(const struct printer *printer, const struct kv_option *option,
                              const struct kv_option_value *value)
{
    if (option->flags & KV_OPTION_SECRET)
        return "\"<hidden>\"";
    if (kv_option_is_scalar(option))
        return NULL;
    /* Written out, the block would be given, and what is required in it missing. */
    if (option->type == KV_OPTION_BLOCK && !value->is_given &&
        has_required(option, printer->option_size))
        return "~";
    if (has_lines(printer, option, value))
        return NULL;
    return option->type == KV_OPTION_LIST ? "[]" : "{}";
}

static void end_line(struct printer *printer, const char *doc)
{
    if (doc != NULL && *doc != '\0')
        kv_buffer_printf(printer->out, "  # %s", doc);
    kv_buffer_append_char(printer->out, '\n');
}

/* A value that fits into its line: the short form where it has one. */
static void append_short(struct printer *printer, const struct kv_option *option,
                         const struct kv_option_value *value, const char *short_text)
{
    if (short_text != NULL)
        append(printer, short_text);
    else
        append_value(printer->out, option, value);
}

static void print_member(struct printer *printer, const struct kv_option *option,
                         const struct kv_option_value *value)
{
    begin_line(printer);
    kv_buffer_printf(printer->out, "%s:", option->name);
    const char *text = short_form(printer, option, value);
    if (text != NULL || kv_option_is_scalar(option)) {
        append(printer, " ");
        append_short(printer, option, value, text);
        end_line(printer, option->doc);
    } else {
        end_line(printer, option->doc);
        printer->indent += STEP;
        print_lines(printer, option, value);
        printer->indent -= STEP;
    }
}

static void print_item(struct printer *printer, const struct kv_option *element,
                       const struct kv_option_value *value)
{
    printer->indent += STEP;
    printer->dashes++;
    const char *text = short_form(printer, element, value);
    if (text != NULL || kv_option_is_scalar(element)) {
        begin_line(printer);
        append_short(printer, element, value, text);
        end_line(printer, NULL);
    } else {
        print_lines(printer, element, value);
    }
    printer->indent -= STEP;
}

static void print_pair(struct printer *printer, struct kv_slice name, struct kv_slice text)
{
    begin_line(printer);
    append_scalar(printer->out, name);
    append(printer, ": ");
    append_text(printer->out, text);
    end_line(printer, NULL);
}

/* The members of a block, the items of a list, the pairs of a map. */
static void print_lines(struct printer *printer, const struct kv_option *option,
                        const struct kv_option_value *value)
{
    const struct kv_option_value *items = value->list.items;
    if (option->type == KV_OPTION_MAP) {
        for (size_t i = 0; i < value->list.n; i += 2)
            print_pair(printer, items[i].string, items[i + 1].string);
        return;
    }
    for (size_t i = 0; i < value->list.n; i++) {
        bool is_list = option->type == KV_OPTION_LIST;
        struct kv_option field = kv_option_field(option, printer->option_size, is_list ? 0 : i);
        if (is_list)
            print_item(printer, &field, &items[i]);
        else if (!is_left_out(&field, printer->option_size))
            print_member(printer, &field, &items[i]);
    }
}

void kv_conf_print(const struct kv_option *options, size_t n_options, size_t option_size,
                   const struct kv_option_value *values, unsigned indent, struct kv_buffer *out)
{
    const struct kv_option root = {
        .type = KV_OPTION_BLOCK, .fields = options, .n_fields = n_options};
    const struct kv_option_value value = {.list = {.items = values, .n = n_options}};
    struct printer printer = {.option_size = option_size, .indent = indent, .out = out};
    print_lines(&printer, &root, &value);
}
