/* Keys and names of contexts are requested while completing, within a second at most; if the server
 * cannot be reached, nothing is completed. The texts in the tables have no quotes, which shells
 * would interpret. */
#include "kvctl/completion.h"

#include "kvctl/output.h"

static const char list_keys[] = "kvctl ls --quiet --timeout 1s --limit 200 --delimiter /";
static const char list_contexts[] = "kvctl context ls -o raw";

typedef void (*write_fn)(const struct kv_ctl_verb *verbs);

static bool has(const struct kv_ctl_verb *verb, int option)
{
    return ((verb->options | KV_CTL_COMMON) & KV_CTL_OPTION(option)) != 0;
}

static bool takes_keys(const struct kv_ctl_verb *verb)
{
    return has(verb, KV_CTL_JSON_KEYS);
}

/* ---- bash ---- */

static void put_bash_options(const struct kv_ctl_verb *verb)
{
    kv_ctl_putf("    %s) options=\"", verb->name);
    for (int i = 0; i < KV_CTL_N_OPTIONS; i++)
        if (has(verb, i))
            kv_ctl_putf("--%s ", kv_ctl_options[i].name);
    kv_ctl_putf("\" words=\"%s\" kind=%s ;;\n", verb->words == NULL ? "" : verb->words,
                verb->takes_files  ? "files"
                : takes_keys(verb) ? "keys"
                                   : "none");
}

static void put_bash_values(void)
{
    for (int i = 0; i < KV_CTL_N_OPTIONS; i++) {
        const struct kv_ctl_option *option = &kv_ctl_options[i];
        char letter[8] = "";
        if (option->letter != 0)
            snprintf(letter, sizeof(letter), " | -%c", option->letter);
        if (i == KV_CTL_CONTEXT)
            kv_ctl_putf(
                "    --%s%s) COMPREPLY=($(compgen -W \"$(%s 2>/dev/null)\" -- \"$word\")) ; "
                "return ;;\n",
                option->name, letter, list_contexts);
        else if (option->words != NULL)
            kv_ctl_putf("    --%s%s) COMPREPLY=($(compgen -W \"%s\" -- \"$word\")) ; return ;;\n",
                        option->name, letter, option->words);
        else if (option->is_file)
            kv_ctl_putf("    --%s%s) compopt -o default; return ;;\n", option->name, letter);
        else if (option->argument != NULL)
            kv_ctl_putf("    --%s%s) return ;;\n", option->name, letter);
    }
}

static void write_bash(const struct kv_ctl_verb *verbs)
{
    kv_ctl_put(KV_SLICE("# bash completion of kvctl; written by `kvctl completion bash`\n"
                        "_kvctl() {\n"
                        "    local word=\"${COMP_WORDS[COMP_CWORD]}\" verb=\"${COMP_WORDS[1]}\"\n"
                        "    local before=\"${COMP_WORDS[COMP_CWORD-1]}\" options words kind key\n"
                        "    COMPREPLY=()\n"
                        "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
                        "        COMPREPLY=($(compgen -W \""));
    for (const struct kv_ctl_verb *verb = verbs; verb->name != NULL; verb++)
        kv_ctl_putf("%s ", verb->name);
    kv_ctl_put(KV_SLICE("--help --version\" -- \"$word\"))\n"
                        "        return\n"
                        "    fi\n"
                        "    case \"$before\" in\n"));
    put_bash_values();
    kv_ctl_put(KV_SLICE("    esac\n"
                        "    case \"$verb\" in\n"));
    for (const struct kv_ctl_verb *verb = verbs; verb->name != NULL; verb++)
        put_bash_options(verb);
    kv_ctl_putf("    esac\n"
                "    if [ \"${word#-}\" != \"$word\" ]; then\n"
                "        COMPREPLY=($(compgen -W \"$options\" -- \"$word\"))\n"
                "    elif [ -n \"$words\" ] && [ \"$COMP_CWORD\" -eq 2 ]; then\n"
                "        COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n"
                "    elif [ \"$verb\" = context ] && [ \"$COMP_CWORD\" -eq 3 ]; then\n"
                "        COMPREPLY=($(compgen -W \"$(%s 2>/dev/null)\" -- \"$word\"))\n"
                "    elif [ \"$kind\" = files ]; then\n"
                "        compopt -o default\n"
                "    elif [ \"$kind\" = keys ]; then\n"
                "        compopt -o nospace\n"
                "        while IFS= read -r key; do\n"
                "            COMPREPLY+=(\"$(printf %%q \"$key\")\")\n"
                "        done < <(%s -- \"$word\" 2>/dev/null)\n"
                "    fi\n"
                "}\n"
                "complete -F _kvctl kvctl\n",
                list_contexts, list_keys);
}

/* ---- zsh ---- */

/* Within brackets of a specification, `]` and `:` need a backslash. */
static void put_zsh_text(const char *text)
{
    for (; *text != '\0'; text++) {
        if (strchr("[]:", *text) != NULL)
            kv_ctl_put(KV_SLICE("\\"));
        kv_ctl_put((struct kv_slice){text, 1});
    }
}

static void put_zsh_value(int id)
{
    const struct kv_ctl_option *option = &kv_ctl_options[id];
    if (option->argument == NULL)
        return;
    kv_ctl_putf(":%s", option->argument);
    if (id == KV_CTL_CONTEXT)
        kv_ctl_put(KV_SLICE(":_kvctl_contexts"));
    else if (option->words != NULL)
        kv_ctl_putf(":(%s)", option->words);
    else if (option->is_file)
        kv_ctl_put(KV_SLICE(":_files"));
    else
        kv_ctl_put(KV_SLICE(":"));
}

static void put_zsh_option(int id)
{
    const struct kv_ctl_option *option = &kv_ctl_options[id];
    const char *star = id == KV_CTL_PREFIX ? "*" : "";
    if (option->letter != 0) {
        kv_ctl_putf(" \\\n            '%s-%c[", star, option->letter);
        put_zsh_text(option->summary);
        kv_ctl_put(KV_SLICE("]"));
        put_zsh_value(id);
        kv_ctl_put(KV_SLICE("'"));
    }
    kv_ctl_putf(" \\\n            '%s--%s[", star, option->name);
    put_zsh_text(option->summary);
    kv_ctl_put(KV_SLICE("]"));
    put_zsh_value(id);
    kv_ctl_put(KV_SLICE("'"));
}

static void put_zsh_verb(const struct kv_ctl_verb *verb)
{
    kv_ctl_putf("    %s)\n        _arguments", verb->name);
    for (int i = 0; i < KV_CTL_N_OPTIONS; i++)
        if (has(verb, i))
            put_zsh_option(i);
    if (verb->words != NULL)
        kv_ctl_putf(" \\\n            '1:word:(%s)'", verb->words);
    if (strcmp(verb->name, "context") == 0)
        kv_ctl_put(KV_SLICE(" \\\n            '2:name:_kvctl_contexts'"));
    else if (verb->takes_files)
        kv_ctl_put(KV_SLICE(" \\\n            '*:file:_files'"));
    else if (takes_keys(verb))
        kv_ctl_put(KV_SLICE(" \\\n            '*:key:_kvctl_keys'"));
    kv_ctl_put(KV_SLICE("\n        ;;\n"));
}

static void write_zsh(const struct kv_ctl_verb *verbs)
{
    kv_ctl_putf("#compdef kvctl\n"
                "# zsh completion of kvctl; written by `kvctl completion zsh`\n"
                "_kvctl_contexts() {\n"
                "    local -a names; names=(${(f)\"$(%s 2>/dev/null)\"})\n"
                "    compadd -a names\n"
                "}\n"
                "_kvctl_keys() {\n"
                "    local -a keys; keys=(${(f)\"$(%s -- \"${(Q)PREFIX}\" 2>/dev/null)\"})\n"
                "    compadd -S '' -a keys\n"
                "}\n"
                "_kvctl() {\n"
                "    local -a verbs; verbs=(\n",
                list_contexts, list_keys);
    for (const struct kv_ctl_verb *verb = verbs; verb->name != NULL; verb++)
        kv_ctl_putf("        '%s:%s'\n", verb->name, verb->summary);
    kv_ctl_put(KV_SLICE("    )\n"
                        "    if (( CURRENT == 2 )); then\n"
                        "        _describe verb verbs\n"
                        "        return\n"
                        "    fi\n"
                        "    shift words; (( CURRENT-- ))\n"
                        "    case \"$words[1]\" in\n"));
    for (const struct kv_ctl_verb *verb = verbs; verb->name != NULL; verb++)
        put_zsh_verb(verb);
    kv_ctl_put(
        KV_SLICE("    esac\n"
                 "}\n"
                 "if [ \"$funcstack[1]\" = _kvctl ]; then _kvctl \"$@\"; else compdef _kvctl "
                 "kvctl; fi\n"));
}

/* ---- fish ---- */

static void put_fish_option(const struct kv_ctl_verb *verbs, int id)
{
    const struct kv_ctl_option *option = &kv_ctl_options[id];
    kv_ctl_put(KV_SLICE("complete -c kvctl"));
    if (id >= KV_CTL_N_COMMON) {
        kv_ctl_put(KV_SLICE(" -n '__fish_seen_subcommand_from"));
        for (const struct kv_ctl_verb *verb = verbs; verb->name != NULL; verb++)
            if (has(verb, id))
                kv_ctl_putf(" %s", verb->name);
        kv_ctl_put(KV_SLICE("'"));
    }
    kv_ctl_putf(" -l %s", option->name);
    if (option->letter != 0)
        kv_ctl_putf(" -s %c", option->letter);
    if (id == KV_CTL_CONTEXT)
        kv_ctl_putf(" -x -a '(%s 2>/dev/null)'", list_contexts);
    else if (option->words != NULL)
        kv_ctl_putf(" -x -a '%s'", option->words);
    else if (option->argument != NULL)
        kv_ctl_put(option->is_file ? KV_SLICE(" -r -F") : KV_SLICE(" -x"));
    kv_ctl_putf(" -d '%s'\n", option->summary);
}

static void put_fish_operands(const struct kv_ctl_verb *verb)
{
    const char *name = verb->name;
    if (verb->words != NULL)
        kv_ctl_putf("complete -c kvctl -n '__fish_seen_subcommand_from %s; and not "
                    "__fish_seen_subcommand_from %s' -a '%s'\n",
                    name, verb->words, verb->words);
    if (strcmp(name, "context") == 0)
        kv_ctl_putf("complete -c kvctl -n '__fish_seen_subcommand_from context; and "
                    "__fish_seen_subcommand_from use rm' -a '(%s 2>/dev/null)'\n",
                    list_contexts);
    else if (verb->takes_files)
        kv_ctl_putf("complete -c kvctl -n '__fish_seen_subcommand_from %s' -F\n", name);
    else if (takes_keys(verb))
        kv_ctl_putf("complete -c kvctl -n '__fish_seen_subcommand_from %s' "
                    "-a '(%s -- (commandline -ct) 2>/dev/null)'\n",
                    name, list_keys);
}

static void write_fish(const struct kv_ctl_verb *verbs)
{
    kv_ctl_put(KV_SLICE("# fish completion of kvctl; written by `kvctl completion fish`\n"
                        "complete -c kvctl -f\n"));
    for (const struct kv_ctl_verb *verb = verbs; verb->name != NULL; verb++)
        kv_ctl_putf("complete -c kvctl -n __fish_use_subcommand -a %s -d '%s'\n", verb->name,
                    verb->summary);
    for (int i = 0; i < KV_CTL_N_OPTIONS; i++)
        put_fish_option(verbs, i);
    for (const struct kv_ctl_verb *verb = verbs; verb->name != NULL; verb++)
        put_fish_operands(verb);
}

int kv_ctl_completion_run(struct kv_ctl_call *call)
{
    static const struct {
        const char *shell;
        write_fn write;
    } shells[] = {{"bash", write_bash}, {"zsh", write_zsh}, {"fish", write_fish}};
    for (size_t i = 0; i < sizeof(shells) / sizeof(shells[0]); i++)
        if (strcmp(shells[i].shell, call->arguments.operands[0]) == 0)
            shells[i].write(call->verbs);
    return KV_CTL_DONE;
}
