/* A few faults are recognised by the characters around their position, the others by libyaml's
 * text. */
#include "conf/syntax.h"

#include "conf/fault.h"
#include "conf/text.h"
#include "conf/tree.h"

/* Replacements of libyaml's texts, for readers who do not know YAML's grammar. */
static const struct {
    const char *problem, *said;
    bool is_at_context; /* the position where the construct began is more helpful */
} texts[] = {
    {"mapping values are not allowed in this context",
     "a colon is not expected here: is the line indented as its neighbours are? (a value with \": "
     "\" "
     "in it needs quotes)",
     false},
    {"did not find expected key",
     "a key is expected here: is the line indented as its neighbours are? (a value with quotes or "
     "a "
     "colon in it needs quotes around it)",
     false},
    {"could not find expected ':'", "this line is no \"name: value\": a colon is missing", true},
    {"did not find expected '-' indicator",
     "the other items of this list begin with \"- \", in the same column", false},
    {"found unexpected end of stream", "the quotes that begin here are not closed", true},
    {"found character that cannot start any token", "a value that begins so needs quotes", false},
    {"found unknown escape character",
     "within \"…\" a backslash begins an escape: write \\\\, or take '…'", false},
    {"did not find expected ',' or ']'", "\",\" or \"]\" is expected", false},
    {"did not find expected ',' or '}'", "\",\" or \"}\" is expected", false},
    {"did not find expected <document start>",
     "nothing more is expected: the configuration has ended before this", false},
    {"did not find expected node content", "a value is expected", false},
    {"did not find expected alphabetic or numeric character",
     "a text that begins with * or & needs quotes", true},
};

/* The text from a position on; empty if there is none. */
static struct kv_slice text_at(struct kv_slice text, struct kv_conf_mark mark)
{
    size_t at = 0;
    for (size_t line = 1; line < mark.line && at < text.len; at++)
        line += text.bytes[at] == '\n';
    for (size_t column = 1; column < mark.column && at < text.len; column++)
        for (at++; at < text.len && (text.bytes[at] & 0xc0) == 0x80;)
            at++;
    return (struct kv_slice){text.bytes + at, text.len - at};
}

/* Whether a `{` follows a `$`, which begins a mapping if quotes are missing. */
static bool is_variable(struct kv_slice text, struct kv_slice rest)
{
    return rest.len > 0 && rest.bytes[0] == '{' && rest.bytes > text.bytes && rest.bytes[-1] == '$';
}

/* Whether a character after this one continues a word. */
static bool is_in_word(char before)
{
    return before != ' ' && before != '\t' && before != '\n' && strchr("[]{},:", before) == NULL;
}

/* rest: the text after the `$`. */
static int fault_variable(struct kv_conf *conf, struct kv_conf_mark mark, struct kv_slice rest)
{
    const char *end = memchr(rest.bytes, '}', rest.len);
    struct kv_slice variable = {rest.bytes - 1,
                                end == NULL ? rest.len + 1 : (size_t)(end - rest.bytes) + 2};
    mark.column--;
    return kv_conf_fault_mark(conf, mark, "within {…} and […] a variable needs quotes: %s",
                              kv_text_show(variable).text);
}

static int fault_known(struct kv_conf *conf, const struct kv_syntax_error *error, size_t i)
{
    bool has_start = error->context != NULL && !texts[i].is_at_context &&
                     error->context_mark.line != error->problem_mark.line;
    struct kv_conf_mark mark = texts[i].is_at_context ? error->context_mark : error->problem_mark;
    if (!has_start)
        return kv_conf_fault_mark(conf, mark, "%s", texts[i].said);
    return kv_conf_fault_mark(conf, mark, "%s (%s that begins in line %zu)", texts[i].said,
                              error->context, error->context_mark.line);
}

int kv_syntax_fault(struct kv_conf *conf, struct kv_slice text, const struct kv_syntax_error *error)
{
    struct kv_conf_mark mark = error->problem_mark;
    struct kv_slice rest = text_at(text, mark);
    if (rest.len > 0 && rest.bytes[0] == '\t')
        return kv_conf_fault_mark(conf, mark, "a tab indents this line; YAML takes spaces");
    if (is_variable(text, rest))
        return fault_variable(conf, mark, rest);
    if (rest.len > 0 && rest.bytes[0] == '{' && rest.bytes > text.bytes &&
        is_in_word(rest.bytes[-1]))
        return kv_conf_fault_mark(conf, mark,
                                  "within […] and {…} a text with { in it needs quotes");
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        if (strcmp(error->problem, texts[i].problem) == 0)
            return fault_known(conf, error, i);
    return kv_conf_fault_mark(conf, mark, "%s", error->problem);
}
