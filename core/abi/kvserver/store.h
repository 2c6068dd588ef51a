/*
 * Stores: where keys and values live. A store takes vectors of commands from many event loops
 * at once, never blocks them, and tells the server of every change at the moment it commits.
 *
 * What every store promises (the contract suite tests each sentence):
 *
 *  - Atomic commands. GET, SET, DELETE and TOUCH of one key take effect in one order that all
 *    readers agree on; the moment a write takes effect is its commit point. Before it nobody sees
 *    the write; at it the revision is taken and host->changed() is called, inside the same
 *    critical section; after it every reader sees it. A store that promises durability reaches
 *    the commit point after the data is safe.
 *  - Order. Writes submitted by one loop take effect in the order submitted, within a vector and
 *    across calls; but a write of another key may overtake a SET of more than KV_LONG_VALUE bytes,
 *    so that nobody waits for it. A GET may take effect at any time between its submission and its
 * completion, but one that was completed within submit() has its place in the vector's order.
 *  - Revisions. Every change gets a revision that no other has in this store, larger than those of
 *    all changes whose commands had returned before, and of all earlier ones of its key; above 0
 *    and below 2^53. A volatile store starts at the wall clock's microseconds, so that what an
 *    earlier life gave out never fits.
 *  - A command that fails (KV_FULL and the like) changes nothing, but for an expiry that it met.
 *    Only KV_UNKNOWN leaves open whether a write has taken effect, or still will. If the store
 *    learns of the change later, it tells it then.
 *  - Conditions are judged first: a DELETE or TOUCH of a missing key is MISSING only where its
 *    condition holds. A write whose condition fails still commits an expiry that it meets.
 *  - Changes are: a SET that creates the key or alters its bytes, a DELETE of a key that is there,
 *    an expiry. A SET of the same bytes takes the new deadline, keeps the revision, tells nobody.
 *  - Expiry. From the millisecond of its deadline on (now_ms >= deadline_ms) no reader sees a key.
 *    The clock is host->now_ms(), read at the commit point. A write or delete that meets a key past
 *    its deadline commits the expiry first (with a revision and a change of its own), then finds
 *    the key missing. A GET only finds it missing; expire() commits it.
 *  - Changes from elsewhere. A store that other servers share tells their changes as well, as it
 *    learns of them, in one order with those of its own commands. A change is told before
 *    host->done() gives back a command that has seen it.
 *  - Showing. A store with KV_STORE_SHOWS shows each change to the hooks and sinks of one server,
 * at least once: again, with the same revision, where a server has died or lost its claim before
 *    the change was settled, and for no other reason. See host->show().
 *  - Memory ordering. A change is published to readers before host->changed() is called, and a
 *    GET reads what is published, both sequentially consistent (a lock that both hold is enough).
 *    So a reader that registered its interest with the host either sees a change or is told of it.
 */
#ifndef KVSERVER_STORE_H
#define KVSERVER_STORE_H

#include <kvserver/metrics.h>
#include <kvserver/module.h>

#include <stdio.h>
#include <sys/random.h>

struct kv_store; /* the module's own */

/* No expiry. */
#define KV_NEVER INT64_MAX

/* What expire() returns where the expiry is left to a thread of the store. */
#define KV_EXPIRING (INT64_MAX - 1)

/* Bytes of a value: a caller that needs its writes kept in order submits no other write until a
 * longer SET is done. */
#define KV_LONG_VALUE ((size_t)4 << 20)

#define KV_REVISION_MAX ((UINT64_C(1) << 53) - 1)

/* The revision that a new store begins behind. Whatever the wall clock says, half of all revisions
 * are left to be given out. */
static inline uint64_t kv_revision_start(int64_t wall_us)
{
    return (uint64_t)wall_us & (KV_REVISION_MAX >> 1);
}

enum {
    KV_EPOCH_MAX = 33 /* bytes of an epoch, with the zero at its end */
};

/* Makes the epoch of a store that begins anew: random, in hexadecimal digits. Returns: false where
 * the system has no random bytes. */
static inline bool kv_epoch_make(char epoch[KV_EPOCH_MAX])
{
    unsigned char random[(KV_EPOCH_MAX - 1) / 2];
    if (getrandom(random, sizeof(random), 0) != sizeof(random))
        return false;
    for (size_t i = 0; i < sizeof(random); i++)
        snprintf(epoch + 2 * i, 3, "%02x", random[i]);
    return true;
}

/* A snapshot of one stored state. Plain data, copied freely; the bytes are alive while the
 * reference `ref` is held (ops->ref, ops->unref). */
struct kv_item {
    struct kv_slice value;
    uint64_t revision;   /* 0: there is no state here, and nothing to release */
    int64_t deadline_ms; /* KV_NEVER, or a time of host->now_ms(); TOUCH may have moved it since */
    void *ref;           /* the store's; it keeps the key's bytes alive as well */
};

enum kv_op {
    KV_OP_GET = 1,    /* ret: OK and `item`, or MISSING */
    KV_OP_SET = 2,    /* ret: OK or UNCHANGED, and `revision`; sets value and deadline */
    KV_OP_DELETE = 3, /* ret: OK and `revision` (of the delete), or MISSING */
    KV_OP_TOUCH = 4,  /* ret: OK and `revision` (the standing one), or MISSING; sets the deadline */
    KV_OP_UPDATE = 5, /* since 1.3, with KV_STORE_UPDATES. Sets what `compute` makes of the old
                         value, or deletes the key; ret: as SET or DELETE, or DECLINED, or LONGER */
};

/* Conditions of SET, DELETE, TOUCH and UPDATE, judged at the commit point; all that are set must
 * hold. */
enum kv_cond {
    KV_COND_NONE = 0,
    KV_COND_ABSENT = 1u << 0,   /* the key is not there */
    KV_COND_PRESENT = 1u << 1,  /* the key is there */
    KV_COND_REVISION = 1u << 2, /* it is there, and its revision is one of `if_revisions` */
};

enum kv_status {
    KV_PENDING = 0,   /* not done yet */
    KV_OK = 1,        /* done */
    KV_UNCHANGED = 2, /* a SET of the bytes that were there */
    KV_MISSING = 3,   /* the key is not there */
    KV_CONDITION = 4, /* the condition does not hold; `revision` is the standing one, 0 if none */
    /* Failures: nothing has changed. */
    KV_FULL = 5,      /* no room (memory or disk) */
    KV_IO = 6,        /* the medium failed */
    KV_TOO_BIG = 7,   /* beyond what this store can hold in one key or value */
    KV_CLOSED = 8,    /* the store is shutting down */
    KV_LONGER = 9,    /* GET, UPDATE: the value is longer than `most_bytes` */
    KV_DECLINED = 10, /* UPDATE: `compute` gave no value */
    KV_TRIMMED =
        11, /* a page of the log: changes after `after` are no longer there, or never were */
    /* Since 1.5. */
    KV_UNKNOWN = 12, /* SET, DELETE, TOUCH, UPDATE: the connection to the data was lost during the
                        command, which may have taken effect, or may still do so */
    KV_UNAVAILABLE = 13, /* the data cannot be reached for now; nothing has changed */
};

struct kv_cmd;

/* The function of an UPDATE: the new value, made of the old one.
 * old: lent for the call; revision 0 where the key is missing.
 * ret_value: bytes of the host's, which stay until the command is final.
 * Called by the store at the commit point, once for each time the command is tried, on any thread
 * and under the store's locks; so it is pure, quick, and calls nothing of the store.
 * Returns: KV_OK; KV_MISSING: the key is to be deleted, as by DELETE; or KV_DECLINED or another
 * failure, which becomes the command's. */
typedef enum kv_status (*kv_update_fn)(struct kv_cmd *cmd, const struct kv_item *old,
                                       struct kv_slice *ret_value);

/* One command. Owned by the host and stable, the bytes it points to included, until it is final.
 * The store writes the members under "out" only. Within submit() it either makes the command
 * final, or sets `is_deferred` (before any other thread can see the command) and brings it later
 * by host->done(); the host reads nothing of a deferred command until then. */
struct kv_cmd {
    enum kv_op op;
    uint32_t cond;                /* enum kv_cond */
    const uint64_t *if_revisions; /* KV_COND_REVISION: any of these; there may be none */
    size_t n_if_revisions;
    uint64_t hash; /* of the key, keyed with a secret of this process: not to be stored */
    struct kv_slice key;
    struct kv_slice value; /* SET */
    int64_t deadline_ms;   /* SET, TOUCH, UPDATE: KV_NEVER, or a time of host->now_ms() */
    /* out */
    bool is_deferred; /* false on entry */
    enum kv_status status;
    uint64_t revision;
    struct kv_item item; /* GET with OK: a reference that the host releases */
    /* in and out, since 1.3 */
    size_t most_bytes; /* GET, if it is deferred: where the store would have to copy a value of more
                          bytes, it does not, puts about the length here, and ends with KV_LONGER;
                          0: no limit. UPDATE: where the old value has more bytes, nothing is done,
                          and the command ends with KV_LONGER; 0: no limit */
    kv_update_fn compute; /* UPDATE */
    bool keeps_deadline;  /* UPDATE of a key that is there: its deadline stays as it is, and
                             `deadline_ms` is for a key that the update creates */
    void *staged;         /* SET: the reference of what ops->stage() made of this key and value, so
                             that nothing needs to be copied; or NULL. Lent; of one command only */
    /* in, since 1.6 */
    uint16_t mark; /* SET, DELETE, UPDATE, with KV_STORE_SHOWS: kept with the change, and given to
                      host->show() with it; not with an expiry that the command meets */
};

/* Whether the condition of `cmd` holds for a key that is there or not. */
static inline bool kv_cmd_holds(const struct kv_cmd *cmd, bool is_there, uint64_t revision)
{
    if ((cmd->cond & KV_COND_ABSENT) != 0 && is_there)
        return false;
    if ((cmd->cond & KV_COND_PRESENT) != 0 && !is_there)
        return false;
    if ((cmd->cond & KV_COND_REVISION) == 0)
        return true;
    for (size_t i = 0; is_there && i < cmd->n_if_revisions; i++)
        if (cmd->if_revisions[i] == revision)
            return true;
    return false;
}

enum kv_reason {
    KV_REASON_SET = 1,
    KV_REASON_DELETE = 2,
    KV_REASON_EXPIRE = 3
};

/* A change, told at its commit point. All of it is lent for the call; who keeps an item takes a
 * reference (ops->ref). The key lives as long as the reference of `after`, or of `before` where
 * there is no after. */
struct kv_change {
    enum kv_reason reason;
    uint64_t revision;
    uint64_t hash; /* as in kv_cmd; a store that has none at hand asks host->hash() */
    struct kv_slice key;
    struct kv_item before; /* revision 0: the key was not there */
    struct kv_item after;  /* revision 0: the key is gone */
};

struct kv_scan_entry {
    struct kv_slice key; /* alive with item.ref */
    struct kv_item item; /* a reference that the host releases; the value may be empty
                            where `wants_values` is not set */
};

/* One page of a scan: a walk over all keys in an order of the store's choosing (by key where it
 * is KV_STORE_ORDERED). A key that is there during the whole walk is returned at least once; a
 * key past its deadline is not returned. Owned by the host and stable until final. */
struct kv_scan {
    struct kv_slice prefix; /* only keys that begin so */
    struct kv_slice cursor; /* empty: from the start; else `next` of the page before, any time
                               earlier in this store's life, whatever has changed since */
    struct kv_slice start; /* since 1.3, KV_STORE_SEEKS, with an empty cursor: only keys at or after
                              this, in byte order; the store goes there at once */
    bool wants_values;
    struct kv_scan_entry *entries; /* room for `capacity` */
    uint32_t capacity;             /* at least 1 */
    /* out */
    bool is_deferred;      /* as in struct kv_cmd; host->scan_done() brings it */
    uint32_t n;            /* a page may be empty and yet have a next one */
    struct kv_slice next;  /* empty: the walk is complete */
    void *next_ref;        /* keeps `next` alive; released like an item's */
    enum kv_status status; /* OK, or a failure; KV_CONDITION: the cursor is none of ours */
};

/* A change as the log keeps it. */
struct kv_log_entry {
    enum kv_reason reason;
    uint64_t revision;
    struct kv_slice key;  /* alive with `ref` */
    struct kv_item after; /* as in kv_change, but for the reference: its `ref` is not used */
    void *ref;            /* keeps key and value alive; the host releases it like an item's */
};

/* One page of the log: the changes after a revision, in the order of revisions, none left out but
 * those that are not wanted. Owned by the host and stable until final. */
struct kv_log_page {
    uint64_t after;
    /* Whether a change of this key is wanted: pure, any thread; NULL: all are. */
    bool (*wants)(const struct kv_log_page *page, struct kv_slice key);
    struct kv_log_entry *entries; /* room for `capacity` */
    uint32_t capacity;            /* at least 1 */
    size_t most_bytes;            /* of keys and values; one entry may always exceed it */
    /* out */
    bool is_deferred;      /* as in struct kv_cmd; host->log_done() brings it */
    uint32_t n;            /* a page may be empty and yet not be the last */
    uint64_t upto;         /* the page says all about the revisions after `after` up to this one */
    bool is_last;          /* `upto` was the newest change when the page was read */
    enum kv_status status; /* OK, TRIMMED, or a failure. TRIMMED as well where `after` is larger
                              than the newest revision, or was taken back by a crash */
};

/* The host of a store: struct kv_host with what stores need besides. The functions may be called
 * from any thread. */
struct kv_store_host {
    struct kv_host base;

    uint32_t n_loops; /* event loops that will submit: 0 … n_loops-1 */

    /* The hash of a key, as kv_cmd.hash has it. */
    uint64_t (*hash)(const struct kv_store_host *host, struct kv_slice key);

    /* Tells a change, at its commit point; not before open() has returned. The one host call that
     * is allowed, and expected, under the lock that orders the key's changes: a bounded append that
     * never calls the store but for ops->ref. */
    void (*changed)(const struct kv_store_host *host, uint32_t part,
                    const struct kv_change *change);

    /* Asks for expire(part) at `deadline_ms`, if that is earlier than what is planned. Cheap where
     * it is not; allowed under a lock. */
    void (*wake_at)(const struct kv_store_host *host, uint32_t part, int64_t deadline_ms);

    /* Gives commands back that submit() deferred, now final, to the loop that submitted them.
     * Not within submit(), and not under a lock that ops->unref takes. */
    void (*done)(const struct kv_store_host *host, uint32_t loop, struct kv_cmd *const *cmds,
                 size_t n);

    /* The same for a scan. */
    void (*scan_done)(const struct kv_store_host *host, uint32_t loop, struct kv_scan *scan);

    /* Since 1.3. The same for a page of the log. */
    void (*log_done)(const struct kv_store_host *host, uint32_t loop, struct kv_log_page *page);

    /* Since 1.3. How much of the log is to be kept, at the least, and for how long; what is more
     * may go. 0: none. For KV_STORE_LOG. */
    uint64_t log_bytes;
    int64_t log_ms;

    /* Since 1.5. Like changed(), for a change that another server shows to its hooks and sinks: of
     * the servers that share a store, one is told by changed(), the others by this. */
    void (*changed_elsewhere)(const struct kv_store_host *host, uint32_t part,
                              const struct kv_change *change);

    /* Since 1.5. The part's changes have a gap: some were not told and never will be, or were told
     * and have been lost. Subscribers are told to forget what they know, then the present state;
     * nobody can resume from an earlier revision. The call is ordered with those of changed(): it
     * comes from the same thread, or under the same lock. A store with revision() has raised that
     * above every revision told before. */
    void (*resync)(const struct kv_store_host *host, uint32_t part);

    /* Since 1.5. Reports whether the store can serve; until the first call, it can. `/readyz` shows
     * this, and a change of it is logged. text: why it cannot, for people; copied. Allowed from the
     * beginning of open(). */
    void (*health)(const struct kv_store_host *host, bool is_well, const char *text);

    /* Since 1.5. Backpressure: whether there is room for changes that no command of this server has
     * made. While there is none, a store leaves them where they are, and asks again soon. */
    bool (*may_tell)(const struct kv_store_host *host);

    /* Since 1.6, KV_STORE_TOUCHES. A key was given another deadline without a change, by this
     * server or another one: by a TOUCH, or a SET or UPDATE that altered nothing. revision: that of
     * its state; 0: deadlines may have been set that are not told, of whatever keys. Called in the
     * order in which the deadlines were set, and before later changes of the part are told. Cheap,
     * and allowed under a lock. */
    void (*touched)(const struct kv_store_host *host, uint32_t part, struct kv_slice key,
                    uint64_t revision, int64_t deadline_ms);

    /* Since 1.6. Whether this server has hooks or sinks. If not, a store with KV_STORE_SHOWS leaves
     * it to other servers to show changes. The same from the beginning of open() on. */
    bool has_observers;

    /* Since 1.6, KV_STORE_SHOWS. Shows a change to hooks and sinks, and to nobody else; subscribers
     * have been told of it by changed() or changed_elsewhere(). A part's changes are shown one at a
     * time, in the order of their revisions, each once under the same claim. Nothing may be shown
     * unless may_show() has allowed it a moment ago; a few changes too many do no harm.
     * claim: the store's number, above 0, for its right to show the part's changes. A store that
     * has lost the right and regains it takes another one, and shows again what was not settled.
     * mark: that of the command that made the change; 0 where none did. */
    void (*show)(const struct kv_store_host *host, uint32_t part, uint64_t claim, uint16_t mark,
                 const struct kv_change *change);

    /* Since 1.6. Backpressure: whether hooks and sinks have room, and are there yet. While not, a
     * store leaves the changes where they are, and asks again soon. */
    bool (*may_show)(const struct kv_store_host *host);
};

/* What an open store is like. */
struct kv_store_info {
    uint32_t parts; /* 1 or more: the units of expiry. Every key belongs to one for ever; part p is
                       worked off by loop p % n_loops */
    char epoch[KV_EPOCH_MAX]; /* a random text, new when the store began anew: revisions of
                       different epochs can't be compared */
    uint64_t lacks; /* since 1.3, 0 where it is not set: of KV_STORE_ORDERED and KV_STORE_SEEKS,
                       what the module has, but not this store, with its options */
};

/* Since 1.6. A part of a store whose data is elsewhere, as GET /admin/cluster shows it to
 * operators. The texts are UTF-8, for people, and lent for the call. */
struct kv_part_state {
    uint32_t size; /* sizeof(struct kv_part_state) */
    uint32_t part;
    struct kv_slice node; /* the address of the server that has its data */
    bool is_connected;
    struct kv_slice fault; /* why it is not connected; or empty */
    uint64_t revision;     /* the latest of which no change is untold; 0: not known */
    int64_t lag_ms;        /* how long ago the store last had all changes; -1: it never had */
    uint64_t n_waiting;    /* commands that have not been sent yet, */
    uint64_t n_sent;       /* that have been sent and not been answered, */
    uint64_t n_held;       /* and that are given back once an earlier change is told */
    uint64_t n_reconnects; /* connections made anew, since the store was opened */
    uint64_t n_resyncs;    /* calls of host->resync() for it */
};

/* Takes the states of a store's parts, in the order of their numbers. Lent for the call. */
struct kv_parts_out {
    uint32_t size; /* sizeof(struct kv_parts_out) */
    void (*part)(struct kv_parts_out *out, const struct kv_part_state *state);
};

/* Since 1.6. What has become of a store's right to show the changes of a part. */
enum kv_claim_state {
    KV_CLAIM_LOST = 0,   /* another server shows the changes that are not settled */
    KV_CLAIM_HELD = 1,   /* hooks and sinks may act on what was shown */
    KV_CLAIM_UNSURE = 2, /* for now they may not: one of the other two will follow */
};

/* Capability bits of a store. */
enum kv_store_capability {
    KV_STORE_DURABLE = 1u << 0, /* data survives a restart */
    KV_STORE_ORDERED = 1u << 1, /* scans go in byte order of the keys */
    KV_STORE_SYNC = 1u << 2,    /* submit() never defers a command: the host need not keep
                                   the bytes of a command beyond the call */
    /* Since 1.3. */
    KV_STORE_UPDATES = 1u << 3, /* submit() takes KV_OP_UPDATE */
    KV_STORE_SEEKS = 1u << 4,   /* KV_STORE_ORDERED, and scans honour `start`: a page costs what it
                                   returns, wherever it begins and whatever else is there */
    KV_STORE_IN_ORDER =
        1u << 5,            /* changed() is called in the order of revisions, one at a time.
                               Without it, with KV_STORE_SYNC, changes happen within submit() and
                               expire() only, and each takes a revision above that of revision()
                               at the call's beginning: so the server knows the order, too */
    KV_STORE_LOG = 1u << 6, /* read_log() reads changes back, across restarts */
    /* Since 1.6. */
    KV_STORE_TOUCHES =
        1u << 8, /* host->touched() is called for all deadlines that are set without a
                    change. Without it, the server knows those of its own commands */
    /* Since 1.6. */
    KV_STORE_SHOWS = 1u << 7, /* hooks and sinks see changes by host->show() alone: several servers
                                 share the store, and one of them shows each change */
};

struct kv_store_ops {
    uint32_t size; /* sizeof(struct kv_store_ops) */

    /* Opens the store. `options` is aligned with the module's schema; it and `host` stay valid
     * until close() returns. May take long; runs on a thread of its own, before any other call.
     * Returns 0, or -1 and *reterr with what is wrong and with what (the path). */
    int (*open)(const struct kv_store_host *host, const struct kv_option_value *options,
                struct kv_store **ret_store, struct kv_error *reterr);

    void (*info)(struct kv_store *store, struct kv_store_info *ret_info);

    /* Takes n commands from a loop. Never blocks on the medium and never calls host->done(): on
     * return each command is final or deferred. Runs on the loop's thread; different loops at the
     * same time. */
    void (*submit)(struct kv_store *store, uint32_t loop, struct kv_cmd *const *cmds, size_t n);

    /* Fills one page, or defers it. Bounded work per call, as submit(). */
    void (*scan)(struct kv_store *store, uint32_t loop, struct kv_scan *scan);

    /* Commits the expiry of at most `max` keys of the part whose deadline is at or before
     * `now_ms`, and returns the next deadline of the part (at or before now_ms if there is more
     * to do; KV_NEVER if there is none). Runs on the part's loop, and blocks on nothing: a store
     * that has to wait for its medium returns KV_EXPIRING, commits them later, and tells the next
     * deadline then by host->wake_at(), KV_NEVER included. */
    int64_t (*expire)(struct kv_store *store, uint32_t part, int64_t now_ms, uint32_t max);

    /* One reference more, or less, of an item. Any thread; ref() may run within host->changed()
     * and takes no lock; unref() is never called there. */
    void (*ref)(struct kv_store *store, void *ref);
    void (*unref)(struct kv_store *store, void *ref);

    /* Ends it: called once, on a thread that may block, when no command is under way and every
     * reference has been given back. */
    void (*close)(struct kv_store *store);

    /* Since 1.3. As open(), but only for what is there, and only for reading: of an open store the
     * server calls nothing but info(), scan(), ref(), unref() and close() then. Makes nothing, and
     * changes nothing but what a crash has left to be done; a store that was closed in order can be
     * read where it cannot be written to. A store with KV_STORE_DURABLE has it.
     * Errors: `there is no store at <path>` where nothing of a store is there. */
    int (*open_to_read)(const struct kv_store_host *host, const struct kv_option_value *options,
                        struct kv_store **ret_store, struct kv_error *reterr);

    /* Since 1.3. The largest revision that was given out in this epoch; at least that of every
     * change that a reader can see. Any thread, at any time; takes no lock. Without it, the server
     * cannot tell clients up to where they have seen everything. */
    uint64_t (*revision)(struct kv_store *store);

    /* Since 1.3, KV_STORE_LOG. Fills one page of the log, or defers it. As scan(). */
    void (*read_log)(struct kv_store *store, uint32_t loop, struct kv_log_page *page);

    /* Since 1.3; may be NULL (check.h). A store with a folder says here whether that is, or may
     * become, its own. */
    kv_check_fn check;

    /* Since 1.3; may be NULL. Makes the copy of a long value ahead of its SET, which takes as long
     * as the value is long, so that submit() does not (kv_cmd.staged). Nobody sees it before.
     * Returns: the copy, with a reference that the host releases; no reference where there is no
     * memory. Any thread, but only of an open store. */
    struct kv_item (*stage)(struct kv_store *store, struct kv_slice key, struct kv_slice value);

    /* Since 1.4; may be NULL. Tells the store's figures. Blocks on nothing. Runs on any loop's
     * thread, on several at the same time. */
    void (*metrics)(struct kv_store *store, struct kv_metrics_out *out);

    /* Since 1.6; NULL where the data is not elsewhere. Tells the state of each part. Blocks on
     * nothing. Any thread, several at the same time. */
    void (*parts)(struct kv_store *store, struct kv_parts_out *out);

    /* Since 1.6, KV_STORE_SHOWS. Hooks and sinks have taken every change of the part that was shown
     * under this claim, up to this revision; calls may overtake each other. Whoever shows the
     * part's changes next begins behind it, if the claim is still the store's. Blocks on nothing.
     * Any thread, but not within show(). */
    void (*settled)(struct kv_store *store, uint32_t part, uint64_t claim, uint64_t revision);

    /* Since 1.6, KV_STORE_SHOWS. Asked before anybody acts on a change that was shown. Any thread,
     * under locks of the host as well; takes no lock. */
    enum kv_claim_state (*claim_state)(struct kv_store *store, uint32_t part, uint64_t claim);

    /* Since 1.6, KV_STORE_SHOWS. Whether changes up to this revision, which were told, wait to be
     * shown by this server. Any thread; takes no lock. */
    bool (*has_to_show)(struct kv_store *store, uint64_t revision);
};

#endif
