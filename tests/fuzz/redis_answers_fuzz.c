/*
 * Input of the store `redis` from Redis: pushed events, events of the log, answers to commands, to
 * CLUSTER SLOTS, and of sentinels. For any bytes, each job gets a valid outcome, and the store
 * tells the host only changes with rising revisions and intact items; those that it recalls join on
 * to each other, with falling revisions.
 *
 * The first byte of an input is the question, the second its options; the rest is the answer: a
 * RESP message for a question, otherwise the bytes of events.
 */
#include "chain.h"
#include "clock.h"
#include "commands.h"
#include "event.h"
#include "fetch.h"
#include "fuzz.h"
#include "lease.h"
#include "library.h"
#include "nodes.h"
#include "recall.h"
#include "record.h"
#include "replies.h"
#include "../../modules/redis_client/sentinel.h"

#include <stdlib.h>

enum question {
    ASK_EVENTS,
    ASK_LOG,
    ASK_GET,
    ASK_SET,
    ASK_DELETE,
    ASK_TOUCH,
    ASK_SCAN,
    ASK_EXPIRE,
    ASK_LOOK,
    ASK_SLOTS,
    ASK_SENTINEL,
    ASK_LEASE,
    ASK_SHOW,
    ASK_CATCH_UP,
    ASK_RECALL,
    ASK_CHECK,
    N_QUESTIONS
};

enum {
    CAPACITY = 4,
    NOW_MS = 1000000,
    LONGEST = 1 << 20,
    BEGINNING = 1000, /* of the chain */
    HOW_LONG = 1,
    HOW_JUDGED = 2,
    HOW_FAR = 4,      /* Redis's clock is far ahead */
    HOW_MATCHING = 8, /* the events are made to continue the chain */
};

const int64_t library_version = 14;

static uint64_t last_told;
static uint64_t remembered_after;
static struct kv_slice fetched;
static size_t n_asked;

/* ---- the host ---- */

static int64_t host_now_ms(const struct kv_host *host)
{
    (void)host;
    return NOW_MS;
}

static void host_log(const struct kv_host *host, enum kv_log_level level, const char *format, ...)
{
    (void)host;
    (void)level;
    (void)format;
}

static uint64_t host_hash(const struct kv_store_host *host, struct kv_slice key)
{
    (void)host;
    (void)key;
    return 1;
}

static void check_item(const struct kv_item *item, bool is_there)
{
    assert(is_there == (item->ref != NULL));
    assert(!is_there || (item->revision > 0 && item->revision <= KV_REVISION_MAX));
}

static void host_changed(const struct kv_store_host *host, uint32_t part,
                         const struct kv_change *change)
{
    (void)host;
    assert(part == 0);
    assert(change->revision > last_told && change->revision <= KV_REVISION_MAX);
    assert(change->reason >= KV_REASON_SET && change->reason <= KV_REASON_EXPIRE);
    assert((change->reason == KV_REASON_SET) == (change->after.revision != 0));
    check_item(&change->before, change->before.revision != 0);
    check_item(&change->after, change->after.revision != 0);
    assert(change->before.revision < change->revision);
    last_told = change->revision;
}

static void host_show(const struct kv_store_host *to, uint32_t part, uint64_t claim, uint16_t mark,
                      const struct kv_change *change)
{
    (void)claim;
    (void)mark;
    host_changed(to, part, change);
}

static bool host_may_show(const struct kv_store_host *of)
{
    (void)of;
    return true;
}

static void host_wake_at(const struct kv_store_host *host, uint32_t part, int64_t deadline_ms)
{
    (void)host;
    (void)part;
    (void)deadline_ms;
}

/* Redis may have lost changes that were told. */
static void host_resync(const struct kv_store_host *host, uint32_t part)
{
    (void)host;
    (void)part;
    last_told = 0;
}

static void host_health(const struct kv_store_host *host, bool is_well, const char *text)
{
    (void)host;
    (void)is_well;
    assert(text != NULL);
}

static void host_touched(const struct kv_store_host *host, uint32_t part, struct kv_slice key,
                         uint64_t revision, int64_t deadline_ms)
{
    (void)host;
    (void)part;
    (void)key;
    (void)deadline_ms;
    assert(revision <= KV_REVISION_MAX);
}

static bool host_remember(const struct kv_store_host *to, uint64_t after, uint64_t upto,
                          const struct kv_change *change, int64_t at_ms)
{
    (void)to;
    (void)at_ms;
    assert(upto == remembered_after && after < upto);
    assert(change->revision > after && change->revision <= upto);
    check_item(&change->after, change->after.revision != 0);
    remembered_after = after;
    return true;
}

static const struct kv_store_host host = {
    .base = {.now_ms = host_now_ms, .log = host_log},
    .n_loops = 1,
    .hash = host_hash,
    .changed = host_changed,
    .changed_elsewhere = host_changed,
    .show = host_show,
    .may_show = host_may_show,
    .has_observers = true,
    .wake_at = host_wake_at,
    .resync = host_resync,
    .health = host_health,
    .touched = host_touched,
    .remember = host_remember,
};

/* Answers at once: the first question with the input, later ones with that there is no more. */
static bool submit(struct kv_store *store, const struct job *jobs, size_t n)
{
    struct buffer out = {0};
    struct job job = *jobs;
    assert(n == 1 && job.kind == JOB_RECALL);
    assert(command_write(store, &job, &out));
    buffer_clear(&out);
    reply_take(store, &job, n_asked++ == 0 ? fetched : KV_SLICE("*0\r\n"));
    return true;
}

/* The value for an event without one is taken from the input, too. */
int fetch_record(struct kv_store *store, struct kv_slice key, struct kv_slice *ret_record)
{
    (void)store;
    (void)key;
    *ret_record = fetched;
    return fetched.len == 0 ? -1 : 0;
}

void fetch_release(struct kv_store *store)
{
    (void)store;
}

/* ---- input ---- */

/* Makes the first event continue the start of the chain, which hardly any input would do by
 * itself. */
static void continue_chain(char *bytes, size_t len)
{
    enum {
        AT_PREV = 2,
        AT_REVISION = 10
    };
    if (len < AT_REVISION + 8)
        return;
    event_write_number(bytes + AT_PREV, BEGINNING);
    event_write_number(bytes + AT_REVISION,
                       BEGINNING + 1 + event_read_number(bytes + AT_REVISION) % 1000);
}

static void take_events(struct kv_store *store, unsigned how, const uint8_t *bytes, size_t len,
                        bool is_log)
{
    char *copy = malloc(len + 1);
    memcpy(copy, bytes, len);
    if ((how & HOW_MATCHING) != 0)
        continue_chain(copy, len);
    struct kv_slice events = {copy, len};
    fetched = (struct kv_slice){copy + len / 2, len - len / 2};
    uint64_t before = store->position;
    int result = is_log ? chain_take_logged(store, events) : chain_take(store, events);
    assert(result == 0 || result == CHAIN_NOT_NOW || result == CHAIN_BROKEN);
    assert(store->position >= before || store->n_resets != 0);
    free(copy);
}

static void check_command(struct kv_cmd *cmd, enum outcome outcome)
{
    bool is_final = outcome == OUTCOME_FINAL || outcome == OUTCOME_LOST;
    assert(is_final == (cmd->status != KV_PENDING));
    assert(cmd->revision <= KV_REVISION_MAX);
    bool has_item = cmd->op == KV_OP_GET && cmd->status == KV_OK;
    assert(has_item == (cmd->item.ref != NULL));
    if (has_item)
        check_item(&cmd->item, true);
    record_unref(cmd->item.ref);
}

static void check_scan(struct kv_scan *scan, enum outcome outcome)
{
    assert(outcome == OUTCOME_REFUSED || scan->status != KV_PENDING);
    assert(scan->n <= scan->capacity);
    assert(scan->status == KV_OK || (scan->n == 0 && scan->next_ref == NULL));
    for (uint32_t i = 0; i < scan->n; i++) {
        check_item(&scan->entries[i].item, true);
        record_unref(scan->entries[i].item.ref);
    }
    record_unref(scan->next_ref);
}

static enum kv_op op_of(enum question question)
{
    return question == ASK_GET      ? KV_OP_GET
           : question == ASK_SET    ? KV_OP_SET
           : question == ASK_DELETE ? KV_OP_DELETE
           : question == ASK_TOUCH  ? KV_OP_TOUCH
                                    : KV_OP_CATCH_UP;
}

static void take_answer(struct kv_store *store, enum question question, unsigned how,
                        struct kv_slice reply)
{
    struct kv_scan_entry entries[CAPACITY];
    struct kv_cmd cmd = {.op = op_of(question),
                         .key = KV_SLICE("key"),
                         .value = KV_SLICE("1"),
                         .deadline_ms = NOW_MS + 1};
    struct kv_scan scan = {.entries = entries, .capacity = CAPACITY};
    struct job job = {.kind = JOB_COMMAND,
                      .cmd = &cmd,
                      .is_long = (how & HOW_LONG) != 0,
                      .is_judged = (how & HOW_JUDGED) != 0,
                      .sent_at_ms = NOW_MS};
    if (question == ASK_SCAN)
        job = (struct job){.kind = JOB_SCAN, .scan = &scan};
    else if (question == ASK_EXPIRE || question == ASK_LOOK)
        job = (struct job){.kind = question == ASK_EXPIRE ? JOB_EXPIRE : JOB_LOOK,
                           .sent_at_ms = NOW_MS};
    enum outcome outcome = reply_take(store, &job, reply);
    assert(outcome >= OUTCOME_FINAL && outcome <= OUTCOME_LOST);
    assert(store->upto <= KV_REVISION_MAX);
    if (job.kind == JOB_COMMAND)
        check_command(&cmd, outcome);
    else if (job.kind == JOB_SCAN)
        check_scan(&scan, outcome);
    else if (job.kind == JOB_LOOK)
        assert(outcome == OUTCOME_NONE || outcome == OUTCOME_LOST);
    else
        assert(outcome != OUTCOME_REFUSED || job.deadline_ms == 0);
}

/* Answers about the lease and the log for observers. */
static void take_for_observers(struct kv_store *store, enum question question, unsigned how,
                               struct kv_slice reply)
{
    struct job job = {.kind = question == ASK_LEASE ? JOB_LEASE : JOB_SHOW,
                      .sent_at_ms = NOW_MS,
                      .after = BEGINNING,
                      .revision = BEGINNING + 1};
    fetched = reply;
    lease_init(store);
    store->lease.shown = BEGINNING;
    store->lease.claim = job.number = (how & HOW_LONG) != 0 ? 7 : 0;
    enum outcome outcome = reply_take(store, &job, reply);
    assert(outcome >= OUTCOME_FINAL && outcome <= OUTCOME_LOST);
    assert(question == ASK_LEASE || store->lease.shown >= BEGINNING);
    lease_fini(store);
}

static void take_for_recalling(struct kv_store *store, struct kv_slice reply)
{
    n_asked = 0;
    fetched = reply;
    remembered_after = BEGINNING;
    recall_init(store);
    recall_run(&host, &store, 1, BEGINNING, submit);
    recall_fini(store);
}

static void take_check(struct kv_store *store, unsigned how, struct kv_slice reply)
{
    struct job job = {.kind = JOB_CHECK};
    store->whole.is_counted = (how & HOW_LONG) != 0;
    store->whole.is_in_doubt = (how & HOW_JUDGED) != 0;
    enum outcome outcome = reply_take(store, &job, reply);
    assert(outcome == OUTCOME_NONE || (outcome == OUTCOME_LOST && store->whole.is_in_doubt));
}

static void take_slots(struct kv_store *store, struct kv_slice reply)
{
    struct owner owner;
    store->nodes = nodes_create();
    store->settings.address.host = KV_SLICE("127.0.0.1");
    snprintf(store->tag, sizeof(store->tag), "0");
    if (nodes_read_slots(store, reply, &owner) == 0 && owner.host.len != 0)
        assert(owner.port > 0 && owner.port < 65536 && owner.host.len < REDIS_LONGEST_HOST);
    nodes_destroy(store->nodes);
}

static void take_sentinel(struct kv_slice reply)
{
    struct master_address address;
    int found = sentinel_read_address(reply, &address);
    assert(found >= -1 && found <= 1);
    if (found == 1)
        assert(address.host[0] != '\0' && address.port > 0 && address.port < 65536);
    sentinel_read_epoch(reply);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct kv_store store = {
        .host = &host, .position = BEGINNING, .newest = BEGINNING, .origin = 1, .n_parts = 1};
    struct resp_scanner scanner;
    if (len < 2)
        return 0;
    enum question question = bytes[0] % N_QUESTIONS;
    unsigned how = bytes[1];
    store.clock.most_us = (how & HOW_FAR) != 0 ? INT64_MAX / 2 : 0;
    last_told = BEGINNING;
    if (question == ASK_EVENTS || question == ASK_LOG) {
        take_events(&store, how, bytes + 2, len - 2, question == ASK_LOG);
        return 0;
    }
    struct kv_slice reply = fuzz_slice(bytes + 2, len - 2);
    resp_scanner_begin(&scanner, LONGEST);
    if (resp_scan(&scanner, reply) != 1 || reply.bytes[0] == RESP_PUSH)
        return 0;
    reply.len = scanner.at;
    if (question == ASK_SLOTS)
        take_slots(&store, reply);
    else if (question == ASK_SENTINEL)
        take_sentinel(reply);
    else if (question == ASK_CHECK)
        take_check(&store, how, reply);
    else if (question == ASK_RECALL)
        take_for_recalling(&store, reply);
    else if (question == ASK_LEASE || question == ASK_SHOW)
        take_for_observers(&store, question, how, reply);
    else
        take_answer(&store, question, how, reply);
    return 0;
}
