#include "admin/backups.h"

#include <stdlib.h>

#include "admin/download.h"
#include "base/mem.h"

struct kv_backups {
    _Atomic uint32_t n_taken;
    uint32_t n_loops;
    struct kv_downloads_loop loops[];
};

static void run_stage(struct kv_loop_stage *stage)
{
    struct kv_downloads_loop *here = KV_CONTAINER(stage, struct kv_downloads_loop, stage);
    KV_LIST_EACH(&here->active, link, after)
    kv_download_go_on(KV_CONTAINER(link, struct kv_download, in_active));
}

static int64_t stage_wake_at(struct kv_loop_stage *stage)
{
    struct kv_downloads_loop *here = KV_CONTAINER(stage, struct kv_downloads_loop, stage);
    return kv_list_is_empty(&here->active) ? INT64_MAX : INT64_MIN;
}

static void init_loop(struct kv_backups *backups, struct kv_access *access,
                      struct kv_keyspace *keyspace, uint32_t index, struct kv_loop *loop)
{
    struct kv_downloads_loop *here = &backups->loops[index];
    here->n_taken = &backups->n_taken;
    here->loop = loop;
    here->access = kv_access_on(access, index);
    here->keyspace = kv_keyspace_on(keyspace, index);
    here->stage.run = run_stage;
    here->stage.wake_at = stage_wake_at;
    kv_list_init(&here->all);
    kv_list_init(&here->active);
    kv_loop_add_stage(loop, &here->stage);
}

struct kv_backups *kv_backups_create(const struct kv_patience *patience, struct kv_access *access,
                                     struct kv_keyspace *keyspace, struct kv_loop *const *loops,
                                     uint32_t n_loops)
{
    struct kv_backups *backups =
        kv_calloc(1, sizeof(*backups) + n_loops * sizeof(struct kv_downloads_loop));
    backups->n_loops = n_loops;
    for (uint32_t i = 0; i < n_loops; i++) {
        backups->loops[i].patience = *patience;
        init_loop(backups, access, keyspace, i, loops[i]);
    }
    return backups;
}

bool kv_backups_enter(struct kv_backups *backups)
{
    if (atomic_fetch_add(&backups->n_taken, 1) < KV_BACKUPS_AT_ONCE)
        return true;
    kv_backups_leave(backups);
    return false;
}

void kv_backups_leave(struct kv_backups *backups)
{
    atomic_fetch_sub(&backups->n_taken, 1);
}

void kv_backups_open(struct kv_backups *backups, uint32_t loop, struct kv_connection *connection,
                     struct kv_principal *principal)
{
    kv_download_open(&backups->loops[loop], connection, principal);
}

void kv_backups_revise(struct kv_backups *backups, uint32_t loop)
{
    KV_LIST_EACH(&backups->loops[loop].all, link, after)
    {
        struct kv_download *download = KV_CONTAINER(link, struct kv_download, in_loop);
        if (!kv_download_is_allowed(download))
            kv_download_cut_off(download);
    }
}

void kv_backups_take_patience(struct kv_backups *backups, uint32_t loop,
                              const struct kv_patience *patience)
{
    backups->loops[loop].patience = *patience;
}

void kv_backups_abort(struct kv_backups *backups, uint32_t loop)
{
    KV_LIST_EACH(&backups->loops[loop].all, link, after)
    kv_download_cut_off(KV_CONTAINER(link, struct kv_download, in_loop));
}

void kv_backups_destroy(struct kv_backups *backups)
{
    free(backups);
}
