/*
 * Stores keep keys and values. A store takes vectors of commands from many event loops at once,
 * never blocks them, and reports every change to the server at the moment it commits.
 *
 * Guarantees of every store (the contract suite tests each sentence):
 *
 *  - Atomic commands. GET, SET, DELETE and TOUCH of one key take effect in one order that all
 *    readers agree on; the moment a write takes effect is its commit point. No reader sees the
 *    write before it; at the commit point the revision is taken and host->changed() is called,
 *    inside the same critical section; after it every reader sees the write. A store that promises
 *    durability reaches the commit point after the data is safe.
 *  - Order. Writes submitted by one loop take effect in the order submitted, within a vector and
 *    across calls; but a write of another key may overtake a SET of more than KV_LONG_VALUE bytes,
 *    so that other writes need not wait for it. A GET may take effect at any time between its
 *    submission and its completion, but one completed within submit() has its place in the vector's
 *    order.
 *  - Revisions. Every change gets a revision that is unique in this store, larger than those of all
 *    changes whose commands had returned before, and of all earlier changes of its key; above 0 and
 *    below 2^53. A volatile store starts at the wall clock's microseconds, so that revisions from
 *    before a restart never match.
 *  - A command that fails (KV_FULL and the like) changes nothing, except that it commits the expiry
 *    of a key that is due. Only KV_UNKNOWN leaves open whether a write has taken effect, or still
 *    will. If the store learns of the change later, it reports it then.
 *  - Conditions are judged first: a DELETE or TOUCH of a missing key is MISSING only if its
 *    condition holds. A write whose condition fails still commits the expiry of its key if that is
 *    due.
 *  - Changes are: a SET that creates the key or alters its bytes, a DELETE of a key that exists, an
 *    expiry. A SET of the same bytes takes the new deadline, keeps the revision, and notifies
 *    nobody.
 *  - Expiry. From the millisecond of its deadline on (now_ms >= deadline_ms) no reader sees a key.
 *    The clock is host->now_ms(), read at the commit point. A write or delete of a key past its
 *    deadline commits the expiry first (with a revision and a change of its own), then finds the
 *    key missing. A GET only finds it missing; expire() commits the expiry.
 *  - Changes from elsewhere. A store that several servers share also reports the changes of the
 *    other servers, as it learns of them, in one order with those of its own commands. A change is
 *    reported before host->done() gives back a command that has seen it.
 *  - Showing. A store with KV_STORE_SHOWS shows each change to the hooks and sinks of one server,
 *    at least once: again, with the same revision, only if a server has died or lost its claim
 *    before the change was settled. See host->show().
 *  - Memory ordering. A change is published to readers before host->changed() is called, and a GET
 *    reads the published state, both sequentially consistent (a lock that both hold is enough). So
 *    a reader that registered its interest with the host either sees a change or is notified of it.
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

/* Returned by expire() if a thread of the store commits the expiry. */
#define KV_EXPIRING (INT64_MAX - 1)

/* Bytes of a value. A caller that needs its writes in order submits no other write until a SET of a
 * longer value is done. */
#define KV_LONG_VALUE ((size_t)4 << 20)

#define KV_REVISION_MAX ((UINT64_C(1) << 53) - 1)

/* The revision after which a new store begins. Whatever the wall clock says, half of all revisions
 * remain to be given out. */
static inline uint64_t kv_revision_start(int64_t wall_us)
{
    return (uint64_t)wall_us & (KV_REVISION_MAX >> 1);
}

enum {
    KV_EPOCH_MAX = 33 /* bytes of an epoch, with the NUL at its end */
};

/* Makes a random epoch for a new store, in hexadecimal digits. Returns: false if the system has no
 * random bytes. */
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
    uint64_t revision;   /* 0: no state, and nothing to release */
    int64_t deadline_ms; /* KV_NEVER, or a time of host->now_ms(); TOUCH may have moved it since */
    void *ref;           /* the store's; it keeps the key's bytes alive as well */
};

enum kv_op {
    KV_OP_GET = 1,    /* ret: OK and `item`, or MISSING */
    KV_OP_SET = 2,    /* ret: OK or UNCHANGED, and `revision`; sets value and deadline */
    KV_OP_DELETE = 3, /* ret: OK and `revision` (of the delete), or MISSING */
    KV_OP_TOUCH = 4,  /* ret: OK and `revision` (the current one), or MISSING; sets the deadline */
    KV_OP_UPDATE =
        5, /* since 1.3, with KV_STORE_UPDATES. Sets the value that `compute` makes of the
              old one, or deletes the key; ret: as SET or DELETE, DECLINED, or LONGER */
    KV_OP_CATCH_UP = 6, /* since 1.7, with KV_STORE_CATCHES_UP. Has no key, and changes nothing;
                           ret: OK, once every change that was committed before it was submitted, on
                           any server, has been reported */
};

/* Conditions of SET, DELETE, TOUCH and UPDATE, judged at the commit point; all bits that are set
 * must hold. */
enum kv_cond {
    KV_COND_NONE = 0,
    KV_COND_ABSENT = 1u << 0,   /* the key does not exist */
    KV_COND_PRESENT = 1u << 1,  /* the key exists */
    KV_COND_REVISION = 1u << 2, /* the key exists, and its revision is one of `if_revisions` */
    KV_COND_DEADLINE = 1u << 3, /* since 1.8. The key exists, and its deadline is `if_deadline_ms`;
                                   a store whose deadlines follow another clock allows for an error
                                   of a few milliseconds. An older store ignores it */
};

enum kv_status {
    KV_PENDING = 0,   /* not done yet */
    KV_OK = 1,        /* done */
    KV_UNCHANGED = 2, /* a SET of the bytes that the key had */
    KV_MISSING = 3,   /* the key does not exist */
    KV_CONDITION = 4, /* the condition does not hold; `revision` is the current one, 0 if none */
    /* Failures: nothing has changed. */
    KV_FULL = 5,      /* no room (memory or disk) */
    KV_IO = 6,        /* the medium failed */
    KV_TOO_BIG = 7,   /* more than this store can hold in one key or value */
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

/* The function of an UPDATE: computes the new value from the old one.
 * old: lent for the call; revision 0 if the key is missing.
 * ret_value: bytes of the host's, which stay until the command is final.
 * Called by the store at the commit point, once for each attempt at the command, on any thread and
 * under the store's locks; so it is pure, quick, and does not call the store.
 * Returns: KV_OK; KV_MISSING: the key is to be deleted, as by DELETE; KV_DECLINED or another
 * failure, which becomes the command's status. */
typedef enum kv_status (*kv_update_fn)(struct kv_cmd *cmd, const struct kv_item *old,
                                       struct kv_slice *ret_value);

/* One command. Owned by the host and stable, like the bytes it points to, until it is final. The
 * store writes the members under "out" only. Within submit() it either makes the command final, or
 * sets `is_deferred` (before any other thread can see the command) and gives it back later by
 * host->done(); the host reads nothing of a deferred command until then. */
struct kv_cmd {
    enum kv_op op;
    uint32_t cond;                /* enum kv_cond */
    const uint64_t *if_revisions; /* KV_COND_REVISION: any of these; may be none */
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
    size_t most_bytes; /* GET, if it is deferred: if the store would have to copy a longer value, it
                          does not, writes the approximate length here, and ends with KV_LONGER; 0:
                          no limit. UPDATE: if the old value is longer, nothing is done, and the
                          command ends with KV_LONGER; 0: no limit */
    kv_update_fn compute; /* UPDATE */
    bool keeps_deadline;  /* UPDATE, since 1.8 also SET, of a key that exists: its deadline stays,
                             and `deadline_ms` applies only to a key that the command creates. An
                             older store sets the `deadline_ms` of such a SET, which is therefore
                             the deadline that the host has read */
    void *staged; /* SET: the reference of the copy that ops->stage() made of this key and value, so
                     that nothing needs to be copied; or NULL. Lent; for one command only */
    /* in, since 1.6 */
    uint16_t mark; /* SET, DELETE, UPDATE, with KV_STORE_SHOWS: kept with the change, and passed to
                      host->show() with it; not passed with the expiry of a due key that the command
                      commits */
    /* in, since 1.8 */
    int64_t if_deadline_ms; /* KV_COND_DEADLINE: KV_NEVER, or a time of host->now_ms() */
};

/* Whether the condition of `cmd`, apart from KV_COND_DEADLINE, holds for a key in this state. */
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

/* Since 1.8. The same for the whole condition. */
static inline bool kv_cmd_holds_until(const struct kv_cmd *cmd, bool is_there, uint64_t revision,
                                      int64_t deadline_ms)
{
    bool is_until = is_there && deadline_ms == cmd->if_deadline_ms;
    return ((cmd->cond & KV_COND_DEADLINE) == 0 || is_until) &&
           kv_cmd_holds(cmd, is_there, revision);
}

enum kv_reason {
    KV_REASON_SET = 1,
    KV_REASON_DELETE = 2,
    KV_REASON_EXPIRE = 3
};

/* A change, reported at its commit point. All of it is lent for the call; to keep an item, take a
 * reference (ops->ref). The key lives as long as the reference of `after`, or of `before` if there
 * is no `after`. */
struct kv_change {
    enum kv_reason reason;
    uint64_t revision;
    uint64_t hash; /* as in kv_cmd; a store that does not have it at hand calls host->hash() */
    struct kv_slice key;
    struct kv_item before; /* revision 0: the key did not exist */
    struct kv_item after;  /* revision 0: the key no longer exists */
};

struct kv_scan_entry {
    struct kv_slice key; /* alive with item.ref */
    struct kv_item item; /* a reference that the host releases; the value may be empty if
                            `wants_values` is not set */
};

/* One page of a scan: a walk over all keys in an order that the store chooses (by key with
 * KV_STORE_ORDERED). A key that exists during the whole walk is returned at least once; a key past
 * its deadline is not returned. Owned by the host and stable until final. */
struct kv_scan {
    struct kv_slice prefix; /* only keys with this prefix */
    struct kv_slice cursor; /* empty: from the start; else `next` of the previous page, however long
                               ago in this store's life, and whatever has changed since */
    struct kv_slice start; /* since 1.3, KV_STORE_SEEKS, with an empty cursor: only keys at or after
                              this, in byte order; the store goes there at once */
    bool wants_values;
    struct kv_scan_entry *entries; /* room for `capacity` */
    uint32_t capacity;             /* at least 1 */
    /* out */
    bool is_deferred;      /* as in struct kv_cmd; host->scan_done() gives it back */
    uint32_t n;            /* a page may be empty without being the last */
    struct kv_slice next;  /* empty: the walk is complete */
    void *next_ref;        /* keeps `next` alive; released like an item's */
    enum kv_status status; /* OK, or a failure; KV_CONDITION: the cursor is not from this store */
};

/* A change in the log. */
struct kv_log_entry {
    enum kv_reason reason;
    uint64_t revision;
    struct kv_slice key;  /* alive with `ref` */
    struct kv_item after; /* as in kv_change, except that its `ref` is not used */
    void *ref;            /* keeps key and value alive; the host releases it like an item's */
};

/* One page of the log: the changes after a revision, in the order of revisions, without gaps except
 * for keys that `wants` excludes. Owned by the host and stable until final. */
struct kv_log_page {
    uint64_t after;
    /* Whether a change of this key is wanted: pure, any thread; NULL: all are. */
    bool (*wants)(const struct kv_log_page *page, struct kv_slice key);
    struct kv_log_entry *entries; /* room for `capacity` */
    uint32_t capacity;            /* at least 1 */
    size_t most_bytes;            /* of keys and values; one entry may always exceed it */
    /* out */
    bool is_deferred;      /* as in struct kv_cmd; host->log_done() gives it back */
    uint32_t n;            /* a page may be empty and yet not be the last */
    uint64_t upto;         /* the page is complete for the revisions after `after` up to this one */
    bool is_last;          /* `upto` was the newest change when the page was read */
    enum kv_status status; /* OK, TRIMMED, or a failure. TRIMMED also if `after` is larger than the
                              newest revision, or was lost in a crash */
};

/* The host of a store: struct kv_host with the services that only stores need. The functions may be
 * called from any thread. */
struct kv_store_host {
    struct kv_host base;

    uint32_t n_loops; /* event loops that will submit: 0 … n_loops-1 */

    /* The hash of a key, as in kv_cmd.hash. */
    uint64_t (*hash)(const struct kv_store_host *host, struct kv_slice key);

    /* Reports a change, at its commit point; not before open() has returned. The only host call
     * that is allowed, and expected, under the lock that orders the key's changes: a bounded append
     * that calls no function of the store except ops->ref. */
    void (*changed)(const struct kv_store_host *host, uint32_t part,
                    const struct kv_change *change);

    /* Asks for expire(part) at `deadline_ms`, if that is earlier than what is planned. Cheap if it
     * is not; allowed under a lock. */
    void (*wake_at)(const struct kv_store_host *host, uint32_t part, int64_t deadline_ms);

    /* Gives deferred commands, now final, back to the loop that submitted them. Not within
     * submit(), and not under a lock that ops->unref takes. */
    void (*done)(const struct kv_store_host *host, uint32_t loop, struct kv_cmd *const *cmds,
                 size_t n);

    /* The same for a scan. */
    void (*scan_done)(const struct kv_store_host *host, uint32_t loop, struct kv_scan *scan);

    /* Since 1.3. The same for a page of the log. */
    void (*log_done)(const struct kv_store_host *host, uint32_t loop, struct kv_log_page *page);

    /* Since 1.3. How much of the log to keep at least, in bytes and in time; the rest may be
     * dropped. 0: nothing. For KV_STORE_LOG. */
    uint64_t log_bytes;
    int64_t log_ms;

    /* Since 1.5. Like changed(), for a change that another server shows to its hooks and sinks: of
     * the servers that share a store, one gets a change by changed(), the others by
     * changed_elsewhere(). */
    void (*changed_elsewhere)(const struct kv_store_host *host, uint32_t part,
                              const struct kv_change *change);

    /* Since 1.5. The part's changes have a gap: some were not reported and never will be, or were
     * reported and have been lost. Subscribers are told to forget what they know, then get the
     * present state; no client can resume from an earlier revision. The call is ordered with those
     * of changed(): it comes from the same thread, or under the same lock. A store with revision()
     * has raised that above every revision reported before. */
    void (*resync)(const struct kv_store_host *host, uint32_t part);

    /* Since 1.5. Reports whether the store can serve; until the first call, it can. `/readyz` shows
     * the state, and every change of it is logged. text: the reason why it cannot, for people;
     * copied. Allowed from the beginning of open(). */
    void (*health)(const struct kv_store_host *host, bool is_well, const char *text);

    /* Since 1.5. Backpressure: whether there is room for changes that did not come from commands of
     * this server. If not, a store keeps them back, and asks again soon. */
    bool (*may_tell)(const struct kv_store_host *host);

    /* Since 1.6, KV_STORE_TOUCHES. A key got another deadline without a change, by this server or
     * another one: by a TOUCH, or a SET or UPDATE that altered nothing. revision: that of the key's
     * state; 0: deadlines of unknown keys may have been set without a report. Called in the order
     * in which the deadlines were set, and before later changes of the part are reported. Cheap,
     * and allowed under a lock. */
    void (*touched)(const struct kv_store_host *host, uint32_t part, struct kv_slice key,
                    uint64_t revision, int64_t deadline_ms);

    /* Since 1.6. Whether this server has hooks or sinks. If not, a store with KV_STORE_SHOWS leaves
     * it to other servers to show changes. Constant from the beginning of open() on. */
    bool has_observers;

    /* Since 1.6, KV_STORE_SHOWS. Shows a change to hooks and sinks only; subscribers have been
     * notified of it by changed() or changed_elsewhere(). A part's changes are shown one at a time,
     * in the order of their revisions, each once under the same claim. Call may_show() shortly
     * before; a few changes too many do no harm.
     * claim: the store's number, above 0, for its right to show the part's changes. A store that
     * loses the right and regains it takes a new number, and shows the unsettled changes again.
     * mark: that of the command that made the change; 0 if no command did. */
    void (*show)(const struct kv_store_host *host, uint32_t part, uint64_t claim, uint16_t mark,
                 const struct kv_change *change);

    /* Since 1.6. Backpressure: whether hooks and sinks are ready and have room. If not, a store
     * keeps the changes back, and asks again soon. */
    bool (*may_show)(const struct kv_store_host *host);

    /* Since 1.8. Gives the host a change from before it kept a log, for clients that resume. Called
     * within ops->recall() only, for the newest change first. Of the changes above `after` and up
     * to `upto`, this was the only one. upto: at the first call, what recall() was given; then the
     * previous call's `after`. at_ms: a time of base.now_ms(), about when the change was made.
     * change: lent; `before` is not used. A SET whose value the store does not have at hand has no
     * `after`: the host reads the key when it needs the value.
     * Returns: whether the host has taken it. If not, it needs none of those before it, either. */
    bool (*remember)(const struct kv_store_host *host, uint64_t after, uint64_t upto,
                     const struct kv_change *change, int64_t at_ms);
};

/* Properties of an open store. */
struct kv_store_info {
    uint32_t parts; /* 1 or more: the units of expiry. Every key belongs to one permanently; loop p
                       % n_loops calls expire() for part p */
    char epoch[KV_EPOCH_MAX]; /* a random text, new whenever the store begins anew: revisions of
                                 different epochs cannot be compared */
    uint64_t lacks; /* since 1.3, 0 if not set: those of KV_STORE_ORDERED and KV_STORE_SEEKS that
                       the module has, but this store, with its options, does not */
};

/* Since 1.7. As far as this server knows. */
enum kv_part_holder {
    KV_HOLDER_UNKNOWN = 0, /* the members that follow it are not set */
    KV_HOLDER_HERE = 1,
    KV_HOLDER_ELSEWHERE = 2, /* the cursor may be a little out of date */
};

/* Since 1.6. The state of a part whose data is on another server, as GET /admin/cluster shows it to
 * operators. The texts are UTF-8, for people, and lent for the call. */
struct kv_part_state {
    uint32_t size; /* sizeof(struct kv_part_state) */
    uint32_t part;
    struct kv_slice node; /* the address of the server that has its data */
    bool is_connected;
    struct kv_slice fault; /* the reason why it is not connected; or empty */
    uint64_t revision;     /* all changes up to this revision have been reported; 0: not known */
    int64_t lag_ms;        /* time since the store last had all changes; -1: it never had */
    uint64_t n_waiting;    /* commands that have not been sent yet */
    uint64_t n_sent;       /* commands that have been sent and not been answered */
    uint64_t n_held;       /* answered commands that wait until an earlier change is reported */
    uint64_t n_reconnects; /* reconnections since the store was opened */
    uint64_t n_resyncs;    /* calls of host->resync() for it */
    /* Since 1.7, KV_STORE_SHOWS. Which server shows the part's changes to its hooks and sinks. */
    enum kv_part_holder holder;
    struct kv_slice holder_id; /* a name for that server, the same at all servers of the store */
    uint64_t cursor;           /* its hooks and sinks have taken all changes up to this revision */
    int64_t behind_ms;         /* time since they last had taken all changes; -1: not known */
};

/* Receives the states of a store's parts, in the order of their numbers. Lent for the call. */
struct kv_parts_out {
    uint32_t size; /* sizeof(struct kv_parts_out) */
    void (*part)(struct kv_parts_out *out, const struct kv_part_state *state);
};

/* Since 1.6. The state of a store's claim: its right to show the changes of a part. */
enum kv_claim_state {
    KV_CLAIM_LOST = 0,   /* another server shows the unsettled changes */
    KV_CLAIM_HELD = 1,   /* hooks and sinks may act on shown changes */
    KV_CLAIM_UNSURE = 2, /* for now they may not: LOST or HELD will follow */
};

/* Capability bits of a store. */
enum kv_store_capability {
    KV_STORE_DURABLE = 1u << 0, /* data survives a restart */
    KV_STORE_ORDERED = 1u << 1, /* scans return keys in byte order */
    KV_STORE_SYNC = 1u << 2, /* submit() never defers a command: the host need not keep the bytes of
                                a command beyond the call */
    /* Since 1.3. */
    KV_STORE_UPDATES = 1u << 3, /* submit() takes KV_OP_UPDATE */
    KV_STORE_SEEKS = 1u << 4,   /* KV_STORE_ORDERED, and scans honour `start`: a page's cost depends
                                   on what it returns, not on its place or on other keys */
    KV_STORE_IN_ORDER =
        1u << 5, /* changed() is called in the order of revisions, one at a time. Without it, with
                    KV_STORE_SYNC, changes happen within submit() and expire() only, and each takes
                    a revision above that of revision() at the call's beginning; so the server knows
                    the order in that case, too */
    KV_STORE_LOG = 1u << 6, /* read_log() reads changes back, across restarts */
    /* Since 1.6. */
    KV_STORE_TOUCHES =
        1u << 8, /* host->touched() is called for all deadlines that are set without a change.
                    Without it, the server knows only those that its own commands set */
    KV_STORE_SHOWS = 1u << 7, /* hooks and sinks see changes by host->show() only: several servers
                                 share the store, and one of them shows each change */
    /* Since 1.7. */
    KV_STORE_CATCHES_UP = 1u << 9, /* submit() takes KV_OP_CATCH_UP: other servers share the store,
                                      and their changes may be reported a while after their commit.
                                      Without it, a subscriber may be notified of changes of others
                                      that were answered before it subscribed */
};

struct kv_store_ops {
    uint32_t size; /* sizeof(struct kv_store_ops) */

    /* Opens the store. `options` is aligned with the module's schema; it and `host` stay valid
     * until close() returns. May take long; runs on a thread of its own, before any other call.
     * Returns 0, or -1 and *reterr with the cause and the object (the path). */
    int (*open)(const struct kv_store_host *host, const struct kv_option_value *options,
                struct kv_store **ret_store, struct kv_error *reterr);

    void (*info)(struct kv_store *store, struct kv_store_info *ret_info);

    /* Takes n commands from a loop. Never blocks on the medium and never calls host->done(): on
     * return each command is final or deferred. Runs on the loop's thread; different loops at the
     * same time. */
    void (*submit)(struct kv_store *store, uint32_t loop, struct kv_cmd *const *cmds, size_t n);

    /* Fills one page, or defers it. Bounded work per call, as with submit(). */
    void (*scan)(struct kv_store *store, uint32_t loop, struct kv_scan *scan);

    /* Commits the expiry of at most `max` keys of the part whose deadline is at or before `now_ms`,
     * and returns the next deadline of the part (at or before now_ms if there is more to do;
     * KV_NEVER if there is none). Runs on the part's loop, and blocks on nothing: a store that has
     * to wait for its medium returns KV_EXPIRING, commits them later, and then reports the next
     * deadline by host->wake_at(), including KV_NEVER. */
    int64_t (*expire)(struct kv_store *store, uint32_t part, int64_t now_ms, uint32_t max);

    /* Takes, or releases, a reference to an item. Any thread; ref() may run within host->changed()
     * and takes no lock; unref() is never called there. */
    void (*ref)(struct kv_store *store, void *ref);
    void (*unref)(struct kv_store *store, void *ref);

    /* Closes the store: called once, on a thread that may block, when no command is under way and
     * every reference has been released. */
    void (*close)(struct kv_store *store);

    /* Since 1.3. As open(), but only for reading, and only for a store that exists: the server then
     * calls nothing but info(), scan(), ref(), unref() and close(). Creates nothing, and changes
     * nothing except to recover from a crash; a store that was closed properly can be read from a
     * medium that cannot be written to. Required with KV_STORE_DURABLE.
     * Errors: `there is no store at <path>` if nothing of a store is there. */
    int (*open_to_read)(const struct kv_store_host *host, const struct kv_option_value *options,
                        struct kv_store **ret_store, struct kv_error *reterr);

    /* Since 1.3. The largest revision given out in this epoch; at least that of every change that a
     * reader can see. Any thread, at any time; takes no lock. Without it, the server cannot tell
     * clients up to which revision they have seen all changes. */
    uint64_t (*revision)(struct kv_store *store);

    /* Since 1.3, KV_STORE_LOG. Fills one page of the log, or defers it, as scan(). */
    void (*read_log)(struct kv_store *store, uint32_t loop, struct kv_log_page *page);

    /* Since 1.3; may be NULL (check.h). A store with a folder checks here that the folder is, or
     * may become, its own. */
    kv_check_fn check;

    /* Since 1.3; may be NULL. Copies a long value ahead of its SET, so that submit() need not
     * (kv_cmd.staged). No reader sees the copy before the SET. Any thread, but only of an open
     * store. Returns: the copy, with a reference that the host releases; no reference if memory is
     * short.
     */
    struct kv_item (*stage)(struct kv_store *store, struct kv_slice key, struct kv_slice value);

    /* Since 1.4; may be NULL. Reports the store's figures. Blocks on nothing. Runs on any loop's
     * thread, on several at the same time. */
    void (*metrics)(struct kv_store *store, struct kv_metrics_out *out);

    /* Since 1.6; NULL if the data is not on other servers. Reports the state of each part. Blocks
     * on nothing. Any thread, several at the same time. */
    void (*parts)(struct kv_store *store, struct kv_parts_out *out);

    /* Since 1.6, KV_STORE_SHOWS. Hooks and sinks have taken every change of the part that was shown
     * under this claim, up to this revision; calls may overtake each other. The next server to show
     * the part's changes begins after it, if the store still has the claim. Blocks on nothing. Any
     * thread, but not within show(). */
    void (*settled)(struct kv_store *store, uint32_t part, uint64_t claim, uint64_t revision);

    /* Since 1.6, KV_STORE_SHOWS. Called before hooks and sinks act on a shown change. Any thread,
     * also under locks of the host; takes no lock. */
    enum kv_claim_state (*claim_state)(struct kv_store *store, uint32_t part, uint64_t claim);

    /* Since 1.6, KV_STORE_SHOWS. Whether reported changes up to this revision still wait to be
     * shown by this server. Any thread; takes no lock. */
    bool (*has_to_show)(struct kv_store *store, uint64_t revision);

    /* Since 1.8, with KV_STORE_CATCHES_UP; may be NULL. Gives the host earlier changes by
     * host->remember(), back from `upto`, as far as the host takes them and the store has them
     * without a gap. Changes above `upto` are reported as usual, also meanwhile. Called once,
     * before the first command, and not after open_to_read(); the server is not ready before it
     * returns, so it takes a bounded time. */
    void (*recall)(struct kv_store *store, uint64_t upto);
};

#endif
