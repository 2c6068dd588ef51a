/* The options of a verb are read from the table in option.c. getopt_long() is not used, as it takes
 * negative numbers for options and does not know which options a verb has. */
#include "kvctl/arguments.h"

#include <errno.h>
#include <stdlib.h>

#include "base/distance.h"
#include "base/duration.h"
#include "base/mem.h"

enum {
    LONGEST_NAME = 32
};

#define LONGEST_TIME_MS (INT64_C(1000) * 60 * 60 * 24 * 365)

struct reading {
    const struct kv_ctl_verb *verb;
    const char *const *rest; /* the arguments that have not been read */
    struct kv_ctl_arguments *to;
};

static bool has_option(const struct kv_ctl_verb *verb, int option)
{
    return ((verb->options | KV_CTL_COMMON) & KV_CTL_OPTION(option)) != 0;
}

static int refuse_unknown(const struct kv_ctl_verb *verb, const char *text, struct kv_error *reterr)
{
    const char *nearest = NULL;
    char name[LONGEST_NAME];
    snprintf(name, sizeof(name), "%.*s", (int)strcspn(text + 2, "="), text + 2);
    for (int i = 0; i < KV_CTL_N_OPTIONS; i++)
        if (has_option(verb, i))
            kv_name_offer(name, kv_ctl_options[i].name, &nearest);
    if (nearest == NULL)
        return kv_error_set(reterr, "%s has no option %s", verb->name, text);
    return kv_error_set(reterr, "%s has no option %s (did you mean --%s?)", verb->name, text,
                        nearest);
}

/* value: the part after the option in the same argument; NULL: none. */
static int take(struct reading *reading, int id, const char *value, struct kv_error *reterr)
{
    const struct kv_ctl_option *option = &kv_ctl_options[id];
    if (option->argument == NULL) {
        if (value != NULL)
            return kv_error_set(reterr, "--%s takes no value", option->name);
        value = option->name;
    } else if (value == NULL) {
        if (*reading->rest == NULL)
            return kv_error_set(reterr, "--%s needs a value: %s", option->name, option->argument);
        value = *reading->rest++;
    }
    reading->to->options[id] = value;
    if (id == KV_CTL_PREFIX)
        reading->to->prefixes[reading->to->n_prefixes++] = value;
    return 0;
}

static int take_long(struct reading *reading, const char *text, struct kv_error *reterr)
{
    size_t len = strcspn(text + 2, "=");
    for (int i = 0; i < KV_CTL_N_OPTIONS; i++) {
        const char *name = kv_ctl_options[i].name;
        if (has_option(reading->verb, i) && strlen(name) == len &&
            strncmp(name, text + 2, len) == 0)
            return take(reading, i, text[2 + len] == '=' ? text + 2 + len + 1 : NULL, reterr);
    }
    return refuse_unknown(reading->verb, text, reterr);
}

static int id_of(const struct kv_ctl_verb *verb, char letter)
{
    for (int i = 0; i < KV_CTL_N_OPTIONS; i++)
        if (has_option(verb, i) && kv_ctl_options[i].letter == letter)
            return i;
    return -1;
}

/* Flags may be combined, and a value may follow its letter directly: `-vn10`. */
static int take_letters(struct reading *reading, const char *text, struct kv_error *reterr)
{
    for (const char *at = text + 1; *at != '\0'; at++) {
        int id = id_of(reading->verb, *at);
        if (id < 0)
            return kv_error_set(reterr, "%s has no option -%c", reading->verb->name, *at);
        if (kv_ctl_options[id].argument != NULL)
            return take(reading, id, at[1] != '\0' ? at + 1 : NULL, reterr);
        take(reading, id, NULL, reterr);
    }
    return 0;
}

static bool is_operand(const char *text)
{
    return text[0] != '-' || text[1] == '\0' || (text[1] >= '0' && text[1] <= '9');
}

static void take_operand(struct reading *reading, const char *text)
{
    reading->to->operands[reading->to->n_operands++] = text;
}

int kv_ctl_arguments_parse(const struct kv_ctl_verb *verb, const char *const *arguments,
                           struct kv_ctl_arguments *ret, struct kv_error *reterr)
{
    struct reading reading = {.verb = verb, .rest = arguments, .to = ret};
    size_t n = 1;
    for (const char *const *at = arguments; *at != NULL; at++)
        n++;
    *ret = (struct kv_ctl_arguments){.prefixes = kv_calloc(n, sizeof(char *)),
                                     .operands = kv_calloc(n, sizeof(char *))};
    int result = 0;
    while (result == 0 && *reading.rest != NULL) {
        const char *text = *reading.rest++;
        if (is_operand(text))
            take_operand(&reading, text);
        else if (strcmp(text, "--") == 0)
            while (*reading.rest != NULL)
                take_operand(&reading, *reading.rest++);
        else
            result = text[1] == '-' ? take_long(&reading, text, reterr)
                                    : take_letters(&reading, text, reterr);
    }
    return result;
}

void kv_ctl_arguments_fini(struct kv_ctl_arguments *arguments)
{
    free(arguments->prefixes);
    free(arguments->operands);
}

bool kv_ctl_words_have(const char *words, const char *word)
{
    size_t len = strlen(word);
    for (const char *at = words; len != 0 && (at = strstr(at, word)) != NULL; at += len)
        if ((at == words || at[-1] == ' ') && (at[len] == ' ' || at[len] == '\0'))
            return true;
    return false;
}

int kv_ctl_arguments_check(const struct kv_ctl_verb *verb, const struct kv_ctl_arguments *arguments,
                           struct kv_error *reterr)
{
    if (arguments->n_operands < verb->least)
        return kv_error_set(reterr, "%s needs %s", verb->name, verb->operands);
    if (arguments->n_operands > verb->most)
        return kv_error_set(reterr, "%s: unexpected argument %s", verb->name,
                            arguments->operands[verb->most]);
    if (verb->words != NULL && arguments->n_operands != 0 &&
        !kv_ctl_words_have(verb->words, arguments->operands[0]))
        return kv_error_set(reterr, "%s: \"%s\" is none of: %s", verb->name, arguments->operands[0],
                            verb->words);
    return 0;
}

int kv_ctl_read_number(const struct kv_ctl_arguments *arguments, enum kv_ctl_option_id option,
                       uint64_t least, uint64_t most, uint64_t *ret, struct kv_error *reterr)
{
    const char *text = arguments->options[option];
    char *end;
    if (text == NULL)
        return 0;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (errno != 0 || *text < '0' || *text > '9' || *end != '\0' || number < least || number > most)
        return kv_error_set(reterr, "--%s must be a whole number from %ju to %ju, not \"%s\"",
                            kv_ctl_options[option].name, (uintmax_t)least, (uintmax_t)most, text);
    *ret = number;
    return 0;
}

int kv_ctl_read_time(const struct kv_ctl_arguments *arguments, enum kv_ctl_option_id option,
                     int64_t *ret_ms, struct kv_error *reterr)
{
    const char *text = arguments->options[option];
    const char *what;
    if (text == NULL)
        return 0;
    if (kv_duration_parse(kv_slice_of(text), LONGEST_TIME_MS, ret_ms, &what) != 0)
        return kv_error_set(reterr, "--%s: \"%s\" %s", kv_ctl_options[option].name, text, what);
    if (*ret_ms == 0)
        return kv_error_set(reterr, "--%s must be longer than 0", kv_ctl_options[option].name);
    return kv_duration_check_unit(kv_slice_of(text), reterr);
}

int kv_ctl_read_format(const struct kv_ctl_arguments *arguments, enum kv_ctl_format *ret,
                       struct kv_error *reterr)
{
    static const char *const names[] = {[KV_CTL_TEXT] = "text",
                                        [KV_CTL_JSON] = "json",
                                        [KV_CTL_JSONL] = "jsonl",
                                        [KV_CTL_RAW] = "raw"};
    const char *text = arguments->options[KV_CTL_OUTPUT];
    if (text == NULL)
        return 0;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(names[i], text) == 0) {
            *ret = (enum kv_ctl_format)i;
            return 0;
        }
    return kv_error_set(reterr, "--output: \"%s\" is none of: %s", text,
                        kv_ctl_options[KV_CTL_OUTPUT].words);
}
