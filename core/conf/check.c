/*
 * Walks a schema and a tree side by side. The schema is found sound before anything else, so
 * that what follows can only find fault with the file.
 */
#include "conf/distance.h"
#include "conf/option.h"
#include "conf/path.h"
#include "conf/scalar.h"
#include "conf/schema.h"
#include "conf/text.h"
#include "conf/tree.h"

struct checker {
    struct kv_conf *conf;
    size_t option_size;
    struct kv_path path;
    struct kv_error *reterr;
};

static int fault_mark(struct checker *checker, const struct kv_conf_mark *mark, const char *what)
{
    const char *path = kv_path_text(&checker->path);
    const char *colon = *path == '\0' ? "" : ": ";
    if (mark == NULL)
        kv_conf_error_at(checker->conf, NULL, checker->reterr, "%s%s%s", path, colon, what);
    else
        kv_conf_error_mark(checker->conf, *mark, checker->reterr, "%s%s%s", path, colon, what);
    return -1;
}

static int fault(struct checker *checker, const struct kv_conf_node *node, const char *what)
{
    return fault_mark(checker, node == NULL ? NULL : &node->mark, what);
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
    kv_error_set(&what, "%s is expected, not %s", expected, kinds[node->kind]);
    return fault(checker, node, what.text);
}

static int check_value(struct checker *checker, const struct kv_option *option,
                       const struct kv_conf_node *block, const struct kv_conf_node *node,
                       struct kv_option_value *value);

static int parse_scalar(struct checker *checker, const struct kv_option *option,
                        const struct kv_conf_node *node, struct kv_slice text,
                        struct kv_option_value *value)
{
    struct kv_error what;
    if (kv_scalar_parse(option, text, value, &what) != 0)
        return fault(checker, node, what.text);
    return 0;
}

/* Here, and in the functions for the other types, `node` may be NULL or empty: then the default is
 * made. */
static int check_scalar(struct checker *checker, const struct kv_option *option,
                        const struct kv_conf_node *node, struct kv_option_value *value)
{
    if (kv_conf_node_is_empty(node)) {
        if (option->fallback != NULL)
            return parse_scalar(checker, option, node,
                                kv_conf_copy(checker->conf, kv_slice_of(option->fallback)), value);
        if (option->type == KV_OPTION_STRING)
            value->string = KV_SLICE("");
        return 0;
    }
    if (node->kind == KV_CONF_SCALAR)
        return parse_scalar(checker, option, node, node->text, value);
    struct kv_buffer kind = {0};
    kv_scalar_append_kind(option, &kind);
    kv_buffer_append_char(&kind, '\0');
    fault_kind(checker, node, kind.bytes);
    kv_buffer_fini(&kind);
    return -1;
}

static int check_list(struct checker *checker, const struct kv_option *option,
                      const struct kv_conf_node *node, struct kv_option_value *value)
{
    if (!kv_conf_node_is_empty(node) && node->kind != KV_CONF_SEQUENCE)
        return fault_kind(checker, node, "a sequence (- item)");
    size_t n = kv_conf_node_size(node);
    struct kv_option element = kv_option_field(option, checker->option_size, 0);
    struct kv_option_value *items = kv_conf_alloc(checker->conf, n, sizeof(*items));
    for (size_t i = 0; i < n; i++) {
        size_t mark = kv_path_enter_index(&checker->path, i);
        if (check_value(checker, &element, node, node->children[i], &items[i]) != 0)
            return -1;
        kv_path_leave(&checker->path, mark);
    }
    value->list.items = items;
    value->list.n = n;
    return 0;
}

static int check_map(struct checker *checker, const struct kv_conf_node *node,
                     struct kv_option_value *value)
{
    if (!kv_conf_node_is_empty(node) && node->kind != KV_CONF_MAPPING)
        return fault_kind(checker, node, "a mapping (name: text)");
    size_t n = kv_conf_node_size(node);
    struct kv_option_value *items = kv_conf_alloc(checker->conf, 2 * n, sizeof(*items));
    for (size_t i = 0; i < n; i++) {
        const struct kv_conf_node *child = node->children[i];
        if (child->kind != KV_CONF_SCALAR && child->kind != KV_CONF_EMPTY)
            return fault_kind(checker, child, "text");
        items[2 * i].is_given = true;
        items[2 * i].string = kv_slice_of(child->name);
        items[2 * i + 1].is_given = child->kind == KV_CONF_SCALAR;
        items[2 * i + 1].string = child->kind == KV_CONF_SCALAR ? child->text : KV_SLICE("");
    }
    value->list.items = items;
    value->list.n = 2 * n;
    return 0;
}

/* The name that was most likely meant. Returns: NULL where none comes near. */
static const char *nearest_name(const struct checker *checker, const struct kv_option *block,
                                const char *name)
{
    const char *nearest = NULL;
    int least = KV_DISTANCE_FAR;
    for (size_t i = 0; i < block->n_fields; i++) {
        const char *known = kv_option_at(block->fields, checker->option_size, i).name;
        int distance = kv_name_distance(name, known);
        if (distance < least) {
            least = distance;
            nearest = known;
        }
    }
    return nearest;
}

static bool is_known(const struct checker *checker, const struct kv_option *block, const char *name)
{
    for (size_t i = 0; i < block->n_fields; i++)
        if (strcmp(kv_option_at(block->fields, checker->option_size, i).name, name) == 0)
            return true;
    return false;
}

static int refuse_unknown(struct checker *checker, const struct kv_option *block,
                          const struct kv_conf_node *node)
{
    for (size_t i = 0; i < kv_conf_node_size(node); i++) {
        const struct kv_conf_node *child = node->children[i];
        if (is_known(checker, block, child->name))
            continue;
        const char *nearest = nearest_name(checker, block, child->name);
        struct kv_shown shown = kv_text_show(kv_slice_of(child->name));
        struct kv_error what;
        if (nearest != NULL)
            kv_error_set(&what, "unknown key %s (did you mean \"%s\"?)", shown.text, nearest);
        else
            kv_error_set(&what, "unknown key %s", shown.text);
        return fault_mark(checker, &child->name_mark, what.text);
    }
    return 0;
}

/* The members of a mapping, aligned with the block's fields. */
static int check_members(struct checker *checker, const struct kv_option *block,
                         const struct kv_conf_node *node, struct kv_option_value *value)
{
    if (!kv_conf_node_is_empty(node) && node->kind != KV_CONF_MAPPING)
        return fault_kind(checker, node, "a mapping (name: value)");
    if (refuse_unknown(checker, block, node) != 0)
        return -1;
    size_t n = block->n_fields;
    struct kv_option_value *items = kv_conf_alloc(checker->conf, n, sizeof(*items));
    for (size_t i = 0; i < n; i++) {
        struct kv_option field = kv_option_field(block, checker->option_size, i);
        size_t mark = kv_path_enter(&checker->path, field.name);
        const struct kv_conf_node *child = kv_conf_node_find(node, field.name);
        if (check_value(checker, &field, node, child, &items[i]) != 0)
            return -1;
        kv_path_leave(&checker->path, mark);
    }
    value->list.items = items;
    value->list.n = n;
    return 0;
}

static int check_block(struct checker *checker, const struct kv_option *option,
                       const struct kv_conf_node *node, struct kv_option_value *value)
{
    struct kv_option block = *option;
    if (!value->is_given)
        block.flags |= KV_OPTION_ABSENT;
    return check_members(checker, &block, node, value);
}

/* `node`: the value, perhaps NULL; `block`: what it stands in, where it is missed. */
static int check_value(struct checker *checker, const struct kv_option *option,
                       const struct kv_conf_node *block, const struct kv_conf_node *node,
                       struct kv_option_value *value)
{
    value->is_given = !kv_conf_node_is_empty(node);
    if (!value->is_given && (option->flags & KV_OPTION_REQUIRED))
        return fault(checker, node == NULL ? block : node, "required, but not given");
    switch (option->type) {
    case KV_OPTION_LIST:
        return check_list(checker, option, node, value);
    case KV_OPTION_BLOCK:
        return check_block(checker, option, node, value);
    case KV_OPTION_MAP:
        return check_map(checker, node, value);
    case KV_OPTION_TREE:
        value->tree = value->is_given ? node : NULL;
        return 0;
    default:
        return check_scalar(checker, option, node, value);
    }
}

int kv_conf_check(struct kv_conf *conf, const struct kv_conf_node *node, const char *path,
                  const struct kv_option *options, size_t n_options, size_t option_size,
                  const struct kv_option_value **ret_values, struct kv_error *reterr)
{
    struct checker checker = {.conf = conf, .option_size = option_size, .reterr = reterr};
    if (*path != '\0')
        kv_path_enter(&checker.path, path);
    struct kv_error what;
    struct kv_option_value root;
    int status;
    if (kv_schema_check(options, n_options, option_size, &what) != 0) {
        status = fault(&checker, node, what.text);
    } else {
        const struct kv_option block = {
            .type = KV_OPTION_BLOCK, .fields = options, .n_fields = n_options};
        status = check_members(&checker, &block, node, &root);
    }
    kv_path_fini(&checker.path);
    if (status == 0)
        *ret_values = root.list.items;
    return status;
}
