/*
 * Known heads: from the version of HTTP on, the heads of a client's requests are the same, except
 * for the digits of a Content-Length. So the heads of plain requests are remembered, and a head
 * that equals a known one byte for byte need not be parsed again. Similar clients share a known
 * head: it has a gap for each client's own token. Within a pipeline the head of the last request is
 * still in the input, token and all, so one comparison suffices.
 */
#ifndef KV_HTTP_KNOWN_HEAD_H
#define KV_HTTP_KNOWN_HEAD_H

#include <kvserver/types.h>

enum {
    KV_LONGEST_KNOWN_HEAD = 1024,
    KV_MOST_KNOWN_HEADS = 8,
    KV_MOST_GAPS = 2 /* the length and the token */
};

/* The head of a plain request, from the space before the version to the empty line. Slices of the
 * input. */
struct kv_plain_head {
    struct kv_slice text;
    struct kv_slice host;   /* bytes NULL: none */
    struct kv_slice length; /* the value of Content-Length; bytes NULL: none */
    struct kv_slice token;  /* of `Authorization: Bearer`; bytes NULL: none */
    bool is_usual_token;    /* it equals the token of the connection's last request */
};

/* A place where similar heads differ. */
struct kv_head_gap {
    size_t at; /* offset in `bytes` */
    bool is_token;
};

struct kv_known_head {
    size_t len; /* without the contents of the gaps; 0: nothing is known yet */
    struct kv_head_gap gaps[KV_MOST_GAPS]; /* in the order of their offsets */
    size_t n_gaps;
    size_t host_at; /* offset in `bytes` */
    size_t host_len;
    char bytes[KV_LONGEST_KNOWN_HEAD];
};

/* Belongs to one loop. All zero to begin with. */
struct kv_known_heads {
    struct kv_known_head all[KV_MOST_KNOWN_HEADS];
    size_t next;        /* the next to be replaced */
    bool reads_cookies; /* a request with a cookie is not plain */
};

/* The memory of one connection. */
struct kv_head_memory {
    struct kv_known_heads *known;
    const struct kv_known_head *usual; /* that of its last request, unless replaced since */
    struct kv_slice token;             /* the token of its last request; empty: none */
    struct kv_plain_head head;         /* of its last request; no text: not in this input */
};

static inline struct kv_head_memory kv_head_memory_of(struct kv_known_heads *known)
{
    return (struct kv_head_memory){.known = known, .usual = &known->all[0]};
}

/* Call before the first of the requests that are read from the same input. */
static inline void kv_head_memory_begin(struct kv_head_memory *memory)
{
    memory->head.text.len = 0;
}

/* Sets the token that identifies the client, which is empty if that of the last request was
 * refused. Lent until the next call. */
static inline void kv_head_memory_use_token(struct kv_head_memory *memory, struct kv_slice token)
{
    if (token.bytes != memory->token.bytes)
        memory->head.text.len = 0;
    memory->token = token;
}

/* Whether the input begins with the head of the last request, or with the connection's usual head
 * and its token. `memory->head`: the parts of the head; all zero if it does not. */
bool kv_head_memory_recall(struct kv_head_memory *memory, struct kv_slice input);

/* Makes `memory->head`, which has a host, the connection's usual one. Its length, if it has one,
 * consists of digits. */
void kv_head_memory_learn(struct kv_head_memory *memory);

/* The definition of plain requests has changed: forgets all heads. */
void kv_known_heads_forget(struct kv_known_heads *known);

#endif
