/*
 * The entity tags of If-Match and If-None-Match (RFC 9110, sections 8.8.3 and 13.1). A tag of ours
 * is a revision in quotes; any other tag is legal, and matches nothing.
 */
#ifndef KV_WIRE_ETAG_H
#define KV_WIRE_ETAG_H

#include <kvserver/types.h>

/* What the lines of one header say. All zero is a header that is not there. Owns the arrays, until
 * kv_etags_fini(). */
struct kv_etags {
    bool is_given; /* at least one line */
    bool is_any;   /* `*` */
    size_t n;      /* tags of ours that are strong */
    uint64_t *revisions;
    size_t n_weak; /* and weak ones: `W/"17"` */
    uint64_t *weak_revisions;
};

/* Takes in one line. Several lines of a header are one list: give them to the same struct.
 * Returns: 0, or -1 where the list is malformed, `*` beside anything else included; then nothing
 * but kv_etags_fini() is of use. */
int kv_etags_parse(struct kv_slice header_value, struct kv_etags *etags);

void kv_etags_fini(struct kv_etags *etags);

/* Whether the header matches a key that is there with this revision. If-Match compares strongly:
 * weak tags never match. If-None-Match compares weakly: all do. */
bool kv_etags_match_strongly(const struct kv_etags *etags, uint64_t revision);
bool kv_etags_match_weakly(const struct kv_etags *etags, uint64_t revision);

#endif
