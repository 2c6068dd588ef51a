/*
 * Recursive descent over libyaml's events; only this file uses libyaml. The reader holds one event,
 * the current one; every read_ function starts at the first event of its construct and stops at the
 * last. After a fault of a value, reading continues; a fault of the structure ends it.
 */
#include "conf/parse.h"

#include <stdlib.h>
#include <yaml.h>

#include "base/mem.h"
#include "conf/fault.h"
#include "conf/memory.h"
#include "conf/syntax.h"
#include "conf/text.h"
#include "conf/tree.h"

#define BYTE_ORDER_MARK "\xef\xbb\xbf"

struct reader {
    struct kv_conf *conf;
    struct kv_slice text;
    const struct kv_conf_env *env;
    yaml_parser_t parser;
    yaml_event_t event;
};

static struct kv_conf_mark mark_of(const yaml_mark_t *mark)
{
    return (struct kv_conf_mark){.line = mark->line + 1, .column = mark->column + 1};
}

static struct kv_conf_node *create_node(struct kv_conf *conf, enum kv_conf_kind kind,
                                        struct kv_conf_mark mark)
{
    struct kv_conf_node *node = kv_conf_alloc(conf, 1, sizeof(*node));
    node->kind = kind;
    node->mark = mark;
    return node;
}

static struct kv_conf_mark here(const struct reader *reader)
{
    return mark_of(&reader->event.start_mark);
}

/* Returns: -1. */
static int note(struct reader *reader, const char *what)
{
    kv_conf_fault_mark(reader->conf, here(reader), "%s", what);
    return -1;
}

/* The position of a byte; columns count characters. */
static struct kv_conf_mark mark_of_byte(struct kv_slice text, size_t at)
{
    struct kv_conf_mark mark = {1, 1};
    for (size_t i = 0; i < at && i < text.len; i++) {
        if (text.bytes[i] == '\n')
            mark = (struct kv_conf_mark){.line = mark.line + 1, .column = 1};
        else if ((text.bytes[i] & 0xc0) != 0x80)
            mark.column++;
    }
    return mark;
}

static int syntax_error(struct reader *reader)
{
    const yaml_parser_t *parser = &reader->parser;
    const struct kv_syntax_error error = {
        .problem = parser->problem == NULL ? "out of memory" : parser->problem,
        .context = parser->context,
        .problem_mark = mark_of(&parser->problem_mark),
        .context_mark = mark_of(&parser->context_mark),
    };
    if (parser->error != YAML_READER_ERROR)
        return kv_syntax_fault(reader->conf, reader->text, &error);
    return kv_conf_fault_mark(
        reader->conf, mark_of_byte(reader->text, parser->problem_offset), "%s",
        strstr(error.problem, "UTF-8 octet") == NULL ? error.problem
                                                     : "the file is not UTF-8 (save it as UTF-8)");
}

/* Moves to the next event. */
static int advance(struct reader *reader)
{
    yaml_event_delete(&reader->event);
    return yaml_parser_parse(&reader->parser, &reader->event) ? 0 : syntax_error(reader);
}

/* Anchors and tags are not supported. */
static void note_extras(struct reader *reader)
{
    const yaml_event_t *event = &reader->event;
    const yaml_char_t *anchor = NULL, *tag = NULL;
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        anchor = event->data.scalar.anchor;
        tag = event->data.scalar.tag;
        break;
    case YAML_SEQUENCE_START_EVENT:
        anchor = event->data.sequence_start.anchor;
        tag = event->data.sequence_start.tag;
        break;
    case YAML_MAPPING_START_EVENT:
        anchor = event->data.mapping_start.anchor;
        tag = event->data.mapping_start.tag;
        break;
    default:
        break;
    }
    if (anchor != NULL)
        note(reader, "anchors (&name) are not supported: a text that begins with & needs quotes");
    if (tag != NULL)
        note(reader, "tags (!name) are not supported: a text that begins with ! needs quotes");
}

/* The text of the current event, which is a scalar. */
static int take_text(struct reader *reader, struct kv_slice *ret_text)
{
    struct kv_slice text = {.bytes = (const char *)reader->event.data.scalar.value,
                            .len = reader->event.data.scalar.length};
    if (memchr(text.bytes, '\0', text.len) != NULL)
        return note(reader, "a NUL character");
    *ret_text = text;
    return 0;
}

static bool means_default(const struct reader *reader, struct kv_slice text)
{
    return reader->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
           (text.len == 0 || kv_slice_equals(text, KV_SLICE("~")) ||
            kv_slice_equals(text, KV_SLICE("null")));
}

static void fill_scalar(struct reader *reader, struct kv_slice text, struct kv_conf_node *node)
{
    struct kv_buffer expanded = {0};
    struct kv_error what;
    if (kv_conf_expand(text, reader->env, &expanded, &what) != 0) {
        node->kind = KV_CONF_FAULTY;
        note(reader, what.text);
    } else {
        node->kind = KV_CONF_SCALAR;
        node->text = kv_conf_copy(reader->conf, kv_buffer_slice(&expanded));
        if (kv_conf_has_variables(text))
            node->source = kv_conf_copy(reader->conf, text).bytes;
    }
    kv_buffer_fini(&expanded);
}

static struct kv_conf_node *read_scalar(struct reader *reader)
{
    struct kv_slice text;
    struct kv_conf_node *node = create_node(reader->conf, KV_CONF_EMPTY, here(reader));
    if (take_text(reader, &text) != 0)
        node->kind = KV_CONF_FAULTY;
    else if (!means_default(reader, text))
        fill_scalar(reader, text, node);
    return node;
}

static struct kv_conf_node *read_alias(struct reader *reader)
{
    note(reader, "aliases (*name) are not supported: a text that begins with * needs quotes");
    return create_node(reader->conf, KV_CONF_FAULTY, here(reader));
}

/* Children being read: a chain first, an array once their number is known. */
struct chain {
    struct kv_conf_node *first, **tail;
    size_t n;
};

static void chain_append(struct chain *chain, struct kv_conf_node *node)
{
    *chain->tail = node;
    chain->tail = &node->next;
    chain->n++;
}

static void chain_to_array(const struct chain *chain, struct kv_conf *conf,
                           struct kv_conf_node *parent)
{
    parent->children = kv_conf_alloc(conf, chain->n, sizeof(*parent->children));
    for (struct kv_conf_node *child = chain->first; child != NULL; child = child->next)
        parent->children[parent->n_children++] = child;
}

static int read_node(struct reader *reader, unsigned depth, struct kv_conf_node **ret_node);

static int read_sequence(struct reader *reader, unsigned depth, struct kv_conf_node **ret_node)
{
    *ret_node = create_node(reader->conf, KV_CONF_SEQUENCE, here(reader));
    struct chain chain = {.tail = &chain.first};
    for (;;) {
        if (advance(reader) != 0)
            return -1;
        if (reader->event.type == YAML_SEQUENCE_END_EVENT)
            break;
        struct kv_conf_node *child;
        if (read_node(reader, depth, &child) != 0)
            return -1;
        chain_append(&chain, child);
    }
    chain_to_array(&chain, reader->conf, *ret_node);
    return 0;
}

static int read_key(struct reader *reader, struct kv_slice *ret_key)
{
    note_extras(reader);
    if (reader->event.type != YAML_SCALAR_EVENT)
        return note(reader, "a key has to be plain text");
    if (reader->event.data.scalar.length > KV_CONF_MAX_KEY)
        return note(reader, "a key of more than 200 bytes");
    struct kv_slice text;
    if (take_text(reader, &text) != 0)
        return -1;
    *ret_key = kv_conf_copy(reader->conf, text);
    return 0;
}

/* Reads a key and its value. */
static int read_member(struct reader *reader, unsigned depth, struct kv_conf_node **ret_node)
{
    struct kv_conf_mark key_mark = here(reader);
    struct kv_slice key;
    if (read_key(reader, &key) != 0 || advance(reader) != 0 ||
        read_node(reader, depth, ret_node) != 0)
        return -1;
    (*ret_node)->name = key.bytes;
    (*ret_node)->name_mark = key_mark;
    return 0;
}

static int compare_members(const void *a_void, const void *b_void)
{
    const struct kv_conf_node *a = *(struct kv_conf_node *const *)a_void;
    const struct kv_conf_node *b = *(struct kv_conf_node *const *)b_void;
    int order = strcmp(a->name, b->name);
    if (order == 0)
        order = (a->name_mark.line > b->name_mark.line) - (a->name_mark.line < b->name_mark.line);
    if (order == 0)
        order = (a->name_mark.column > b->name_mark.column) ? 1 : -1;
    return order;
}

/* Sorts the keys, as a file may have a hundred thousand of them. */
static void note_duplicates(struct reader *reader, const struct kv_conf_node *mapping)
{
    size_t n = mapping->n_children;
    if (n < 2)
        return;
    struct kv_conf_node **sorted = kv_memdup(mapping->children, n * sizeof(struct kv_conf_node *));
    qsort(sorted, n, sizeof(struct kv_conf_node *), compare_members);
    const struct kv_conf_node *first = sorted[0];
    for (size_t i = 1; i < n; i++) {
        if (strcmp(first->name, sorted[i]->name) != 0)
            first = sorted[i];
        else
            kv_conf_fault_mark(reader->conf, sorted[i]->name_mark,
                               "%s is given twice, first in line %zu",
                               kv_text_show(kv_slice_of(first->name)).text, first->name_mark.line);
    }
    free(sorted);
}

static int read_mapping(struct reader *reader, unsigned depth, struct kv_conf_node **ret_node)
{
    *ret_node = create_node(reader->conf, KV_CONF_MAPPING, here(reader));
    struct chain chain = {.tail = &chain.first};
    for (;;) {
        if (advance(reader) != 0)
            return -1;
        if (reader->event.type == YAML_MAPPING_END_EVENT)
            break;
        struct kv_conf_node *child;
        if (read_member(reader, depth, &child) != 0)
            return -1;
        chain_append(&chain, child);
    }
    chain_to_array(&chain, reader->conf, *ret_node);
    note_duplicates(reader, *ret_node);
    return 0;
}

/* depth: the number of open sequences and mappings around it. */
static int read_node(struct reader *reader, unsigned depth, struct kv_conf_node **ret_node)
{
    note_extras(reader);
    if (reader->event.type == YAML_ALIAS_EVENT || reader->event.type == YAML_SCALAR_EVENT) {
        bool is_alias = reader->event.type == YAML_ALIAS_EVENT;
        *ret_node = is_alias ? read_alias(reader) : read_scalar(reader);
        return 0;
    }
    if (depth == KV_CONF_MAX_DEPTH)
        return note(reader, "nested more than 32 levels deep");
    if (reader->event.type == YAML_SEQUENCE_START_EVENT)
        return read_sequence(reader, depth + 1, ret_node);
    return read_mapping(reader, depth + 1, ret_node);
}

static int read_root(struct reader *reader, struct kv_conf_node **ret_root)
{
    struct kv_conf_node *node;
    if (read_node(reader, 0, &node) != 0)
        return -1;
    if (node->kind == KV_CONF_MAPPING)
        *ret_root = node;
    else if (node->kind != KV_CONF_EMPTY)
        return kv_conf_fault(reader->conf, node,
                             "the file has to be a mapping (name: value, with a space between)");
    return 0;
}

static int read_stream(struct reader *reader, struct kv_conf_node **ret_root)
{
    if (advance(reader) != 0 || advance(reader) != 0) /* past the start of the stream */
        return -1;
    if (reader->event.type == YAML_STREAM_END_EVENT)
        return 0;
    if (advance(reader) != 0 || read_root(reader, ret_root) != 0)
        return -1;
    if (advance(reader) != 0 || advance(reader) != 0) /* past the end of the document */
        return -1;
    if (reader->event.type != YAML_STREAM_END_EVENT)
        return note(reader, "a second document (---): a configuration is one");
    return 0;
}

/* The tree is adopted only when the whole file has been read. */
int kv_conf_read(struct kv_conf *conf, struct kv_slice text, const struct kv_conf_env *env)
{
    struct reader reader = {
        .conf = conf,
        .text = text.len == 0 ? KV_SLICE("") : text, /* libyaml does not accept NULL */
        .env = env,
    };
    struct kv_conf_node *root = conf->root;
    if (kv_slice_has_prefix(reader.text, KV_SLICE(BYTE_ORDER_MARK))) {
        reader.text.bytes += strlen(BYTE_ORDER_MARK);
        reader.text.len -= strlen(BYTE_ORDER_MARK);
    }
    if (text.len > KV_CONF_MAX_BYTES)
        return kv_conf_fault(conf, NULL, "larger than 1 MiB");
    if (!yaml_parser_initialize(&reader.parser))
        return kv_conf_fault(conf, NULL, "out of memory");
    yaml_parser_set_input_string(&reader.parser, (const unsigned char *)reader.text.bytes,
                                 reader.text.len);
    int status = read_stream(&reader, &root);
    yaml_event_delete(&reader.event);
    yaml_parser_delete(&reader.parser);
    if (status == 0)
        conf->root = root;
    return status;
}

int kv_conf_parse_env(const char *name, struct kv_slice text, const struct kv_conf_env *env,
                      struct kv_conf **ret_conf)
{
    *ret_conf = kv_conf_create(name);
    return kv_conf_read(*ret_conf, text, env);
}

int kv_conf_parse(const char *name, struct kv_slice text, struct kv_conf **ret_conf)
{
    return kv_conf_parse_env(name, text, &kv_conf_env_process, ret_conf);
}
