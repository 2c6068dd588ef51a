/*
 * The types that the files of this store share.
 *
 * One thread talks to Redis; the host's loops put jobs into its inbox and wake it. Only this thread
 * calls host->changed() and host->done(), so changes are told in one order, and before the commands
 * that have seen them are given back.
 *
 *  - The lane: a connection for commands, in the order submitted, that also receives the changes.
 *    Redis disconnects a subscriber whose output (answers included) grows too long, so no long
 *    values are read over it.
 *  - The bulk: a connection for long values, scans, and what observers see.
 *  - The fence (fence.h): a connection to wait for replicas.
 *  - The chain (chain.h): the changes, each naming the one before it.
 *  - The lease (lease.h): which server shows the changes to its hooks and sinks.
 *  - Recalling (recall.h): the changes from before the store was opened.
 *  - Whether all keys are there (whole.h).
 *
 * With a Redis Cluster, each partition has all of this (cluster.h).
 */
#ifndef KV_STORE_REDIS_SHARED_H
#define KV_STORE_REDIS_SHARED_H

#include "../../redis_client/link.h"
#include "jobs.h"
#include "placement.h"

#include <kvserver/store.h>

#include <pthread.h>
#include <stdatomic.h>

enum {
    LONGEST_PREFIX = 128,
    LONGEST_NAME = LONGEST_PREFIX + 48,
    PART = 0, /* the number of the only one of a store */
    LONGEST_TAG = 16,
    MOST_PARTS = 64,
    OUTBOX = 256,
    REFUSAL = 32,
    RUN_ID = 64,
    REPORTED_NODE = 288,
    REPORTED_FAULT = 512,
    STREAM_ID = 48,
};

/* The places that a write must have reached before it is answered, read or told. */
enum ack {
    ACK_PRIMARY,
    ACK_REPLICAS,
    ACK_DISK,
};

struct name {
    char bytes[LONGEST_NAME];
    size_t len;
};

/* The names of the keys in Redis; see README.md. */
struct names {
    struct name record; /* the beginning of a record's key */
    struct name newest; /* revision */
    struct name log;
    struct name deadlines;
    struct name index;
    struct name store;
    struct name fence;
    struct name channel;
    struct name lease;
    struct name nothing; /* never exists */
};

static inline struct kv_slice name_slice(const struct name *name)
{
    return (struct kv_slice){name->bytes, name->len};
}

struct settings {
    struct address address;
    struct kv_slice user;
    struct kv_slice password; /* empty: none */
    struct kv_slice prefix;
    int64_t database;
    int64_t timeout_ms;
    int64_t log_entries;
    int64_t lease_ms;
    enum ack ack;
    int64_t n_replicas;
    struct kv_slice accept_loss; /* the epoch of a store that may be incomplete; empty: none */
    bool orders_all; /* with `nodes`: keeps the order of all writes of a loop, not only of a key */
};

/* A connection and its jobs. */
struct lane {
    struct link link;
    struct jobs waiting;
    struct jobs sent; /* answers come in this order */
    size_t sent_bytes;
    size_t most_sent;
};

/* Final jobs that have not been given back yet. */
struct outbox {
    struct job jobs[OUTBOX];
    size_t n;
};

/* fence.h */
struct fence {
    struct link link;
    bool is_sent;
    bool has_written;              /* its write has been answered */
    bool has_moved;                /* … with that its key is no longer there */
    bool is_of_node;               /* so something else is written, which belongs to no partition */
    int64_t until_ms;              /* the time by which Redis has to answer */
    int64_t give_up_ms;            /* the time by which enough replicas have to */
    uint64_t lane_mark, bulk_mark; /* n_read when it was sent: what it covers */
};

/* Redis's clock, as far as it is known. */
struct clock {
    int64_t least_us, most_us; /* between which Redis's time minus the host's is */
    int64_t taken_ms;          /* by the host's; 0: not known */
};

/* lease.h */
struct lease {
    bool is_wanted;
    pthread_mutex_t lock;     /* of claim and settled, when they are written */
    _Atomic uint64_t claim;   /* 0: none */
    _Atomic uint64_t settled; /* what observers have taken */
    _Atomic int64_t until_ms; /* link_clock_ms() up to which the claim is certain */
    _Atomic uint64_t shown;
    _Atomic uint64_t n_takeovers, n_gaps;
    _Atomic uint64_t holder;   /* another server, by its origin; 0: none that is known */
    _Atomic uint64_t taken;    /* there: what observers have taken, as Redis knows it */
    _Atomic int64_t caught_ms; /* link_clock_ms() when they had last taken all; 0: never yet */

    /* The thread's. */
    uint64_t noted; /* what observers have taken, as Redis knows it */
    bool is_asking, is_reading;
    int64_t asked_ms, ask_at_ms, read_at_ms;
    uint64_t next; /* the revision of the next change, which had not been told; 0: not known */
    uint64_t gap_at, gap_to; /* no changes are left between these revisions; under the lock */
};

/* catch_ups.h */
struct catch_ups {
    struct jobs waiting;
    struct jobs asked; /* the request that is under way is for these */
    struct kv_cmd request;
};

/* expiring.h */
struct expiring {
    bool is_asked;
    struct job job;  /* the first that has asked */
    uint64_t first;  /* the server that expired keys last, by its origin; 0: none that is known */
    int64_t told_ms; /* link_clock_ms() of that */
};

enum recall_answer {
    RECALL_NONE, /* not in time */
    RECALL_PAGE,
    RECALL_LOST, /* the connection was lost */
    RECALL_REFUSED,
};

struct past_page;

/* recall.h */
struct recall {
    pthread_mutex_t lock; /* of the next four */
    pthread_cond_t is_over;
    bool is_asked;
    bool is_closed; /* nobody waits for a page */
    enum recall_answer answer;

    bool has_begun;
    bool is_at_start;      /* the log has nothing before the page */
    uint64_t next;         /* the revision of the last change that has not been taken */
    uint32_t page_entries; /* to be asked for */
    char end[STREAM_ID];   /* of the log, as XREVRANGE takes it: before it, nothing has been read */
    struct past_page *page;
    size_t taken; /* of the page */
};

/* whole.h */
struct whole {
    bool is_in_doubt; /* some keys may have been elsewhere since they were last looked at */
    bool is_counted;  /* when they were, the slot had those of the partition, and no other */
    bool is_to_count; /* another server mended when they were to be looked at */
    bool is_asked;    /* a check is under way */
    int64_t newest, n_indexed; /* when they were: the revision, 0 if they never were; and keys */
    int64_t check_at_ms;
};

/* The last refusal of Redis that was logged. */
struct refusal {
    char word[REFUSAL];
    int64_t logged_ms;
};

/* report.h */
struct report {
    pthread_mutex_t lock; /* of the next three */
    bool is_connected;
    char node[REPORTED_NODE];
    char fault[REPORTED_FAULT];
    _Atomic int64_t whole_ms; /* link_clock_ms() when all changes had been taken; 0: never yet */
    _Atomic uint64_t n_waiting, n_sent, n_held;
    _Atomic bool knows_clock;
    _Atomic int64_t least_ahead_ms, most_ahead_ms; /* of Redis's clock, if it is known */
};

/* opening.h */
struct opening {
    int64_t since_ms;
    bool is_logged;
};

struct cluster;
struct master;
struct nodes;

/* The other partitions of a cluster. Called by the thread. */
struct neighbours {
    /* Later changes of this partition will have larger revisions. */
    void (*passed)(void *context, uint64_t revision);
    /* Writes those that are waited for and are connected to the same node into an array of n_parts.
     * Returns: their number. */
    size_t (*beside)(void *context, const struct kv_store **ret);
    /* That node says the same of partition `part` as of this one: behind `newest`, its changes will
     * have larger revisions than `revision`. */
    void (*passed_beside)(void *context, uint32_t part, uint64_t newest, uint64_t revision);
};

/* With `nodes` there is one for each partition (cluster.h), and one that the host has. */
struct kv_store {
    struct cluster *cluster; /* with `nodes`, in the host's: the partitions; NULL in all others */
    const struct kv_store_host *host;
    struct settings settings;
    struct names names;
    char tag[LONGEST_TAG]; /* between the braces of its keys */
    uint32_t part;         /* its number, and how many there are: 0 and 1 without `nodes` */
    uint32_t n_parts;
    struct nodes *nodes;             /* NULL: one Redis */
    struct master *master;           /* with `sentinels` (master.h); or NULL */
    _Atomic uint64_t master_version; /* of what the store points to */
    char node_host[256];
    uint32_t next_node;            /* to be tried, of the known ones */
    uint32_t node;                 /* that the lane is connected to, a number made of its ID
                                      (event.h); 0: not known, or no cluster */
    bool has_dropped;              /* what another node has pushed over this lane */
    _Atomic uint64_t connected_to; /* nodes_number(); 0: nothing, or it is to be given up */
    const struct kv_store *first;  /* the partition that the others have to match; NULL: itself */
    const struct neighbours *neighbours; /* NULL: there are none */
    void *context;                       /* theirs */
    const _Atomic uint64_t *told; /* changes up to it have been told; NULL: those of the chain */
    _Atomic uint64_t look_for;    /* a revision that is to be passed soon */
    _Atomic uint64_t upto;        /* the revision that has been passed; writes get larger ones */
    int64_t looked_ms;
    char epoch[KV_EPOCH_MAX];
    struct placement placement;
    struct opening own_opening;
    struct opening *opening; /* one for all partitions */
    bool may_create;
    bool is_read_only;
    bool is_at_master; /* what was connected last calls itself a master */
    bool is_split;     /* some of the partition's keys were at another master than the rest */
    bool is_missing;   /* Redis has answered that there is no store, which was to exist */
    bool has_begun;
    uint64_t origin; /* of this opening, in tokens; the same in all partitions */
    pthread_t thread;
    int wake_fd;
    atomic_bool is_closing;
    _Atomic uint64_t newest; /* revision; written by the thread */
    _Atomic uint64_t n_reconnects;
    _Atomic uint64_t n_resets; /* of the chain */
    struct report report;

    pthread_mutex_t lock; /* of the inbox */
    struct jobs inbox;

    /* The thread's, and open()'s before it. */
    atomic_bool is_connected; /* read by anybody */
    bool is_lost;             /* the connection is to be given up */
    bool is_bulk_lost;        /* only that of the bulk */
    bool is_leaving;          /* it is to be given up once all that was sent has been answered */
    int64_t leave_by_ms;
    struct jobs spare; /* empty: the memory of the next inbox */
    struct lane lane;
    struct lane bulk;
    struct fence fence;
    struct kv_error loss; /* why the connection is given up */
    struct resolver resolver;
    struct link fetch;       /* for values that the chain needs immediately */
    bool is_fetch_elsewhere; /* it is connected to another node */
    struct clock clock;
    struct lease lease;
    struct expiring expiring;
    struct catch_ups catch_ups;
    struct recall recall;
    struct whole whole;
    _Atomic uint64_t position; /* of the chain: the last revision told; written by the thread */
    uint64_t client_id;        /* Redis's number of the lane's connection */
    char run_id[RUN_ID];       /* of the Redis that gave it; empty: not known */
    uint64_t last_number;
    struct jobs refused; /* by a node that no longer has the keys: not executed */
    struct jobs held;    /* final, but of revisions that have not been told yet */
    struct outbox outbox;
    int64_t look_at_ms;
    bool is_looking;
    struct refusal refusal;
    bool is_refusing; /* all writes, as it cannot save */
    int64_t retry_at_ms;
    int64_t retry_delay_ms;
};

/* Any thread. */
static inline void raise_upto(struct kv_store *store, uint64_t revision)
{
    uint64_t upto = store->upto;
    while (upto < revision && !atomic_compare_exchange_weak(&store->upto, &upto, revision))
        continue;
}

/* Whether another server may take the place of the one that the store is connected to. */
static inline bool may_be_replaced(const struct kv_store *store)
{
    return store->nodes != NULL || store->master != NULL;
}

#endif
