/*
 * A backup being sent to its peer.
 */
#ifndef KV_ADMIN_DOWNLOAD_H
#define KV_ADMIN_DOWNLOAD_H

#include "access/access.h"
#include "base/buffer.h"
#include "keyspace/backup.h"
#include "net/taking.h"
#include "wire/backup_sum.h"

/* Shared by the downloads of one loop. */
struct kv_downloads_loop {
    struct kv_patience patience; /* a copy: other loops change theirs at other times */
    _Atomic uint32_t *n_taken;   /* places in use on all loops */
    struct kv_loop *loop;
    struct kv_access_loop *access;
    struct kv_keyspace_loop *keyspace;
    struct kv_list all;
    struct kv_list active; /* those with work for the stage */
    struct kv_loop_stage stage;
};

struct kv_download {
    struct kv_list in_loop;
    struct kv_list in_active;
    struct kv_downloads_loop *here;
    struct kv_connection *connection;
    struct kv_principal *principal; /* held */
    struct kv_backup *backup;       /* NULL: there was no memory for it */
    bool is_paused;                 /* the next part has to be requested */
    int status;                     /* KV_PENDING: the backup has not ended */
    uint64_t revision;              /* of the backup, when it has ended */
    bool is_over;                   /* nothing more comes: closes when all is sent */
    int64_t unix_ms_ahead; /* difference between the wall clock and the keyspace's clock at the
                              beginning */
    uint64_t n_lines;
    struct kv_backup_sum *sum;
    struct kv_buffer text;   /* the line being written */
    struct kv_queue waiting; /* lines from the first whose long value is not sent completely */
    struct kv_outbound out;
    struct kv_taking taking;
    struct kv_timer timer;
};

void kv_download_open(struct kv_downloads_loop *here, struct kv_connection *connection,
                      struct kv_principal *principal);

/* Aborts the backup and closes its connection, so that the peer sees that it is incomplete. Call
 * only from its channel, its timer or the stage. */
void kv_download_cut_off(struct kv_download *download);

/* The stage's work; may destroy it. */
void kv_download_go_on(struct kv_download *download);

/* Whether its principal still has the right. */
bool kv_download_is_allowed(struct kv_download *download);

#endif
