/*
 * A commit that was under way when the log began to run may be missing there; its revision had been
 * given out by then. So the walk begins once everything up to the newest revision of that moment is
 * committed.
 *
 * Between two pages of the walk the log is read up to its end, or for a number of pages; so it need
 * not reach back over the whole walk.
 */
#include "keyspace/backup.h"

#include <stdlib.h>

#include "base/mem.h"
#include "keyspace/loop.h"

enum {
    PAGE_KEYS = 256,
    PAGE_BYTES = 64 << 10,
    LOG_PAGES = 32, /* between two pages of the walk; each has fewer entries than those */
    TOUCH_BYTES = 16 << 20,
    RETRY_MS = 1
};

enum step {
    AWAITS_BEGIN, /* waits for commits that the log may lack */
    WALKS,
    FOLLOWS,    /* reads the log, between pages of the walk */
    AWAITS_END, /* waits for commits up to the revision of the backup */
    ENDS,       /* reads the log up to that revision */
};

struct kv_backup {
    const struct kv_backup_taker *taker;
    void *owner;
    struct kv_keyspace_loop *here;
    enum step step;
    bool is_walking; /* a page is being read, and frees the backup if it was closed */
    bool is_closed;
    uint32_t n_log_pages;
    uint64_t begin;    /* the log's changes come after this revision */
    uint64_t revision; /* of the backup; 0: not known yet */
    struct kv_buffer cursor;
    struct kv_log_read *read;
    struct kv_timer timer;
    struct kv_touch_watch touches;
};

static struct kv_feed *feed_of(const struct kv_backup *backup)
{
    return backup->here->inbox.feed;
}

bool kv_backup_is_possible(struct kv_keyspace_loop *here)
{
    return kv_log_reads_are_possible(&here->log_reads);
}

static void end(struct kv_backup *backup, int status)
{
    backup->taker->on_end(backup->owner, status, backup->revision);
}

static void pause(struct kv_backup *backup, enum step step)
{
    backup->step = step;
    backup->taker->on_pause(backup->owner);
}

/* ---- touches ---- */

/* Touches of states that are newer than the backup are left out. */
static void bring_touch(struct kv_backup *backup, const struct kv_touch *touch)
{
    if (backup->revision == 0 || touch->revision <= backup->revision)
        backup->taker->on_touch(backup->owner, touch->key, touch->revision, touch->deadline_ms);
}

/* Returns: false if some were lost. */
static bool bring_touches(struct kv_backup *backup)
{
    struct kv_touch touch;
    struct kv_buffer taken = {0};
    bool is_whole = kv_touches_take(&feed_of(backup)->touches, &backup->touches, &taken);
    for (size_t at = 0; kv_touches_read(&taken, &at, &touch);)
        bring_touch(backup, &touch);
    kv_buffer_fini(&taken);
    return is_whole;
}

/* ---- the log ---- */

static void bring_change(struct kv_backup *backup, const struct kv_log_entry *entry)
{
    if (entry->reason == KV_REASON_SET)
        backup->taker->on_state(backup->owner, entry->key, &entry->after);
    else
        backup->taker->on_gone(backup->owner, entry->key, entry->revision);
}

/* A change was left out because its key has changed again: the backup has to include the later
 * change. */
static void move_end(struct kv_backup *backup)
{
    if (!backup->read->has_left_out || backup->revision == 0)
        return;
    backup->read->has_left_out = false;
    backup->revision = kv_watermark_newest(&feed_of(backup)->watermark);
}

static void take_changes(struct kv_backup *backup)
{
    const struct kv_log_read *read = backup->read;
    move_end(backup);
    for (uint32_t i = 0; i < read->n; i++)
        if (backup->revision == 0 || read->entries[i].revision <= backup->revision)
            bring_change(backup, &read->entries[i]);
}

static bool is_committed(const struct kv_backup *backup, uint64_t revision)
{
    return kv_watermark_now(&feed_of(backup)->watermark) >= revision;
}

/* Continues between pages of the walk. */
static void go_on_walking(struct kv_backup *backup)
{
    bool is_enough = backup->read->is_last || ++backup->n_log_pages >= LOG_PAGES;
    pause(backup, is_enough ? WALKS : FOLLOWS);
}

/* The page is complete if it is the last, and was requested when everything was committed. */
static void finish_or_go_on(struct kv_backup *backup)
{
    if (backup->read->upto >= backup->revision || backup->read->is_last)
        end(backup, KV_OK);
    else
        pause(backup, ENDS);
}

static void on_log_page(struct kv_log_read *read)
{
    struct kv_backup *backup = read->owner;
    uint64_t revision = backup->revision;
    if (read->status != KV_OK) {
        end(backup, read->status);
        return;
    }
    take_changes(backup);
    if (!bring_touches(backup))
        end(backup, KV_FULL);
    else if (backup->step == FOLLOWS)
        go_on_walking(backup);
    else if (backup->revision != revision)
        pause(backup, AWAITS_END);
    else
        finish_or_go_on(backup);
}

/* ---- the walk ---- */

static void take_keys(struct kv_backup *backup, const struct kv_page *page)
{
    for (uint32_t i = 0; i < page->n; i++)
        backup->taker->on_state(backup->owner, page->entries[i].key, &page->entries[i].item);
    backup->cursor.len = 0;
    kv_buffer_append(&backup->cursor, kv_buffer_slice(&page->cursor));
}

static void take_page(struct kv_backup *backup, const struct kv_command *command)
{
    if (command->status != KV_OK) {
        end(backup, command->status);
        return;
    }
    take_keys(backup, command->page);
    backup->n_log_pages = 0;
    if (backup->cursor.len != 0) {
        pause(backup, FOLLOWS);
        return;
    }
    backup->revision = kv_watermark_newest(&feed_of(backup)->watermark);
    pause(backup, AWAITS_END);
}

static void destroy(struct kv_backup *backup)
{
    kv_buffer_fini(&backup->cursor);
    free(backup);
}

static void on_page(struct kv_command *command)
{
    struct kv_backup *backup = command->owner;
    backup->is_walking = false;
    if (backup->is_closed)
        destroy(backup);
    else
        take_page(backup, command);
}

static void walk(struct kv_backup *backup)
{
    struct kv_command *command = kv_command_create(backup->here, KV_COMMAND_SCAN);
    command->argument = kv_buffer_slice(&backup->cursor);
    command->page->max_keys = PAGE_KEYS;
    command->page->max_bytes = PAGE_BYTES;
    command->page->wants_values = true;
    command->owner = backup;
    command->finished = on_page;
    backup->is_walking = true;
    kv_keyspace_send(command);
}

/* ---- opening and closing ---- */

static void await(struct kv_backup *backup, uint64_t revision, enum step then)
{
    if (is_committed(backup, revision)) {
        backup->step = then;
        kv_backup_next(backup);
        return;
    }
    kv_timer_start(backup->here->loop, &backup->timer,
                   kv_loop_now_ms(backup->here->loop) + RETRY_MS);
}

static void on_timer(struct kv_timer *timer)
{
    kv_backup_next(KV_CONTAINER(timer, struct kv_backup, timer));
}

void kv_backup_next(struct kv_backup *backup)
{
    switch (backup->step) {
    case AWAITS_BEGIN:
        await(backup, backup->begin, WALKS);
        break;
    case WALKS:
        walk(backup);
        break;
    case AWAITS_END:
        await(backup, backup->revision, ENDS);
        break;
    case FOLLOWS:
    case ENDS:
        kv_log_read_next(backup->read, PAGE_BYTES);
        break;
    }
}

struct kv_backup *kv_backup_open(struct kv_keyspace_loop *here, const struct kv_backup_taker *taker,
                                 void *owner)
{
    struct kv_backup *backup = kv_calloc(1, sizeof(*backup));
    backup->taker = taker;
    backup->owner = owner;
    backup->here = here;
    backup->timer.fire = on_timer;
    kv_touches_watch(&feed_of(backup)->touches, &backup->touches, TOUCH_BYTES);
    kv_log_reads_join(&here->log_reads);
    backup->begin = kv_watermark_newest(&feed_of(backup)->watermark);
    backup->read = kv_log_read_open(&here->log_reads, backup->begin, (struct kv_slice){0}, true,
                                    backup, on_log_page);
    if (backup->read != NULL)
        return backup;
    kv_backup_close(backup);
    return NULL;
}

void kv_backup_close(struct kv_backup *backup)
{
    if (backup->read != NULL)
        kv_log_read_close(backup->read);
    kv_timer_stop(backup->here->loop, &backup->timer);
    kv_log_reads_leave(&backup->here->log_reads);
    kv_touches_unwatch(&feed_of(backup)->touches, &backup->touches);
    backup->is_closed = true;
    if (!backup->is_walking)
        destroy(backup);
}
