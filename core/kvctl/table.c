#include "kvctl/table.h"

#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#include "kvctl/output.h"
#include "wire/json.h"
#include "wire/json_string.h"

enum {
    MS_PER_S = 1000,
    BETWEEN = 2, /* blanks between columns */
    LONGEST_NUMBER = 32
};

static bool is_number(enum kv_ctl_cell cell)
{
    return cell == KV_CTL_CELL_NUMBER || cell == KV_CTL_CELL_SPAN;
}

/* ---- cells ---- */

static int append_text(struct kv_buffer *out, struct kv_slice value)
{
    struct kv_buffer text = {0};
    int result = kv_json_type_of(value) == KV_JSON_STRING ? kv_json_unescape(value, &text) : -1;
    if (result == 0)
        kv_ctl_append_key_text(out, kv_buffer_slice(&text));
    kv_buffer_fini(&text);
    return result == 0 ? 0 : -1;
}

static int append_flag(struct kv_buffer *out, struct kv_slice value)
{
    enum kv_json_type type = kv_json_type_of(value);
    if (type != KV_JSON_TRUE && type != KV_JSON_FALSE)
        return -1;
    kv_buffer_append(out, type == KV_JSON_TRUE ? KV_SLICE("yes") : KV_SLICE("no"));
    return 0;
}

static void append_span(struct kv_buffer *out, int64_t ms)
{
    kv_buffer_printf(out, "%" PRId64 ".%03d", ms / MS_PER_S, (int)(ms % MS_PER_S));
}

static int append_time(struct kv_buffer *out, int64_t ms)
{
    char text[LONGEST_NUMBER];
    struct tm parts;
    time_t seconds = ms / MS_PER_S;
    if (gmtime_r(&seconds, &parts) == NULL ||
        strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &parts) == 0)
        return -1;
    kv_buffer_printf(out, "%s.%03dZ", text, (int)(ms % MS_PER_S));
    return 0;
}

static int append_ms(struct kv_buffer *out, enum kv_ctl_cell cell, struct kv_slice number)
{
    char text[LONGEST_NUMBER];
    if (number.len >= sizeof(text) || number.bytes[0] == '-')
        return -1;
    memcpy(text, number.bytes, number.len);
    text[number.len] = '\0';
    int64_t ms = strtoll(text, NULL, 10);
    if (cell == KV_CTL_CELL_TIME)
        return append_time(out, ms);
    append_span(out, ms);
    return 0;
}

static int append_number(struct kv_buffer *out, enum kv_ctl_cell cell, struct kv_slice value)
{
    if (kv_json_type_of(value) != KV_JSON_NUMBER)
        return -1;
    if (cell != KV_CTL_CELL_NUMBER)
        return append_ms(out, cell, value);
    kv_buffer_append(out, value);
    return 0;
}

static int append_cell(struct kv_buffer *out, enum kv_ctl_cell cell, struct kv_slice value)
{
    int result = 0;
    if (value.bytes == NULL)
        kv_buffer_append_char(out, '-');
    else if (cell == KV_CTL_CELL_TEXT)
        result = append_text(out, value);
    else if (cell == KV_CTL_CELL_FLAG)
        result = append_flag(out, value);
    else
        result = append_number(out, cell, value);
    kv_buffer_append_char(out, '\0');
    return result;
}

int kv_ctl_table_add(struct kv_ctl_table *table, struct kv_slice object)
{
    struct kv_json_field fields[KV_CTL_MOST_COLUMNS] = {0};
    struct kv_slice values[KV_CTL_MOST_COLUMNS] = {0};
    struct kv_json_error error;
    size_t n_before = table->text.len;
    for (size_t i = 0; i < table->n_columns; i++)
        fields[i].name = table->columns[i].member;
    int result = kv_json_read_object(object, KV_JSON_MAX_DEPTH, fields, (uint32_t)table->n_columns,
                                     values, &error);
    for (size_t i = 0; i < table->n_columns && result == 0; i++)
        result = append_cell(&table->text, table->columns[i].cell, values[i]);
    if (result != 0)
        table->text.len = n_before;
    return result;
}

/* ---- printing ---- */

/* The width in characters, which is right for most scripts. */
static size_t width_of(const char *cell)
{
    size_t n = 0;
    for (; *cell != '\0'; cell++)
        n += ((unsigned char)*cell & 0xc0) != 0x80;
    return n;
}

/* Returns: the beginning of the next row. */
static const char *measure_row(const struct kv_ctl_table *table, const char *cell, size_t *widths)
{
    for (size_t i = 0; i < table->n_columns; i++) {
        size_t width = width_of(cell);
        if (width > widths[i])
            widths[i] = width;
        cell += strlen(cell) + 1;
    }
    return cell;
}

/* Numbers are right-aligned; nothing follows the last cell. */
static void put_cell(const struct kv_ctl_table *table, size_t column, const char *cell,
                     size_t width)
{
    int fill = (int)(width - width_of(cell));
    bool is_right = is_number(table->columns[column].cell);
    bool is_last = column + 1 == table->n_columns;
    kv_ctl_putf("%*s%s%*s", is_right ? fill : 0, "", cell,
                is_last ? 0 : BETWEEN + (is_right ? 0 : fill), "");
    if (is_last)
        kv_ctl_put(KV_SLICE("\n"));
}

static const char *put_row(const struct kv_ctl_table *table, const char *cell, const size_t *widths)
{
    for (size_t i = 0; i < table->n_columns; i++) {
        put_cell(table, i, cell, widths[i]);
        cell += strlen(cell) + 1;
    }
    return cell;
}

void kv_ctl_table_put(const struct kv_ctl_table *table)
{
    size_t widths[KV_CTL_MOST_COLUMNS] = {0};
    const char *cell = table->text.bytes;
    const char *end = cell == NULL ? NULL : cell + table->text.len;
    for (size_t i = 0; i < table->n_columns; i++)
        widths[i] = width_of(table->columns[i].title);
    while (cell != end)
        cell = measure_row(table, cell, widths);
    for (size_t i = 0; i < table->n_columns; i++)
        put_cell(table, i, table->columns[i].title, widths[i]);
    for (cell = table->text.bytes; cell != end;)
        cell = put_row(table, cell, widths);
}

void kv_ctl_table_fini(struct kv_ctl_table *table)
{
    kv_buffer_fini(&table->text);
}
