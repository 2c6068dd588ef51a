/*
 * Walks a schema and a tree side by side. The schema is checked first, so that the rest can only
 * find faults of the file. A faulty value is replaced by the default, and the walk continues.
 */
#include "conf/check.h"

#include "base/distance.h"
#include "conf/fault.h"
#include "conf/file_path.h"
#include "conf/memory.h"
#include "conf/node.h"
#include "conf/option.h"
#include "conf/path.h"
#include "conf/scalar.h"
#include "conf/schema.h"
#include "conf/text.h"
#include "conf/tree.h"

enum {
    MOST_NAMED = 12 /* keys in a message */
};

struct checker {
    struct kv_conf *conf;
    size_t option_size;
    const struct kv_conf_node *at;     /* where to report options without a node */
    const struct kv_conf_block *block; /* the whole block */
    struct kv_path path;
};

/* node: NULL if the whole block is missing. */
static int fault(struct checker *checker, const struct kv_conf_node *node, const char *what)
{
    const char *path = kv_path_text(&checker->path);
    return kv_conf_fault(checker->conf, node == NULL ? checker->at : node, "%s%s%s", path,
                         *path == '\0' ? "" : ": ", what);
}

static int fault_kind(struct checker *checker, const struct kv_conf_node *node,
                      const char *expected)
{
    static const char *const kinds[] = {
        [KV_CONF_EMPTY] = "nothing",
        [KV_CONF_SCALAR] = "text",
        [KV_CONF_SEQUENCE] = "a sequence",
        [KV_CONF_MAPPING] = "a mapping",
    };
    struct kv_error what;
    if (node->kind == KV_CONF_FAULTY)
        return -1;
    kv_error_set(&what, "%s is expected, not %s", expected, kinds[node->kind]);
    return fault(checker, node, what.text);
}

static void check_value(struct checker *checker, const struct kv_option *option,
                        const struct kv_conf_node *block, const struct kv_conf_node *node,
                        struct kv_option_value *value);

/* Sets a value to its default, which the check of the schema has validated. */
static void set_default(struct checker *checker, const struct kv_option *option,
                        struct kv_option_value *value)
{
    struct kv_error none;
    memset(value, 0, sizeof(*value));
    if (option->fallback != NULL)
        kv_scalar_parse(option, kv_conf_copy(checker->conf, kv_slice_of(option->fallback)), value,
                        &none);
    else if (kv_option_is_text(option))
        value->string = KV_SLICE("");
}

/* Reads a scalar of the file. Errors: -1, noted. */
static int read_scalar(struct checker *checker, const struct kv_option *option,
                       const struct kv_conf_node *node, struct kv_option_value *value)
{
    struct kv_error what;
    if (node->kind == KV_CONF_SCALAR) {
        if (kv_scalar_check_written(option, node->text, &what) != 0 ||
            kv_scalar_parse(option, node->text, value, &what) != 0)
            return fault(checker, node, what.text);
        return 0;
    }
    struct kv_buffer kind = {0};
    kv_scalar_append_kind(option, &kind);
    kv_buffer_append_char(&kind, '\0');
    fault_kind(checker, node, kind.bytes);
    kv_buffer_fini(&kind);
    return -1;
}

static void resolve_path(struct checker *checker, const struct kv_option *option,
                         const struct kv_conf_node *node, struct kv_option_value *value)
{
    struct kv_slice written = value->string;
    value->string = kv_file_path_resolve(checker->conf, written);
    const struct kv_conf_path path = {
        .text = value->string.bytes,
        .written = written.bytes,
        .option = kv_path_text(&checker->path),
        .flags = option->flags,
        .at = node == NULL ? checker->at : node,
    };
    kv_file_path_remember(checker->conf, &path);
}

/* Here, and in the functions for the other types, `node` may be NULL or empty: then the value is
 * the default. */
static void check_scalar(struct checker *checker, const struct kv_option *option,
                         const struct kv_conf_node *node, struct kv_option_value *value)
{
    bool is_empty = kv_conf_node_is_empty(node);
    bool is_faulty = !is_empty && read_scalar(checker, option, node, value) != 0;
    if (is_empty || is_faulty)
        set_default(checker, option, value);
    if (option->type == KV_OPTION_PATH && !is_faulty)
        resolve_path(checker, option, node, value);
}

/* Returns: the node, or NULL if it has the wrong kind, which is noted. */
static const struct kv_conf_node *expect(struct checker *checker, const struct kv_conf_node *node,
                                         enum kv_conf_kind kind, const char *expected)
{
    if (!kv_conf_node_is_empty(node) && node->kind != kind) {
        fault_kind(checker, node, expected);
        return NULL;
    }
    return node;
}

static void check_list(struct checker *checker, const struct kv_option *option,
                       const struct kv_conf_node *node, struct kv_option_value *value)
{
    node = expect(checker, node, KV_CONF_SEQUENCE, "a sequence (- item)");
    size_t n = kv_conf_node_size(node);
    struct kv_option element = kv_option_field(option, checker->option_size, 0);
    struct kv_option_value *items = kv_conf_alloc(checker->conf, n, sizeof(*items));
    for (size_t i = 0; i < n; i++) {
        size_t mark = kv_path_enter_index(&checker->path, i);
        check_value(checker, &element, node, kv_conf_node_child(node, i), &items[i]);
        kv_path_leave(&checker->path, mark);
    }
    value->list.items = items;
    value->list.n = n;
}

static void check_pair(struct checker *checker, const struct kv_option *map,
                       const struct kv_conf_node *child, struct kv_option_value pair[2])
{
    struct kv_error what;
    struct kv_option text = kv_option_of_key(map, child->name);
    bool is_text = child->kind == KV_CONF_SCALAR;
    size_t mark = kv_path_enter(&checker->path, child->name);
    if (!is_text && child->kind != KV_CONF_EMPTY)
        fault_kind(checker, child, "text");
    if (is_text && kv_scalar_check_written(&text, child->text, &what) != 0)
        fault(checker, child, what.text);
    kv_path_leave(&checker->path, mark);
    pair[0] = (struct kv_option_value){.is_given = true, .string = kv_slice_of(child->name)};
    pair[1].is_given = is_text;
    pair[1].string = is_text ? child->text : KV_SLICE("");
}

static void check_map(struct checker *checker, const struct kv_option *option,
                      const struct kv_conf_node *node, struct kv_option_value *value)
{
    node = expect(checker, node, KV_CONF_MAPPING, "a mapping (name: text)");
    size_t n = kv_conf_node_size(node);
    struct kv_option_value *items = kv_conf_alloc(checker->conf, 2 * n, sizeof(*items));
    for (size_t i = 0; i < n; i++)
        check_pair(checker, option, kv_conf_node_child(node, i), &items[2 * i]);
    value->list.items = items;
    value->list.n = 2 * n;
}

/* The name that was most likely meant. Returns: NULL if none is similar. */
static const char *nearest_name(const struct checker *checker, const struct kv_option *block,
                                const char *name)
{
    const char *nearest = NULL;
    for (size_t i = 0; i < block->n_fields; i++)
        kv_name_offer(name, kv_option_at(block->fields, checker->option_size, i).name, &nearest);
    return nearest;
}

static bool is_known(const struct checker *checker, const struct kv_option *block, const char *name)
{
    for (size_t i = 0; i < block->n_fields; i++)
        if (strcmp(kv_option_at(block->fields, checker->option_size, i).name, name) == 0)
            return true;
    return false;
}

/* The only field, a block or a list of blocks, that has a member of that name. Returns: false if
 * there is none, or several. */
static bool find_owner(const struct checker *checker, const struct kv_option *block,
                       const char *name, struct kv_option *ret)
{
    size_t n = 0;
    for (size_t i = 0; i < block->n_fields; i++) {
        struct kv_option field = kv_option_at(block->fields, checker->option_size, i);
        struct kv_option members = field;
        if (field.type == KV_OPTION_LIST)
            members = kv_option_at(field.fields, checker->option_size, 0);
        if (members.type != KV_OPTION_BLOCK || !is_known(checker, &members, name))
            continue;
        *ret = field;
        n++;
    }
    return n == 1;
}

/* Whether the server has an option of that name next to the module's block. */
static bool is_outer(const struct checker *checker, const struct kv_option *block, const char *name)
{
    const struct kv_conf_block *all = checker->block;
    for (size_t i = 0; block->fields == all->options && i < all->n_outer; i++)
        if (strcmp(all->outer[i].name, name) == 0)
            return true;
    return false;
}

/* The member with the options of a module or script. Returns: NULL if there is none. */
static const char *inner_name(const struct checker *checker, const struct kv_option *block)
{
    for (size_t i = 0; block->fields != checker->block->options && i < block->n_fields; i++) {
        struct kv_option field = kv_option_at(block->fields, checker->option_size, i);
        if (field.type == KV_OPTION_TREE)
            return field.name;
    }
    return NULL;
}

/* Appends the known keys, if they are few. */
static void append_names(const struct checker *checker, const struct kv_option *block,
                         struct kv_buffer *out)
{
    if (block->n_fields == 0 || block->n_fields > MOST_NAMED)
        return;
    for (size_t i = 0; i < block->n_fields; i++)
        kv_buffer_printf(out, "%s%s", i == 0 ? " (there are: " : ", ",
                         kv_option_at(block->fields, checker->option_size, i).name);
    kv_buffer_append_char(out, ')');
}

static void note_unknown(struct checker *checker, const struct kv_option *block,
                         const struct kv_conf_node *child)
{
    const char *path = kv_path_text(&checker->path);
    const char *nearest = nearest_name(checker, block, child->name);
    const char *inner = inner_name(checker, block);
    struct kv_buffer hint = {0};
    struct kv_option owner;
    const char *dot = strrchr(path, '.');
    if (is_outer(checker, block, child->name))
        kv_buffer_printf(&hint, " (it belongs beside `%s:`, not in it)",
                         dot == NULL ? path : dot + 1);
    else if (find_owner(checker, block, child->name, &owner))
        kv_buffer_printf(&hint,
                         owner.type == KV_OPTION_LIST ? " (did you mean `%s: [{%s: …}]`?)"
                                                      : " (did you mean `%s: {%s: …}`?)",
                         owner.name, child->name);
    else if (nearest != NULL)
        kv_buffer_printf(&hint, " (did you mean \"%s\"?)", nearest);
    else if (strchr(child->name, ':') != NULL && child->kind == KV_CONF_EMPTY)
        kv_buffer_printf(&hint, " (a space has to follow the colon)");
    else if (inner != NULL)
        kv_buffer_printf(&hint, " (does it belong under `%s:`?)", inner);
    else
        append_names(checker, block, &hint);
    kv_conf_fault_key(checker->conf, child, "%s%sunknown key %s%.*s", path,
                      *path == '\0' ? "" : ": ", kv_text_show(kv_slice_of(child->name)).text,
                      (int)hint.len, hint.bytes == NULL ? "" : hint.bytes);
    kv_buffer_fini(&hint);
}

static void note_unknown_keys(struct checker *checker, const struct kv_option *block,
                              const struct kv_conf_node *node)
{
    for (size_t i = 0; i < kv_conf_node_size(node); i++)
        if (!is_known(checker, block, kv_conf_node_name(node, i)))
            note_unknown(checker, block, kv_conf_node_child(node, i));
}

/* Whether one of the unknown keys may be a misspelling of this one: then it is not reported as
 * missing. */
static bool is_misspelt(const struct checker *checker, const struct kv_option *block,
                        const struct kv_conf_node *node, const char *name)
{
    for (size_t i = 0; i < kv_conf_node_size(node); i++) {
        const char *key = kv_conf_node_name(node, i);
        if (is_known(checker, block, key))
            continue;
        const char *nearest = nearest_name(checker, block, key);
        if (nearest != NULL && strcmp(nearest, name) == 0)
            return true;
    }
    return false;
}

static void check_member(struct checker *checker, const struct kv_option *block, size_t i,
                         const struct kv_conf_node *node, struct kv_option_value *value)
{
    struct kv_option field = kv_option_field(block, checker->option_size, i);
    if ((field.flags & KV_OPTION_REQUIRED) && is_misspelt(checker, block, node, field.name))
        field.flags &= ~(uint32_t)KV_OPTION_REQUIRED;
    size_t mark = kv_path_enter(&checker->path, field.name);
    check_value(checker, &field, node, kv_conf_node_find(node, field.name), value);
    kv_path_leave(&checker->path, mark);
}

/* Expects a mapping. If the file has a text instead, the message suggests the required text
 * member. */
static const struct kv_conf_node *expect_mapping(struct checker *checker,
                                                 const struct kv_option *block,
                                                 const struct kv_conf_node *node)
{
    struct kv_error expected = {"a mapping (name: value)"};
    for (size_t i = 0; !kv_conf_node_is_empty(node) && i < block->n_fields; i++) {
        struct kv_option field = kv_option_field(block, checker->option_size, i);
        if (node->kind != KV_CONF_SCALAR || !kv_option_is_text(&field) ||
            !(field.flags & KV_OPTION_REQUIRED))
            continue;
        kv_error_set(&expected, "a mapping like {%s: %s}", field.name,
                     kv_text_show(node->text).text);
        break;
    }
    return expect(checker, node, KV_CONF_MAPPING, expected.text);
}

/* Checks the members of a mapping, aligned with the block's fields. */
static void check_members(struct checker *checker, const struct kv_option *block,
                          const struct kv_conf_node *node, struct kv_option_value *value)
{
    struct kv_option absent = *block;
    if (expect_mapping(checker, block, node) == NULL && node != NULL) {
        node = NULL; /* its fault has been noted */
        absent.flags |= KV_OPTION_ABSENT;
    }
    note_unknown_keys(checker, block, node);
    size_t n = block->n_fields;
    struct kv_option_value *items = kv_conf_alloc(checker->conf, n, sizeof(*items));
    for (size_t i = 0; i < n; i++)
        check_member(checker, &absent, i, node, &items[i]);
    value->list.items = items;
    value->list.n = n;
}

static void check_block(struct checker *checker, const struct kv_option *option,
                        const struct kv_conf_node *node, struct kv_option_value *value)
{
    struct kv_option block = *option;
    if (!value->is_given)
        block.flags |= KV_OPTION_ABSENT;
    check_members(checker, &block, node, value);
}

/* node: the value, or NULL; block: the block that contains it, at which a missing option is
 * reported. */
static void check_value(struct checker *checker, const struct kv_option *option,
                        const struct kv_conf_node *block, const struct kv_conf_node *node,
                        struct kv_option_value *value)
{
    value->is_given = !kv_conf_node_is_empty(node);
    if (!value->is_given && (option->flags & KV_OPTION_REQUIRED))
        fault(checker, node == NULL ? block : node, "required, but not given");
    switch (option->type) {
    case KV_OPTION_LIST:
        check_list(checker, option, node, value);
        break;
    case KV_OPTION_BLOCK:
        check_block(checker, option, node, value);
        break;
    case KV_OPTION_MAP:
        check_map(checker, option, node, value);
        break;
    case KV_OPTION_TREE:
        value->tree = value->is_given ? node : NULL;
        break;
    default:
        check_scalar(checker, option, node, value);
    }
}

int kv_conf_check(struct kv_conf *conf, const struct kv_conf_block *block,
                  const struct kv_option_value **ret_values)
{
    struct checker checker = {
        .conf = conf, .option_size = block->option_size, .at = block->at, .block = block};
    size_t n_before = kv_conf_n_faults(conf);
    struct kv_option_value root = {0};
    struct kv_error what;
    if (*block->path != '\0')
        kv_path_enter(&checker.path, block->path);
    if (kv_schema_check(block->options, block->n_options, block->option_size, &what) != 0) {
        fault(&checker, block->node, what.text);
    } else {
        const struct kv_option members = {
            .type = KV_OPTION_BLOCK, .fields = block->options, .n_fields = block->n_options};
        check_members(&checker, &members, block->node, &root);
    }
    kv_path_fini(&checker.path);
    *ret_values = root.list.items;
    return kv_conf_n_faults(conf) == n_before ? 0 : -1;
}
