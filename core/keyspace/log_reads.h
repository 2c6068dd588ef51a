/*
 * Reading changes back: a loop's readers of the change log, which is the log in memory
 * (change_log.h) or the store's own (KV_STORE_LOG). A reader requests page after page; each has the
 * changes after the previous one, in the order of revisions.
 *
 * Bounded: a loop takes a few pages a turn, of its readers in rotation. A page examines a bounded
 * part of the log, and may be empty without being the last.
 */
#ifndef KV_KEYSPACE_LOG_READS_H
#define KV_KEYSPACE_LOG_READS_H

#include "keyspace/change_log.h"
#include "keyspace/gate.h"

struct kv_log_read;

/* Called on the loop, from the keyspace's stage, when a page has arrived; it may request the next
 * one, or close the reader. */
typedef void (*kv_log_read_fn)(struct kv_log_read *read);

enum {
    KV_LOG_PAGE = 64 /* entries, at the most */
};

/* A reader of the changes of one key, or of those under a prefix. */
struct kv_log_read {
    void *owner; /* the caller's own */

    /* The page: owned by the reader until the next one is requested, or the reader is closed. */
    int status; /* KV_OK; KV_TRIMMED: some changes after `after` are no longer in the log; a failure
                 */
    const struct kv_log_entry *entries; /* `after.ref` is not used: `ref` keeps the whole entry */
    uint32_t n;
    uint64_t upto;     /* all wanted changes up to this revision have been in its pages */
    bool is_last;      /* nothing newer was there when the page was read */
    bool has_left_out; /* some change, since this was last set to false, was left out because its
                          value was not kept and is gone: a later change of the key follows */

    /* The keyspace's. */
    struct kv_log_reads *reads;
    kv_log_read_fn finished;
    struct kv_slice subject; /* behind the struct */
    bool is_prefix;
    bool is_closed;
    struct kv_link link; /* among the readers that are ready, or done */
    bool is_idle;        /* no page is requested, or being read */
    uint32_t n_taken;    /* entries of the page to be released */
    struct kv_log_page page;
    struct kv_log_entry found[KV_LOG_PAGE];
};

/* The readers of one loop. */
struct kv_log_reads {
    const struct kv_store_link *store;
    const struct kv_keyspace_parts *parts;
    struct kv_change_log *log;
    struct kv_gate *gate;
    struct kv_commands *commands;
    struct kv_keyspace_loop *here; /* of the commands */
    bool store_has_log;
    uint32_t loop;
    struct kv_queue ready; /* pages are wanted */
    struct kv_inbox done;  /* from the store's threads */
    uint64_t n_deferred;   /* with the store's threads, or waiting for a value */
};

/* Whether changes can be read back: the order of the store's changes is known, and there is a
 * log. */
bool kv_log_reads_are_possible(const struct kv_log_reads *reads);

/* Adds, or removes, a client that may resume from a revision: the log in memory runs only for
 * these. Call before reading the first such revision. */
void kv_log_reads_join(struct kv_log_reads *reads);
void kv_log_reads_leave(struct kv_log_reads *reads);

/* Opens a reader of the changes after the revision `after`: of the key `subject`, or, if
 * `is_prefix`, of all keys that begin with it. Nothing is read yet. Owns: the caller, by
 * kv_log_read_close(). Returns: NULL if there is no memory. */
struct kv_log_read *kv_log_read_open(struct kv_log_reads *reads, uint64_t after,
                                     struct kv_slice subject, bool is_prefix, void *owner,
                                     kv_log_read_fn finished);

/* Requests the next page: `finished` is called later, never from within this. Not while one is
 * being read. most_bytes: of keys and values; one entry may always exceed it. */
void kv_log_read_next(struct kv_log_read *read, size_t most_bytes);

/* Closes it, at any time; `finished` is not called any more. */
void kv_log_read_close(struct kv_log_read *read);

/* For the keyspace's own files. */

void kv_log_reads_init(struct kv_log_reads *reads, const struct kv_store_link *store,
                       const struct kv_keyspace_parts *parts, struct kv_change_log *log,
                       struct kv_gate *gate, struct kv_commands *commands,
                       struct kv_keyspace_loop *here, uint32_t loop);

/* Takes some pages from the log. */
void kv_log_reads_run(struct kv_log_reads *reads);

/* The store has completed a page that it deferred. Threads: any. */
void kv_log_reads_done(struct kv_log_reads *reads, struct kv_log_page *page);

/* Whether kv_log_reads_run() would find work now. Sequentially consistent. */
bool kv_log_reads_have_work(struct kv_log_reads *reads);

#endif
