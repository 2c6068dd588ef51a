/*
 * Parses only the form of YAML that is printed: block style, an option a line, with dashes before
 * the first line of an item. So the path of a line follows from the indentation of the lines above,
 * and two configurations are lists of paths with values.
 */
#include "daemon/difference.h"

#include <stdlib.h>

#include "base/buffer.h"
#include "base/mem.h"

enum {
    STEP = 2,      /* spaces per level; a dash and its blank have the same width */
    MAX_DEPTH = 64 /* far more than is printed */
};

/* A level of the path: a name, or an index in a list. */
struct level {
    size_t indent;
    struct kv_slice name; /* bytes NULL: an index, `place` */
    size_t place;
};

struct reader {
    struct level levels[MAX_DEPTH];
    size_t n;
};

struct leaf {
    char *path, *whole, *shown;
};

struct leaves {
    struct leaf *all;
    size_t n;
};

/* ---- lines ---- */

static struct kv_slice take_line(struct kv_slice *text)
{
    const char *end = memchr(text->bytes, '\n', text->len);
    size_t len = end == NULL ? text->len : (size_t)(end - text->bytes);
    struct kv_slice line = {text->bytes, len};
    size_t taken = len + (end != NULL);
    *text = (struct kv_slice){text->bytes + taken, text->len - taken};
    return line;
}

static struct kv_slice skip(struct kv_slice text, size_t n)
{
    return (struct kv_slice){text.bytes + n, text.len - n};
}

/* The length of a scalar, in quotes or not. */
static size_t scalar_length(struct kv_slice text, const char *end)
{
    size_t i = 0;
    if (text.len != 0 && text.bytes[0] == '"') {
        for (i = 1; i < text.len && text.bytes[i] != '"'; i++)
            i += text.bytes[i] == '\\';
        return i + 1 < text.len ? i + 1 : text.len;
    }
    const char *found = memmem(text.bytes, text.len, end, strlen(end));
    return found == NULL ? text.len : (size_t)(found - text.bytes);
}

/* The value after a name or a dash, without the comment. */
static struct kv_slice value_of(struct kv_slice text)
{
    if (kv_slice_has_prefix(text, KV_SLICE(" ")))
        text = skip(text, 1);
    if (kv_slice_has_prefix(text, KV_SLICE(" #")))
        return (struct kv_slice){0};
    return (struct kv_slice){text.bytes, scalar_length(text, "  #")};
}

/* The length of a name before a colon that ends the line, or is followed by a blank. Returns: 0:
 * there is none. */
static size_t name_length(struct kv_slice text)
{
    size_t len = scalar_length(text, ": ");
    if (len == text.len && len != 0 && text.bytes[len - 1] == ':')
        len--;
    return len < text.len && text.bytes[len] == ':' ? len : 0;
}

/* ---- paths ---- */

static void push(struct reader *reader, size_t indent, struct kv_slice name)
{
    if (reader->n < MAX_DEPTH)
        reader->levels[reader->n++] = (struct level){.indent = indent, .name = name};
}

static void enter_item(struct reader *reader, size_t indent)
{
    while (reader->n != 0 && reader->levels[reader->n - 1].indent > indent)
        reader->n--;
    struct level *last = reader->n == 0 ? NULL : &reader->levels[reader->n - 1];
    if (last != NULL && last->indent == indent && last->name.len == 0)
        last->place++;
    else
        push(reader, indent, (struct kv_slice){0});
}

static void enter_name(struct reader *reader, size_t indent, struct kv_slice name)
{
    while (reader->n != 0 && reader->levels[reader->n - 1].indent >= indent)
        reader->n--;
    push(reader, indent, name);
}

/* Owns: the caller, by free(). */
static char *path_of(const struct reader *reader)
{
    struct kv_buffer path = {0};
    for (size_t i = 0; i < reader->n; i++) {
        const struct level *level = &reader->levels[i];
        if (level->name.len == 0)
            kv_buffer_printf(&path, "[%zu]", level->place);
        else
            kv_buffer_printf(&path, "%s%.*s", i == 0 ? "" : ".", (int)level->name.len,
                             level->name.bytes);
    }
    kv_buffer_append_char(&path, '\0');
    return path.bytes;
}

/* Reads a line. Returns: its value; empty if the lines below it are the value. */
static struct kv_slice follow(struct reader *reader, struct kv_slice line)
{
    size_t indent = 0;
    while (indent < line.len && line.bytes[indent] == ' ')
        indent++;
    line = skip(line, indent);
    for (; kv_slice_has_prefix(line, KV_SLICE("- ")); indent += STEP, line = skip(line, STEP))
        enter_item(reader, indent);
    size_t len = name_length(line);
    if (len == 0)
        return value_of(line); /* a scalar item */
    enter_name(reader, indent, (struct kv_slice){line.bytes, len});
    return value_of(skip(line, len + 1));
}

/* ---- values ---- */

static char *copy(struct kv_slice text)
{
    struct kv_buffer bytes = {0};
    kv_buffer_append(&bytes, text);
    kv_buffer_append_char(&bytes, '\0');
    return bytes.bytes;
}

static struct leaves read_leaves(const struct kv_printed_config *printed)
{
    struct leaves leaves = {0};
    struct reader reader = {.n = 0}, other = {.n = 0};
    struct kv_slice whole = printed->whole, shown = printed->shown;
    while (whole.len != 0) {
        struct kv_slice value = follow(&reader, take_line(&whole));
        struct kv_slice to_show = follow(&other, take_line(&shown));
        if (value.len == 0)
            continue;
        leaves.all = kv_realloc(leaves.all, (leaves.n + 1) * sizeof(*leaves.all));
        leaves.all[leaves.n++] = (struct leaf){path_of(&reader), copy(value), copy(to_show)};
    }
    return leaves;
}

static void free_leaves(struct leaves *leaves)
{
    for (size_t i = 0; i < leaves->n; i++) {
        free(leaves->all[i].path);
        free(leaves->all[i].whole);
        free(leaves->all[i].shown);
    }
    free(leaves->all);
}

/* around: its likely index. Returns: NULL if there is none. */
static const struct leaf *find(const struct leaves *leaves, const char *path, size_t around)
{
    if (around < leaves->n && strcmp(leaves->all[around].path, path) == 0)
        return &leaves->all[around];
    for (size_t i = 0; i < leaves->n; i++)
        if (strcmp(leaves->all[i].path, path) == 0)
            return &leaves->all[i];
    return NULL;
}

/* Whether there is a value at the first `len` bytes of the path, or below. A block that is not
 * given (`~`) has none. */
static bool has_below(const struct leaves *leaves, const char *path, size_t len)
{
    for (size_t i = 0; i < leaves->n; i++)
        if (strncmp(leaves->all[i].path, path, len) == 0 &&
            strchr(".[", leaves->all[i].path[len]) != NULL && /* also at its end */
            strcmp(leaves->all[i].whole, "~") != 0)
            return true;
    return false;
}

/* Whether it is an empty list or mapping, or a block that is not given, and has entries in the
 * other configuration. */
static bool is_filled(const struct leaf *leaf, const struct leaves *other)
{
    return (strcmp(leaf->whole, "[]") == 0 || strcmp(leaf->whole, "{}") == 0 ||
            strcmp(leaf->whole, "~") == 0) &&
           has_below(other, leaf->path, strlen(leaf->path));
}

/* The length of the next step of a path: a name, which may be in quotes, or an index. */
static size_t step_length(const char *path)
{
    size_t len = *path == '.' ? 1 : 0;
    if (path[len] == '"')
        return len + scalar_length(kv_slice_of(path + len), "");
    return len + 1 + strcspn(path + len + 1, ".[");
}

/* The length of the path of the outermost entry or section that the other configuration lacks. */
static size_t entry_length(const char *path, const struct leaves *other)
{
    size_t len = 0;
    do
        len += step_length(path + len);
    while (path[len] != '\0' && has_below(other, path, len));
    return len;
}

/* For a leaf that the other configuration lacks. Returns: the length of the path to report; 0 if
 * there is nothing to report, or the previous leaf covers it. */
static size_t length_to_tell(const struct leaves *leaves, size_t i, const struct leaves *other)
{
    const char *path = leaves->all[i].path;
    if (find(other, path, i) != NULL || is_filled(&leaves->all[i], other))
        return 0;
    size_t len = entry_length(path, other);
    bool is_told = i != 0 && strncmp(leaves->all[i - 1].path, path, len) == 0 &&
                   strchr(".[", leaves->all[i - 1].path[len]) != NULL;
    return is_told ? 0 : len;
}

static void tell_lacking(const struct leaves *leaves, const struct leaves *other, bool is_new,
                         kv_difference_fn tell, void *context)
{
    for (size_t i = 0; i < leaves->n; i++) {
        size_t len = length_to_tell(leaves, i, other);
        const char *shown = leaves->all[i].shown;
        if (len == 0)
            continue;
        char *path = copy((struct kv_slice){leaves->all[i].path, len});
        tell(context, path, is_new ? NULL : shown, is_new ? shown : NULL);
        free(path);
    }
}

void kv_difference_find(const struct kv_printed_config *before,
                        const struct kv_printed_config *after, kv_difference_fn tell, void *context)
{
    struct leaves old = read_leaves(before), new = read_leaves(after);
    for (size_t i = 0; i < old.n; i++) {
        const struct leaf *leaf = find(&new, old.all[i].path, i);
        if (leaf != NULL && strcmp(leaf->whole, old.all[i].whole) != 0)
            tell(context, old.all[i].path, old.all[i].shown, leaf->shown);
    }
    tell_lacking(&old, &new, false, tell, context);
    tell_lacking(&new, &old, true, tell, context);
    free_leaves(&old);
    free_leaves(&new);
}
