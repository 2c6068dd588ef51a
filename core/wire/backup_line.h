/*
 * The lines of a backup (PROTOCOL B6), one JSON object each:
 *
 *     {"key":"greeting","value":{"text":
 * "hello"},"deadline":1795464866373,"revision":1795464866373480}
 *     {"key":"greeting","deleted":true,"revision":1795464866373481}
 *     {"key":"greeting","touched":true,"deadline":1795464866400,"revision":1795464866373480}
 *     {"backup":{"revision":1795464866373481,"epoch":"6540f062bebbb620","lines":3,"sum":"9f86d081…"}}
 *
 * Deadlines are in milliseconds since 1970. The member is absent if the key has none.
 */
#ifndef KV_WIRE_BACKUP_LINE_H
#define KV_WIRE_BACKUP_LINE_H

#include "wire/line.h"

enum {
    KV_BACKUP_SUM = 64 /* characters: a SHA-256 in hexadecimal */
};

enum kv_backup_line_kind {
    KV_BACKUP_STATE,
    KV_BACKUP_GONE,  /* the key was deleted, or has expired */
    KV_BACKUP_TOUCH, /* the state of the key with this revision has that deadline */
    KV_BACKUP_END,   /* the last line */
};

/* The last line: a summary of the lines before it. */
struct kv_backup_end {
    uint64_t revision;
    struct kv_slice epoch;
    uint64_t n_lines;
    struct kv_slice sum; /* of their bytes, line feeds included: KV_BACKUP_SUM characters */
};

/* As struct kv_line. */
struct kv_backup_line {
    enum kv_backup_line_kind kind;
    struct kv_slice key;
    struct kv_slice value;
    int64_t deadline_unix_ms; /* 0: none */
    uint64_t revision;
    struct kv_backup_end end;
};

/* Reads a line, without its line feed. Like kv_line_parse(), but every known member must have the
 * form shown above; unknown members are ignored. */
int kv_backup_line_parse(struct kv_slice text, const struct kv_line_limits *limits,
                         struct kv_buffer *scratch, struct kv_backup_line *ret,
                         struct kv_error *reterr);

/* Whether only a backup has such a line: it has one of the members that the lines of exports never
 * have. A state without a deadline is not told from the line of an export. */
bool kv_backup_line_is_sure(struct kv_slice text);

/* Whether this is the line with which a server ends a backup, a complete or a failed one. */
bool kv_backup_line_is_last(struct kv_slice text);

/* Writing. kv_line_append_front() writes the part before the value, and kv_line_value_run() says
 * how to write the value; these functions write the rest of the line, or whole lines: */
void kv_backup_line_append_back(struct kv_buffer *out, int64_t deadline_unix_ms, uint64_t revision);
void kv_backup_line_append_gone(struct kv_buffer *out, struct kv_slice key, uint64_t revision);
void kv_backup_line_append_touch(struct kv_buffer *out, struct kv_slice key,
                                 int64_t deadline_unix_ms, uint64_t revision);
void kv_backup_line_append_end(struct kv_buffer *out, const struct kv_backup_end *end);

#endif
