#include "keyspace/news.h"

#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"

const char *kv_reason_name(enum kv_reason reason)
{
    static const char *const names[] = {
        [KV_REASON_SET] = "set", [KV_REASON_DELETE] = "delete", [KV_REASON_EXPIRE] = "expire"};
    return names[reason];
}

struct kv_news kv_news_of_change(const struct kv_change *change)
{
    return (struct kv_news){.key = change->key,
                            .hash = change->hash,
                            .reason = change->reason,
                            .revision = change->revision,
                            .state = change->after};
}

void kv_news_fini(struct kv_news *news)
{
    for (int i = 0; i < KV_NEWS_FORMS && news->forms[i].maker != NULL; i++)
        if (news->forms[i].made != NULL)
            news->forms[i].release(news->forms[i].made);
    if (news->kept != NULL)
        kv_kept_news_release(news->kept);
}

struct kv_form *kv_news_form(struct kv_news *news, const void *maker)
{
    struct kv_form *form = news->forms;
    while (form->maker != maker && form->maker != NULL) {
        form++;
        assert(form < news->forms + KV_NEWS_FORMS);
    }
    form->maker = maker;
    return form;
}

/* A store that completes within submit() has the newest value of a key in memory anyway. */
static size_t value_bytes(const struct kv_kept_news *kept)
{
    return kept->store->is_sync ? 0 : kept->news.state.value.len;
}

static int64_t own_bytes(const struct kv_kept_news *kept)
{
    return (int64_t)(sizeof(*kept) + kept->news.key.len);
}

/* The key is copied: a reference that keeps it alive might keep an old value alive as well. The
 * copy of a copy is itself. */
static struct kv_kept_news *copy_of(const struct kv_news *news, const struct kv_store_link *store,
                                    struct kv_tally *tally)
{
    struct kv_kept_news *kept = kv_alloc(sizeof(*kept) + news->key.len);
    char *key = (char *)(kept + 1);
    if (news->key.len != 0)
        memcpy(key, news->key.bytes, news->key.len);
    *kept = (struct kv_kept_news){.store = store, .tally = tally, .n_holders = 1};
    kept->news.key = (struct kv_slice){key, news->key.len};
    kept->news.hash = news->hash;
    kept->news.reason = news->reason;
    kept->news.revision = news->revision;
    kept->news.state = kv_item_share(store, &news->state);
    kept->news.kept = kept;
    kv_tally_add(tally, own_bytes(kept));
    kv_tally_pin(tally, kept->news.state.ref, value_bytes(kept));
    return kept;
}

struct kv_kept_news *kv_news_keep(struct kv_news *news, const struct kv_store_link *store,
                                  struct kv_tally *tally)
{
    if (news->kept == NULL)
        news->kept = copy_of(news, store, tally);
    news->kept->n_holders++;
    return news->kept;
}

void kv_kept_news_release(struct kv_kept_news *kept)
{
    if (--kept->n_holders != 0)
        return;
    kept->news.kept = NULL;
    kv_news_fini(&kept->news);
    kv_tally_unpin(kept->tally, kept->news.state.ref, value_bytes(kept));
    kv_tally_add(kept->tally, -own_bytes(kept));
    kv_item_release(kept->store, &kept->news.state);
    free(kept);
}
