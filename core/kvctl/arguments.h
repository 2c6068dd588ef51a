/*
 * Parses the command line of a verb.
 */
#ifndef KV_KVCTL_ARGUMENTS_H
#define KV_KVCTL_ARGUMENTS_H

#include "kvctl/verb.h"

/* Parses the arguments after the verb: options and operands in any order, only operands after `--`.
 * A negative number is an operand. arguments: NULL-terminated, and lives as long as *ret. Returns:
 * 0, or -1 and *reterr. Owns: the caller, by kv_ctl_arguments_fini(). */
int kv_ctl_arguments_parse(const struct kv_ctl_verb *verb, const char *const *arguments,
                           struct kv_ctl_arguments *ret, struct kv_error *reterr);

void kv_ctl_arguments_fini(struct kv_ctl_arguments *arguments);

/* Checks that the verb accepts this number of operands. Returns: 0, or -1 and *reterr. */
int kv_ctl_arguments_check(const struct kv_ctl_verb *verb, const struct kv_ctl_arguments *arguments,
                           struct kv_error *reterr);

/* The values of options. *ret is unchanged if the option was not given.
 * Return: 0, or -1 and *reterr. */
int kv_ctl_read_number(const struct kv_ctl_arguments *arguments, enum kv_ctl_option_id option,
                       uint64_t least, uint64_t most, uint64_t *ret, struct kv_error *reterr);
int kv_ctl_read_time(const struct kv_ctl_arguments *arguments, enum kv_ctl_option_id option,
                     int64_t *ret_ms, struct kv_error *reterr);
int kv_ctl_read_format(const struct kv_ctl_arguments *arguments, enum kv_ctl_format *ret,
                       struct kv_error *reterr);

/* Whether `words`, separated by blanks, contains the word. */
bool kv_ctl_words_have(const char *words, const char *word);

#endif
