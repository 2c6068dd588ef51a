#include "told_store.h"

#include "base/hash.h"
#include "base/mem.h"
#include "keyspace/loop.h"

enum {
    MAX_KEYS = 64
};

struct told {
    uint32_t n_references;
    uint64_t revision;
    struct kv_slice key, value;
    char bytes[];
};

static struct rig *the_rig;
static uint64_t newest;
static uint64_t n_references;
static struct told *last[MAX_KEYS]; /* the latest told state of each key; holds a reference */
static size_t n_last;

static int told_open(const struct kv_store_host *host, const struct kv_option_value *options,
                     struct kv_store **ret_store, struct kv_error *reterr)
{
    static char place;
    the_rig->host = host;
    (void)options;
    (void)reterr;
    *ret_store = (struct kv_store *)(void *)&place;
    return 0;
}

static void told_info(struct kv_store *store, struct kv_store_info *ret_info)
{
    (void)store;
    *ret_info = (struct kv_store_info){.parts = 1, .epoch = "epoch"};
}

static void told_ref(struct kv_store *store, void *ref)
{
    struct told *told = ref;
    (void)store;
    told->n_references++;
    n_references++;
}

static void told_unref(struct kv_store *store, void *ref)
{
    struct told *told = ref;
    (void)store;
    n_references--;
    if (--told->n_references == 0)
        free(told);
}

static struct told **find(struct kv_slice key)
{
    for (size_t i = 0; i < n_last; i++)
        if (kv_slice_equals(last[i]->key, key))
            return &last[i];
    return NULL;
}

static struct kv_item item_of(struct told *told)
{
    return (struct kv_item){.value = told->value,
                            .revision = told->value.len == 0 ? 0 : told->revision,
                            .deadline_ms = KV_NEVER,
                            .ref = told};
}

static void told_submit(struct kv_store *store, uint32_t loop, struct kv_cmd *const *cmds, size_t n)
{
    (void)loop;
    for (size_t i = 0; i < n; i++) {
        struct told **found = find(cmds[i]->key);
        assert_int_equal(cmds[i]->op, KV_OP_GET);
        cmds[i]->status = KV_MISSING;
        if (found == NULL || (*found)->value.len == 0)
            continue;
        told_ref(store, *found);
        cmds[i]->item = item_of(*found);
        cmds[i]->status = KV_OK;
    }
}

static void told_scan(struct kv_store *store, uint32_t loop, struct kv_scan *scan)
{
    (void)store;
    (void)loop;
    scan->status = KV_OK;
}

static int64_t told_expire(struct kv_store *store, uint32_t part, int64_t now_ms, uint32_t max)
{
    (void)store;
    (void)part;
    (void)now_ms;
    (void)max;
    return KV_NEVER;
}

static void told_close(struct kv_store *store)
{
    for (size_t i = 0; i < n_last; i++)
        told_unref(store, last[i]);
    n_last = 0;
}

static uint64_t told_revision(struct kv_store *store)
{
    (void)store;
    return newest;
}

void told_store_use(struct rig *rig)
{
    newest = 1;
    the_rig = rig;
    rig->ops = (struct kv_store_ops){
        .size = sizeof(rig->ops),
        .open = told_open,
        .info = told_info,
        .submit = told_submit,
        .scan = told_scan,
        .expire = told_expire,
        .ref = told_ref,
        .unref = told_unref,
        .close = told_close,
        .revision = told_revision,
    };
}

void told_store_set_revision(uint64_t revision)
{
    newest = revision;
}

static void append(struct told *told, size_t *at, struct kv_slice *ret_copy, const char *text)
{
    size_t len = text == NULL ? 0 : strlen(text);
    if (len != 0)
        memcpy(told->bytes + *at, text, len);
    *ret_copy = (struct kv_slice){told->bytes + *at, len};
    *at += len;
}

static struct told *create(uint64_t revision, const char *key, const char *value)
{
    size_t at = 0;
    struct told *told = kv_alloc(sizeof(*told) + strlen(key) + (value ? strlen(value) : 0));
    *told = (struct told){.n_references = 1, .revision = revision};
    n_references++;
    append(told, &at, &told->key, key);
    append(told, &at, &told->value, value);
    return told;
}

static void remember(struct told *told)
{
    struct told **found = find(told->key);
    assert_true(found != NULL || n_last < MAX_KEYS);
    if (found == NULL)
        last[n_last++] = told;
    else {
        told_unref(NULL, *found);
        *found = told;
    }
}

void told_store_tell(struct rig *rig, uint64_t revision, const char *key, const char *value)
{
    struct kv_keyspace_loop *here = kv_keyspace_on(rig->keyspace, 0);
    struct told *told = create(revision, key, value);
    struct kv_change change = {.reason = value == NULL ? KV_REASON_DELETE : KV_REASON_SET,
                               .revision = revision,
                               .hash = kv_hash(kv_slice_of(key)),
                               .key = told->key};
    if (revision > newest)
        newest = revision;
    if (value == NULL)
        change.before = (struct kv_item){.revision = 1, .deadline_ms = KV_NEVER, .ref = told};
    else
        change.after = item_of(told);
    kv_feed_changed(here->inbox.feed, &change);
    remember(told);
}

void told_store_show(struct rig *rig, uint64_t claim, uint16_t mark, uint64_t revision,
                     const char *key, const char *value)
{
    struct told *told = create(revision, key, value);
    const struct kv_change change = {.reason = KV_REASON_SET,
                                     .revision = revision,
                                     .hash = kv_hash(kv_slice_of(key)),
                                     .key = told->key,
                                     .after = item_of(told)};
    rig->host->show(rig->host, 0, claim, mark, &change);
    told_unref(NULL, told);
}

bool told_store_remember(struct rig *rig, uint64_t after, uint64_t upto, uint64_t revision,
                         const char *key, const char *value, int64_t at_ms)
{
    struct told *told = create(revision, key, value);
    struct kv_change change = {.reason = value == NULL ? KV_REASON_DELETE : KV_REASON_SET,
                               .revision = revision,
                               .key = told->key};
    if (told->value.len != 0)
        change.after = item_of(told);
    bool is_taken = rig->host->remember(rig->host, after, upto, &change, at_ms);
    told_unref(NULL, told);
    return is_taken;
}

uint64_t told_store_n_references(void)
{
    return n_references;
}

void *told_store_reference(void)
{
    return create(1, "", NULL);
}

void told_store_expect_no_references(void)
{
    assert_int_equal(n_references, 0);
}
