/*
 * News: the state of a key on its way to the subscribers of one loop. Subscribers with room get it
 * at once; for the others a copy is kept, which they share.
 */
#ifndef KV_KEYSPACE_NEWS_H
#define KV_KEYSPACE_NEWS_H

#include "base/budget.h"
#include "keyspace/item.h"

/* How a client's subscriptions cover a key. */
struct kv_coverage {
    bool wants_meta; /* any of them does */
    bool by_key;     /* one of them names the key */
};

/* The bytes in which news is sent, made by the first subscriber that needs them and shared by all
 * subscribers of its kind. */
struct kv_form {
    const void *maker; /* identifies the kind of form; NULL: none yet */
    void *made;
    void (*release)(void *made);
};

enum {
    KV_NEWS_FORMS = 6 /* kinds at most */
};

struct kv_kept_news;

struct kv_news {
    struct kv_slice key;
    uint64_t hash;
    enum kv_reason reason; /* 0: not a change, but the state that was found */
    uint64_t revision;     /* of the change; 0: unknown, as of a state that is missing */
    struct kv_item state;  /* lent; revision 0: no value */
    struct kv_form forms[KV_NEWS_FORMS];
    struct kv_kept_news *kept; /* the copy; NULL: none was needed yet */
};

/* `set`, `delete` or `expire`; NULL for 0. */
const char *kv_reason_name(enum kv_reason reason);

struct kv_news kv_news_of_change(const struct kv_change *change);

/* Releases its forms, and its hold on the copy. */
void kv_news_fini(struct kv_news *news);

/* The form of the maker's kind; `made` is NULL if it still has to be made. */
struct kv_form *kv_news_form(struct kv_news *news, const void *maker);

/* News that is kept. Belongs to one loop. Its memory is counted once for all holders. */
struct kv_kept_news {
    struct kv_news news;
    const struct kv_store_link *store;
    struct kv_tally *tally;
    uint32_t n_holders;
};

/* tally: of the loop. Returns: the copy, held once more, until kv_kept_news_release(). */
struct kv_kept_news *kv_news_keep(struct kv_news *news, const struct kv_store_link *store,
                                  struct kv_tally *tally);
void kv_kept_news_release(struct kv_kept_news *kept);

#endif
