/*
 * The entity tags of If-Match and If-None-Match (RFC 9110, sections 8.8.3 and 13.1). The server's
 * tags are revisions in quotes; any other tag is legal, and matches nothing.
 */
#ifndef KV_WIRE_ETAG_H
#define KV_WIRE_ETAG_H

#include <kvserver/types.h>

/* The contents of the lines of one header. All zero: the header is absent. Owns the arrays, until
 * kv_etags_fini(). */
struct kv_etags {
    bool is_given; /* at least one line */
    bool is_any;   /* `*` */
    size_t n;      /* number of the server's tags that are strong */
    uint64_t *revisions;
    size_t n_weak; /* number of weak ones: `W/"17"` */
    uint64_t *weak_revisions;
};

/* Reads one line. Several lines of a header are one list: pass them with the same struct.
 * Returns: 0, or -1 if the list is malformed (including `*` next to any tag); then only call
 * kv_etags_fini(). */
int kv_etags_parse(struct kv_slice header_value, struct kv_etags *etags);

void kv_etags_fini(struct kv_etags *etags);

/* Whether the header matches an existing key with this revision. If-Match compares strongly: weak
 * tags never match. If-None-Match compares weakly: weak and strong tags match. */
bool kv_etags_match_strongly(const struct kv_etags *etags, uint64_t revision);
bool kv_etags_match_weakly(const struct kv_etags *etags, uint64_t revision);

#endif
