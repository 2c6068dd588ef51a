/*
 * A reader is idle (its owner has its page), or ready (in the queue), or its page is being made: by
 * the store, or by a GET of the value that the log in memory did not keep. A closed reader is freed
 * at once if it is idle, and otherwise when it comes back.
 *
 * A value that the log did not keep is read as the key's newest state. If that is not the entry's
 * state, then a later change of the key follows in the log, and the entry is left out: so no state
 * is shown before an older one.
 */
#include "keyspace/log_reads.h"

#include <stdlib.h>

#include "base/mem.h"

enum {
    PAGES_A_TURN = 8
};

void kv_log_reads_init(struct kv_log_reads *reads, const struct kv_store_link *store,
                       const struct kv_keyspace_parts *parts, struct kv_change_log *log,
                       struct kv_gate *gate, struct kv_commands *commands,
                       struct kv_keyspace_loop *here, uint32_t loop)
{
    *reads = (struct kv_log_reads){.store = store,
                                   .parts = parts,
                                   .log = log,
                                   .gate = gate,
                                   .commands = commands,
                                   .here = here,
                                   .store_has_log = (parts->store_capabilities & KV_STORE_LOG) != 0,
                                   .loop = loop};
    kv_queue_init(&reads->ready);
}

bool kv_log_reads_are_possible(const struct kv_log_reads *reads)
{
    return reads->log->watermark->kind != KV_WATERMARK_UNKNOWN && reads->parts->log_bytes != 0;
}

void kv_log_reads_join(struct kv_log_reads *reads)
{
    kv_change_log_join(reads->log);
}

void kv_log_reads_leave(struct kv_log_reads *reads)
{
    kv_change_log_leave(reads->log);
}

/* ---- readers ---- */

static struct kv_log_read *read_of(const struct kv_log_page *page)
{
    return KV_CONTAINER((uintptr_t)page, struct kv_log_read, page);
}

static bool wants(const struct kv_log_page *page, struct kv_slice key)
{
    const struct kv_log_read *read = read_of(page);
    if (read->is_prefix)
        return kv_slice_has_prefix(key, read->subject);
    return kv_slice_equals(key, read->subject);
}

struct kv_log_read *kv_log_read_open(struct kv_log_reads *reads, uint64_t after,
                                     struct kv_slice subject, bool is_prefix, void *owner,
                                     kv_log_read_fn finished)
{
    struct kv_log_read *read = kv_try_alloc(sizeof(*read) + subject.len);
    if (read == NULL)
        return NULL;
    *read = (struct kv_log_read){.owner = owner,
                                 .status = KV_OK,
                                 .upto = after,
                                 .reads = reads,
                                 .finished = finished,
                                 .subject = {(char *)(read + 1), subject.len},
                                 .is_prefix = is_prefix,
                                 .is_idle = true};
    if (subject.len != 0)
        memcpy(read + 1, subject.bytes, subject.len);
    read->page.wants = wants;
    read->page.entries = read->found;
    read->page.capacity = KV_LOG_PAGE;
    return read;
}

static void release_entry(const struct kv_log_reads *reads, struct kv_log_entry *entry)
{
    if (!reads->store_has_log)
        kv_change_log_release(reads->log, entry);
    else if (entry->ref != NULL)
        reads->store->ops->unref(reads->store->store, entry->ref);
}

static void release_page(struct kv_log_read *read)
{
    for (; read->n_taken > 0; read->n_taken--)
        release_entry(read->reads, &read->found[read->n_taken - 1]);
    read->n = 0;
}

static void destroy(struct kv_log_read *read)
{
    release_page(read);
    free(read);
}

void kv_log_read_next(struct kv_log_read *read, size_t most_bytes)
{
    release_page(read);
    read->is_idle = false;
    read->page.after = read->upto;
    read->page.most_bytes = most_bytes;
    kv_queue_push(&read->reads->ready, &read->link);
}

void kv_log_read_close(struct kv_log_read *read)
{
    read->is_closed = true;
    if (read->is_idle)
        destroy(read);
}

/* ---- pages ---- */

static void finish(struct kv_log_read *read)
{
    read->is_idle = true;
    read->entries = read->found;
    read->n = read->n_taken;
    if (read->is_closed)
        destroy(read);
    else
        read->finished(read);
}

static void take_value(struct kv_command *get)
{
    struct kv_log_read *read = get->owner;
    struct kv_log_entry *last = &read->found[read->n_taken - 1];
    read->reads->n_deferred--;
    if (get->status == KV_OK && get->item.revision == last->revision) {
        last->after = kv_command_take_item(get);
    } else {
        release_entry(read->reads, last);
        read->n_taken--;
        read->has_left_out = true;
    }
    finish(read);
}

static void fetch_value(struct kv_log_read *read)
{
    struct kv_log_reads *reads = read->reads;
    struct kv_command *get = kv_commands_take(reads->commands, reads->here, KV_COMMAND_GET);
    get->key = read->found[read->n_taken - 1].key;
    get->keeps_deadline = true;
    get->owner = read;
    get->finished = take_value;
    reads->n_deferred++;
    kv_gate_enter(reads->gate, get);
    kv_gate_admit(reads->gate, get);
}

static bool lacks_value(const struct kv_log_read *read)
{
    const struct kv_log_entry *last = &read->found[read->n_taken - 1];
    bool may_lack = read->n_taken != 0 && !read->reads->store_has_log;
    return may_lack && last->reason == KV_REASON_SET && last->after.revision == 0;
}

static void take_page(struct kv_log_read *read)
{
    const struct kv_log_page *page = &read->page;
    read->n_taken = page->n;
    read->status = (int)page->status;
    read->is_last = page->is_last;
    if (page->status == KV_OK)
        read->upto = page->upto;
    if (!read->is_closed && lacks_value(read))
        fetch_value(read);
    else
        finish(read);
}

static void ask(struct kv_log_reads *reads, struct kv_log_read *read)
{
    struct kv_log_page *page = &read->page;
    page->is_deferred = false;
    page->n = 0;
    page->upto = page->after;
    page->is_last = false;
    page->status = KV_PENDING;
    if (reads->store_has_log)
        reads->store->ops->read_log(reads->store->store, reads->loop, page);
    else
        kv_change_log_read(reads->log, page);
    if (page->is_deferred)
        reads->n_deferred++;
    else
        take_page(read);
}

/* ---- turns ---- */

static void collect(struct kv_log_reads *reads)
{
    struct kv_link *link = kv_inbox_take_all(&reads->done);
    while (link != NULL) {
        struct kv_log_read *read = KV_CONTAINER(link, struct kv_log_read, link);
        link = link->next;
        reads->n_deferred--;
        take_page(read);
    }
}

void kv_log_reads_run(struct kv_log_reads *reads)
{
    collect(reads);
    struct kv_link *link;
    for (int i = 0; i < PAGES_A_TURN && (link = kv_queue_pop(&reads->ready)) != NULL; i++) {
        struct kv_log_read *read = KV_CONTAINER(link, struct kv_log_read, link);
        if (read->is_closed)
            destroy(read);
        else
            ask(reads, read);
    }
}

void kv_log_reads_done(struct kv_log_reads *reads, struct kv_log_page *page)
{
    kv_inbox_push(&reads->done, &read_of(page)->link);
    kv_loop_wake(reads->parts->loops[reads->loop]);
}

bool kv_log_reads_have_work(struct kv_log_reads *reads)
{
    return !kv_queue_is_empty(&reads->ready) || !kv_inbox_is_empty(&reads->done);
}
