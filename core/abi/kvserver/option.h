/*
 * Options: the schema of what a module (or the server itself) takes from the YAML file, and the
 * checked, typed values that come back. A module never sees YAML, nor text in place of a number:
 * the host checks types and ranges, fills in the defaults, and reports faults with file, line and
 * column.
 */
#ifndef KVSERVER_OPTION_H
#define KVSERVER_OPTION_H

#include <kvserver/types.h>

enum kv_option_type {
    KV_OPTION_BOOL = 1,     /* true, false                                    -> boolean */
    KV_OPTION_INT = 2,      /* a whole number                                 -> integer */
    KV_OPTION_REAL = 3,     /* a decimal number                               -> real */
    KV_OPTION_DURATION = 4, /* `30s`, `1h 5m`; without a unit only `0`        -> integer, ms */
    KV_OPTION_SIZE = 5,     /* `64MiB`, `10kB`, or plain bytes                -> integer, bytes */
    KV_OPTION_STRING = 6,   /* any text                                       -> string */
    KV_OPTION_CHOICE = 7, /* one of `choices`                               -> integer, its index */
    KV_OPTION_LIST = 8,   /* a sequence of `fields[0]`                      -> list */
    KV_OPTION_BLOCK = 9,  /* a mapping with `fields`             -> list, aligned with `fields` */
    KV_OPTION_MAP = 10,   /* a mapping of text to text      -> list of strings: key, value, … */
    KV_OPTION_TREE = 11,  /* a subtree, unparsed: for the server's own schema only */
    /* Since 1.3. The path of a file or a folder. A relative path is resolved against the folder of
     * the configuration, and arrives as an absolute one; the empty text stays empty -> string */
    KV_OPTION_PATH = 12,
};

enum kv_option_flag {
    KV_OPTION_REQUIRED = 1u << 0, /* an error if it is not given; it has no default */
    KV_OPTION_SECRET = 1u << 1, /* left out of messages; printed as the ${VAR} that it came from */

    /* Since 1.3, for PATH, at most one of them: checks that the server makes before it opens
     * anything, so that a wrong path is reported with its place in the file. The module still opens
     * the path itself. */
    KV_OPTION_READS = 1u << 2,  /* a file that must exist */
    KV_OPTION_WRITES = 1u << 3, /* a file; created if it is missing, but its folder is not */
    KV_OPTION_FOLDER = 1u << 4, /* a folder to write in; created if missing, with those above it */

    /* Since 1.3, for STRING: a URL. The part before its `@` is SECRET, the rest is not. */
    KV_OPTION_URL = 1u << 5,
};

/* The `integer` of an option whose value in the file is `keyword` instead of a number. */
#define KV_OPTION_KEYWORD INT64_MIN

/* One option of a schema. Constant data of the module, alive while it is loaded. Members that do
 * not apply to the type stay zero. */
struct kv_option {
    const char *name; /* snake_case; NULL for the element of a list */
    enum kv_option_type type;
    uint32_t flags;       /* enum kv_option_flag */
    const char *fallback; /* the default, as written in YAML (scalars only; a DURATION may be plain
                             milliseconds); NULL: zero, the empty string, the empty list, a block of
                             defaults */
    int64_t min, max;     /* INT, DURATION, SIZE: the range; 0 and 0: from 0 up */
    const char *keyword;  /* INT, DURATION, SIZE: a word that stands for KV_OPTION_KEYWORD */
    const char *const *choices;     /* CHOICE: the words, NULL at the end */
    const struct kv_option *fields; /* BLOCK: its members; LIST: one, the element */
    size_t n_fields;
    const char *doc; /* one line, for messages and the printed configuration */
    /* Since 1.3. MAP with SECRET: the keys whose texts are secret, NULL at the end; NULL: all. */
    const char *const *secret_keys;
};

/* The value of one option. Strings are NUL-terminated as well. Everything belongs to the host and
 * stays valid for the time that the call which passes it documents (for `open`: until `close`). */
struct kv_option_value {
    bool is_given; /* given in the file; otherwise the default was filled in */
    union {
        bool boolean;
        int64_t integer;
        double real;
        struct kv_slice string;
        struct {
            const struct kv_option_value *items;
            size_t n;
        } list;
        const void *tree;
    };
};

#endif
