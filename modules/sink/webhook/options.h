/*
 * The options of the sink, and their checks beyond the types.
 */
#ifndef KV_WEBHOOK_OPTIONS_H
#define KV_WEBHOOK_OPTIONS_H

#include <kvserver/sink.h>

enum {
    OPTION_URL,
    OPTION_SECRET,
    OPTION_PREVIOUS_SECRET,
    OPTION_HEADERS,
    OPTION_BATCH,
    OPTION_ATTEMPTS,
    OPTION_DEAD_LETTER,
    OPTION_TIMEOUT,
    OPTION_CONNECT_TIMEOUT,
    OPTION_CA_FILE,
    N_OPTIONS
};

enum {
    WEBHOOK_LONGEST_HEADER = 2048 /* name, colon, space, value and NUL */
};

extern const struct kv_option webhook_options[N_OPTIONS];

void webhook_check(const struct kv_option_value *options, const struct kv_faults *faults);

#endif
