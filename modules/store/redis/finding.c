#include "finding.h"

#include <stdlib.h>

enum {
    FORMAT_SALTED = 1,
    FORMAT = 2,
    LONGEST_TEXT = 64, /* of a number, and the like */
    N_WORDS = 11,      /* of a call that describes the partition, at most */
};

/* ---- reading ---- */

/* The fields of kv{…}i, as the library lists them. */
struct description {
    struct resp_value epoch, format, partitions, seed, salt, making;
};

static const struct kv_slice fields[] = {{"epoch", 5}, {"format", 6}, {"partitions", 10},
                                         {"seed", 4},  {"salt", 4},   {"making", 6}};

static bool read_description(struct kv_slice reply, struct description *ret)
{
    *ret = (struct description){0};
    return resp_next(&reply, &ret->epoch) && resp_next(&reply, &ret->format) &&
           resp_next(&reply, &ret->partitions) && resp_next(&reply, &ret->seed) &&
           resp_next(&reply, &ret->salt) && resp_next(&reply, &ret->making);
}

static int check_format(const struct attempt *attempt, const struct description *description)
{
    int64_t format = resp_read_digits(description->format.text);
    const struct kv_store *store = attempt->store;
    if (description->epoch.type != RESP_STRING || description->epoch.text.len == 0 ||
        description->epoch.text.len >= KV_EPOCH_MAX || description->format.type != RESP_STRING)
        return kv_error_set(attempt->reterr, "Redis at %s: key %s is none of a KvServer",
                            login_address(attempt)->text, store->names.store.bytes);
    if (format != FORMAT_SALTED && format != FORMAT)
        return kv_error_set(attempt->reterr,
                            "Redis at %s: the store has format %.*s, this module takes %d and %d",
                            login_address(attempt)->text, (int)description->format.text.len,
                            description->format.text.bytes, FORMAT_SALTED, FORMAT);
    if (description->partitions.type == RESP_STRING &&
        resp_read_digits(description->partitions.text) != (int64_t)store->n_parts)
        return kv_error_set(attempt->reterr,
                            "Redis at %s: the store has %.*s partitions, the configuration %u",
                            login_address(attempt)->text, (int)description->partitions.text.len,
                            description->partitions.text.bytes, store->n_parts);
    return 0;
}

static int take_description(const struct attempt *attempt, const struct description *description,
                            struct found *ret)
{
    if (check_format(attempt, description) != 0)
        return -1;
    if (!placement_read(description->seed.text, description->salt.text, description->epoch.text,
                        &ret->placement))
        return kv_error_set(attempt->reterr, "Redis at %s: the seed in key %s is malformed",
                            login_address(attempt)->text, attempt->store->names.store.bytes);
    snprintf(ret->epoch, KV_EPOCH_MAX, "%.*s", (int)description->epoch.text.len,
             description->epoch.text.bytes);
    ret->is_being_made = kv_slice_equals(description->making.text, KV_SLICE("1"));
    ret->is_described = true;
    return 0;
}

static int describe(const struct attempt *attempt, struct found *ret)
{
    struct kv_slice words[2 + sizeof(fields) / sizeof(fields[0])] = {
        KV_SLICE("HMGET"), name_slice(&attempt->store->names.store)};
    struct description description;
    struct resp_value value;
    struct kv_slice reply;
    memcpy(words + 2, fields, sizeof(fields));
    if (login_demand(attempt, words, sizeof(words) / sizeof(words[0]), &value, &reply) != 0)
        return -1;
    bool is_there = read_description(reply, &description) && description.epoch.type != RESP_NULL;
    return is_there ? take_description(attempt, &description, ret) : 0;
}

static int exists(const struct attempt *attempt, const struct name *name, bool *ret)
{
    struct resp_value value;
    struct kv_slice reply;
    const struct kv_slice words[] = {KV_SLICE("EXISTS"), name_slice(name)};
    if (login_demand(attempt, words, 2, &value, &reply) != 0)
        return -1;
    *ret = value.type == RESP_INTEGER && value.number == 1;
    return 0;
}

int finding_look(const struct attempt *attempt, struct found *ret)
{
    const struct names *names = &attempt->store->names;
    *ret = (struct found){0};
    if (describe(attempt, ret) != 0 || exists(attempt, &names->newest, &ret->has_newest) != 0)
        return -1;
    return exists(attempt, &names->index, &ret->has_keys);
}

/* ---- opening ---- */

/* Returns: -1 and *reterr if it is not the store that the server, or another partition, has. */
static int compare(const struct attempt *attempt, const struct found *found)
{
    const struct kv_store *store = attempt->store, *first = store->first;
    if (first != NULL && (strcmp(first->epoch, found->epoch) != 0 ||
                          !placement_equals(&first->placement, &found->placement)))
        return kv_error_set(attempt->reterr, "Redis at %s: partition %u belongs to another store",
                            login_address(attempt)->text, store->part);
    if (store->epoch[0] != '\0' && strcmp(store->epoch, found->epoch) != 0)
        return kv_error_set(attempt->reterr,
                            "Redis at %s has another store than when this server started: it has "
                            "to be started anew",
                            login_address(attempt)->text);
    return 0;
}

int finding_miss(struct kv_store *store, struct kv_error *reterr)
{
    store->is_missing = true;
    return kv_error_set(reterr, "there is no store at %s with prefix \"%.*s\"",
                        store->settings.address.text, (int)store->settings.prefix.len,
                        store->settings.prefix.bytes);
}

static int find(const struct attempt *attempt, struct found *ret)
{
    struct kv_store *store = attempt->store;
    if (describe(attempt, ret) != 0 || ret->is_described)
        return ret->is_described ? 0 : -1;
    if (store->epoch[0] == '\0' && (store->nodes == NULL || store->is_read_only))
        return finding_miss(store, attempt->reterr);
    return kv_error_set(attempt->reterr,
                        "Redis at %s no longer has partition %u of the store: the server has to be "
                        "started anew, and then says how to go on",
                        login_address(attempt)->text, store->part);
}

static int draw(const struct attempt *attempt, char epoch[KV_EPOCH_MAX],
                struct placement *placement)
{
    const struct kv_store *first = attempt->store->first;
    if (first != NULL) {
        memcpy(epoch, first->epoch, KV_EPOCH_MAX);
        *placement = first->placement;
        return 0;
    }
    bool is_drawn = kv_epoch_make(epoch) && placement_make(placement);
    return is_drawn ? 0
                    : kv_error_set(attempt->reterr, "the system has no random bytes for the epoch");
}

/* A call of kv1_open or kv1_adopt, in words. */
struct describing {
    char n_parts[LONGEST_TEXT], part[LONGEST_TEXT];
    struct placement_text text;
    struct kv_slice words[N_WORDS];
    size_t n;
};

static void add_word(struct describing *call, struct kv_slice word)
{
    call->words[call->n++] = word;
}

/* Its first words. placement: NULL: none, or not yet. A store of one partition needs none, so
 * servers that know none can use it. */
static void begin_describing(const struct kv_store *store, struct kv_slice function,
                             const char *epoch, const struct placement *placement,
                             struct describing *ret)
{
    *ret = (struct describing){0};
    if (store->n_parts > 1 && placement != NULL)
        placement_write(placement, &ret->text);
    snprintf(ret->n_parts, LONGEST_TEXT, "%u", store->n_parts);
    snprintf(ret->part, LONGEST_TEXT, "%u", store->part);
    add_word(ret, KV_SLICE("FCALL"));
    add_word(ret, function);
    add_word(ret, KV_SLICE("3"));
    add_word(ret, name_slice(&store->names.store));
    add_word(ret, name_slice(&store->names.newest));
    add_word(ret, name_slice(&store->names.log));
    add_word(ret, kv_slice_of(epoch));
    add_word(ret, kv_slice_of(ret->n_parts));
    add_word(ret, kv_slice_of(ret->part));
}

static int find_or_create(const struct attempt *attempt, struct found *ret)
{
    const struct kv_store *store = attempt->store;
    char epoch[KV_EPOCH_MAX] = "";
    struct placement placement = {0};
    struct describing call;
    struct description description;
    struct resp_value value;
    struct kv_slice reply;
    if (draw(attempt, epoch, &placement) != 0)
        return -1;
    begin_describing(store, KV_SLICE("kv1_open"), epoch, placement.has_seed ? &placement : NULL,
                     &call);
    add_word(&call, kv_slice_of(call.text.value));
    add_word(&call, store->part == 0 ? KV_SLICE("1") : KV_SLICE("0"));
    if (login_demand(attempt, call.words, call.n, &value, &reply) != 0)
        return -1;
    if (!read_description(reply, &description))
        description = (struct description){0};
    return take_description(attempt, &description, ret);
}

/* Without `nodes`: all keys are there, but not what orders their changes. */
static int accept_loss(const struct attempt *attempt, struct found *found)
{
    const struct kv_store *store = attempt->store;
    char epoch[KV_EPOCH_MAX];
    if (store->nodes != NULL ||
        !kv_slice_equals(kv_slice_of(found->epoch), store->settings.accept_loss))
        return 0;
    if (exists(attempt, &store->names.newest, &found->has_newest) != 0 || found->has_newest)
        return found->has_newest ? 0 : -1;
    placement_next_epoch(found->epoch, epoch);
    if (finding_adopt(attempt, epoch, &found->placement) != 0)
        return -1;
    return describe(attempt, found);
}

int finding_open(const struct attempt *attempt)
{
    struct kv_store *store = attempt->store;
    struct found found = {0};
    bool may_create = store->may_create && store->epoch[0] == '\0' && !store->is_read_only;
    int result = may_create ? find_or_create(attempt, &found) : find(attempt, &found);
    if (result == 0 && may_create)
        result = accept_loss(attempt, &found);
    if (result != 0 || compare(attempt, &found) != 0)
        return -1;
    if (store->epoch[0] == '\0') { /* once: loops and other partitions read them */
        memcpy(store->epoch, found.epoch, KV_EPOCH_MAX);
        store->placement = found.placement;
    } else if (!placement_equals(&store->placement, &found.placement)) {
        return kv_error_set(attempt->reterr, "Redis at %s: the seed of partition %u has changed",
                            login_address(attempt)->text, store->part);
    }
    return 0;
}

/* ---- changing ---- */

int finding_end_making(const struct attempt *attempt)
{
    return login_demand_done(attempt,
                             (struct kv_slice[]){KV_SLICE("HSET"),
                                                 name_slice(&attempt->store->names.store),
                                                 KV_SLICE("making"), KV_SLICE("0")},
                             4);
}

int finding_adopt(const struct attempt *attempt, const char *epoch,
                  const struct placement *placement)
{
    struct describing call;
    begin_describing(attempt->store, KV_SLICE("kv1_adopt"), epoch, placement, &call);
    if (call.text.field != NULL) {
        add_word(&call, kv_slice_of(call.text.field));
        add_word(&call, kv_slice_of(call.text.value));
    }
    return login_demand_done(attempt, call.words, call.n);
}
