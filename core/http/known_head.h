/*
 * Known heads: from the version of HTTP on, the heads of a client's requests are the same, except
 * for the digits of a Content-Length. So the heads of plain requests are remembered, and one that
 * equals a known one byte for byte need not be read again. Clients of a kind share a known head:
 * it has a gap where each has its own token.
 */
#ifndef KV_HTTP_KNOWN_HEAD_H
#define KV_HTTP_KNOWN_HEAD_H

#include <kvserver/types.h>

enum {
    KV_LONGEST_KNOWN_HEAD = 1024,
    KV_MOST_KNOWN_HEADS = 8,
    KV_MOST_GAPS = 2 /* the length and the token */
};

/* A plain request's head, from the space before the version up to the empty line. Slices of the
 * input. */
struct kv_plain_head {
    struct kv_slice text;
    struct kv_slice host;   /* bytes NULL: there is none */
    struct kv_slice length; /* the value of Content-Length; bytes NULL: there is none */
    struct kv_slice token;  /* of `Authorization: Bearer`; bytes NULL: there is none */
    bool is_usual_token;    /* it equals that of the connection's last request */
};

/* Where heads of a kind differ. */
struct kv_head_gap {
    size_t at; /* in `bytes` */
    bool is_token;
};

struct kv_known_head {
    size_t len; /* without what is in the gaps; 0: nothing is known yet */
    struct kv_head_gap gaps[KV_MOST_GAPS]; /* in the order of their places */
    size_t n_gaps;
    size_t host_at; /* in `bytes` */
    size_t host_len;
    char bytes[KV_LONGEST_KNOWN_HEAD];
};

/* One loop's. All zero to begin with. */
struct kv_known_heads {
    struct kv_known_head all[KV_MOST_KNOWN_HEADS];
    size_t next;        /* to be replaced */
    bool reads_cookies; /* a request with one is not plain */
};

/* What a connection remembers. */
struct kv_head_memory {
    struct kv_known_heads *known;
    const struct kv_known_head *usual; /* that of its last request, unless it was replaced since */
    struct kv_slice token;             /* that of its last request; empty: it had none */
};

static inline struct kv_head_memory kv_head_memory_of(struct kv_known_heads *known)
{
    return (struct kv_head_memory){.known = known, .usual = &known->all[0]};
}

/* Whether the input begins with the connection's usual head, with its token. *ret: what it
 * says; all zero where it does not. */
bool kv_head_memory_recall(const struct kv_head_memory *memory, struct kv_slice input,
                           struct kv_plain_head *ret);

/* Makes a head with a host the connection's usual one. Its length, if it has one, is digits. */
void kv_head_memory_learn(struct kv_head_memory *memory, const struct kv_plain_head *head);

/* What is plain has changed: no head is known any more. */
void kv_known_heads_forget(struct kv_known_heads *known);

#endif
