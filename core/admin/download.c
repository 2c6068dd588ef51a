/*
 * A part of the backup is requested when the peer has taken the previous one, so a download holds
 * one part. A peer that takes nothing, or too little, is disconnected like any other; a slower one
 * is limited only by the change log, which must reach back to the part that has been read.
 *
 * A long value, which is a part by itself, is sent in pieces, one per turn; the rest of its part
 * waits.
 *
 * A backup that fails ends with a line that gives the reason, instead of the last line.
 */
#include "admin/download.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "wire/json_string.h"

enum {
    SHORTEST_TICK_MS = 20,
    MOST_UNSENT = 64 << 10, /* below this, the next part is requested */
    LONG_VALUE = 256 << 10, /* longer values are sent in pieces */
    PIECE = 256 << 10,
    LARGEST_KEPT = 1 << 20 /* of the buffer */
};

static int64_t now_ms(const struct kv_download *download)
{
    return kv_loop_now_ms(download->here->loop);
}

static struct kv_channel *channel_of(const struct kv_download *download)
{
    return &download->connection->channel;
}

static void activate(struct kv_download *download)
{
    if (kv_list_is_empty(&download->in_active))
        kv_list_append(&download->here->active, &download->in_active);
}

/* ---- lines ---- */

/* A line that waits after a long value, or has one. */
struct line {
    struct kv_link link;
    struct kv_buffer front; /* the line up to the value, or the whole line */
    struct kv_held value;   /* long; its first `at` bytes have been sent */
    size_t at;
    struct kv_buffer back;
};

static int64_t unix_ms_of(const struct kv_download *download, int64_t deadline_ms)
{
    return deadline_ms == KV_NEVER ? 0 : deadline_ms + download->unix_ms_ahead;
}

static void send(struct kv_download *download, struct kv_buffer *text)
{
    kv_backup_sum_add(download->sum, kv_buffer_slice(text));
    kv_outbound_append(&download->out, kv_buffer_slice(text));
    text->len = 0;
}

static struct line *add_waiting(struct kv_download *download)
{
    struct line *line = kv_calloc(1, sizeof(*line));
    kv_queue_push(&download->waiting, &line->link);
    return line;
}

/* The text is a whole line, or the part before a long value. */
static void put_line(struct kv_download *download)
{
    download->n_lines++;
    if (kv_queue_is_empty(&download->waiting))
        send(download, &download->text);
    else
        kv_buffer_append(&add_waiting(download)->front, kv_buffer_slice(&download->text));
    download->text.len = 0;
}

/* A line feed in a value's white space would end the line. */
static void append_value(struct kv_buffer *out, struct kv_slice value)
{
    for (size_t run; (run = kv_line_value_run(value)) != value.len;) {
        kv_buffer_append(out, (struct kv_slice){value.bytes, run});
        kv_buffer_append_char(out, ' ');
        value = (struct kv_slice){value.bytes + run + 1, value.len - run - 1};
    }
    kv_buffer_append(out, value);
}

static void put_long_state(struct kv_download *download, const struct kv_item *state)
{
    struct line *line = add_waiting(download);
    kv_buffer_append(&line->front, kv_buffer_slice(&download->text));
    download->text.len = 0;
    line->value = kv_keyspace_hold(kv_keyspace_of(download->here->keyspace), state);
    kv_backup_line_append_back(&line->back, unix_ms_of(download, state->deadline_ms),
                               state->revision);
    download->n_lines++;
}

static void on_state(void *owner, struct kv_slice key, const struct kv_item *state)
{
    struct kv_download *download = owner;
    kv_line_append_front(&download->text, key);
    if (state->value.len > LONG_VALUE) {
        put_long_state(download, state);
        return;
    }
    append_value(&download->text, state->value);
    kv_backup_line_append_back(&download->text, unix_ms_of(download, state->deadline_ms),
                               state->revision);
    put_line(download);
}

static void on_gone(void *owner, struct kv_slice key, uint64_t revision)
{
    struct kv_download *download = owner;
    kv_backup_line_append_gone(&download->text, key, revision);
    put_line(download);
}

static void on_touch(void *owner, struct kv_slice key, uint64_t revision, int64_t deadline_ms)
{
    struct kv_download *download = owner;
    kv_backup_line_append_touch(&download->text, key, unix_ms_of(download, deadline_ms), revision);
    put_line(download);
}

static void on_pause(void *owner)
{
    struct kv_download *download = owner;
    download->is_paused = true;
    activate(download);
}

static void on_end(void *owner, int status, uint64_t revision)
{
    struct kv_download *download = owner;
    download->status = status;
    download->revision = revision;
    activate(download);
}

/* ---- sending ---- */

static void destroy_line(struct line *line)
{
    kv_buffer_fini(&line->front);
    kv_held_release(&line->value);
    kv_buffer_fini(&line->back);
    free(line);
}

static void drop_waiting(struct kv_download *download)
{
    for (struct kv_link *link; (link = kv_queue_pop(&download->waiting)) != NULL;)
        destroy_line(KV_CONTAINER(link, struct line, link));
}

/* Sends the next piece of a long value. Returns: whether it was the last. */
static bool send_piece(struct kv_download *download, struct line *line)
{
    struct kv_slice value = line->value.bytes;
    size_t left = value.len - line->at;
    size_t n = left < PIECE ? left : PIECE;
    append_value(&download->text, (struct kv_slice){value.bytes + line->at, n});
    send(download, &download->text);
    line->at += n;
    return n == left;
}

static void send_waiting(struct kv_download *download)
{
    struct line *line = KV_CONTAINER(download->waiting.head, struct line, link);
    if (line->front.len != 0)
        send(download, &line->front);
    if (line->value.bytes.len != 0 && !send_piece(download, line))
        return;
    send(download, &line->back);
    kv_queue_pop(&download->waiting);
    destroy_line(line);
}

static void send_end(struct kv_download *download)
{
    char sum[KV_BACKUP_SUM + 1];
    struct kv_keyspace *keyspace = kv_keyspace_of(download->here->keyspace);
    kv_backup_sum_print(download->sum, sum);
    kv_backup_line_append_end(
        &download->text, &(struct kv_backup_end){.revision = download->revision,
                                                 .epoch = kv_slice_of(kv_keyspace_epoch(keyspace)),
                                                 .n_lines = download->n_lines,
                                                 .sum = {sum, KV_BACKUP_SUM}});
}

static const char *why(int status)
{
    if (status == KV_TRIMMED)
        return "the change log does not reach back far enough: take the backup faster, or "
               "configure a larger `change_log`";
    if (status == KV_FULL)
        return "deadlines changed faster than the backup was taken, or another server may have "
               "changed "
               "some while the connection to the store was lost";
    return kv_command_status_text(status);
}

static void send_failure(struct kv_download *download)
{
    kv_log(KV_LOG_WARN, "server", "a backup has failed: %s", why(download->status));
    kv_buffer_append(&download->text, KV_SLICE("{\"error\":"));
    kv_json_append_string(&download->text, kv_slice_of(why(download->status)));
    kv_buffer_append(&download->text, KV_SLICE("}\n"));
}

static void finish(struct kv_download *download)
{
    if (download->status == KV_OK)
        send_end(download);
    else
        send_failure(download);
    kv_outbound_append(&download->out, kv_buffer_slice(&download->text));
    download->is_over = true;
}

static void ask(struct kv_download *download)
{
    download->is_paused = false;
    kv_buffer_trim(&download->text, LARGEST_KEPT);
    kv_backup_next(download->backup);
}

static void fill(struct kv_download *download)
{
    if (!kv_queue_is_empty(&download->waiting))
        send_waiting(download);
    else if (download->is_paused)
        ask(download);
    else if (download->status != KV_PENDING)
        finish(download);
}

/* Whether fill() would find something to do. */
static bool has_more(const struct kv_download *download)
{
    return !download->is_over && (!kv_queue_is_empty(&download->waiting) || download->is_paused ||
                                  download->status != KV_PENDING);
}

/* ---- opening and closing ---- */

/* Closes its connection as well. Call only from its channel, its timer or the stage. */
static void destroy(struct kv_download *download)
{
    kv_timer_stop(download->here->loop, &download->timer);
    kv_list_remove(&download->in_loop);
    kv_list_remove(&download->in_active);
    if (download->backup != NULL)
        kv_backup_close(download->backup);
    kv_connection_close(download->connection);
    kv_outbound_fini(&download->out);
    drop_waiting(download);
    kv_principal_unref(download->principal);
    kv_backup_sum_destroy(download->sum);
    kv_buffer_fini(&download->text);
    atomic_fetch_sub(download->here->n_taken, 1);
    free(download);
}

/* If there is nothing to do, the backup or the channel will activate it again. */
void kv_download_go_on(struct kv_download *download)
{
    kv_list_remove(&download->in_active);
    if (download->out.bytes <= MOST_UNSENT && !download->is_over)
        fill(download);
    kv_taking_write(&download->taking, &download->out, channel_of(download), now_ms(download));
    if (download->is_over && download->out.bytes == 0)
        destroy(download);
    else if (has_more(download) && download->out.bytes <= MOST_UNSENT)
        activate(download);
}

void kv_download_cut_off(struct kv_download *download)
{
    kv_connection_reset(download->connection);
    destroy(download);
}

/* The peer's input is discarded. */
static void on_read(void *user, enum kv_channel_event event)
{
    struct kv_download *download = user;
    size_t len;
    if (event != KV_CHANNEL_READY) {
        destroy(download);
        return;
    }
    kv_channel_input(channel_of(download), &len);
    kv_channel_consume(channel_of(download), len);
}

static void on_written(void *user, enum kv_channel_event event)
{
    struct kv_download *download = user;
    if (event != KV_CHANNEL_READY) {
        destroy(download);
        return;
    }
    kv_taking_written(&download->taking, &download->out, now_ms(download));
    activate(download);
}

static size_t holds(const void *user)
{
    const struct kv_download *download = user;
    return download->out.bytes;
}

static void account(const void *user, struct kv_connection_account *ret)
{
    const struct kv_download *download = user;
    ret->name = download->principal->name;
    ret->unsent = download->out.bytes;
}

static void give_way(void *user)
{
    kv_download_cut_off(user);
}

static void plan(struct kv_download *download)
{
    int64_t least = download->here->patience.stalled_reader_ms / 2;
    kv_timer_start(download->here->loop, &download->timer,
                   now_ms(download) + (least < SHORTEST_TICK_MS ? SHORTEST_TICK_MS : least));
}

static bool has_expired(const struct kv_download *download)
{
    return kv_principal_has_expired(download->principal, kv_wall_us() / 1000000);
}

static void on_timer(struct kv_timer *timer)
{
    struct kv_download *download = KV_CONTAINER(timer, struct kv_download, timer);
    if (has_expired(download) ||
        kv_taking_is_stalled(&download->taking, &download->out, channel_of(download),
                             &download->here->patience, now_ms(download)))
        kv_download_cut_off(download);
    else
        plan(download);
}

bool kv_download_is_allowed(struct kv_download *download)
{
    struct kv_principal *renewed =
        kv_access_renew(download->here->access, download->principal, kv_wall_us() / 1000000, NULL);
    if (renewed == NULL)
        return false;
    kv_principal_unref(download->principal);
    download->principal = renewed;
    return renewed->is_unlimited || (renewed->grants->admin & KV_ADMIN_BACKUP) != 0;
}

static const struct kv_protocol protocol = {.transport = KV_TRANSPORT_BACKUP,
                                            .account = account,
                                            .on_read = on_read,
                                            .on_written = on_written,
                                            .holds = holds,
                                            .give_way = give_way,
                                            .keeps_time = true};

static const struct kv_backup_taker taker = {.on_state = on_state,
                                             .on_gone = on_gone,
                                             .on_touch = on_touch,
                                             .on_pause = on_pause,
                                             .on_end = on_end};

void kv_download_open(struct kv_downloads_loop *here, struct kv_connection *connection,
                      struct kv_principal *principal)
{
    struct kv_download *download = kv_calloc(1, sizeof(*download));
    download->here = here;
    download->connection = connection;
    download->principal = kv_principal_ref(principal);
    download->sum = kv_backup_sum_create();
    download->unix_ms_ahead = kv_wall_us() / 1000 - kv_clock_now_ms(&kv_clock_boot);
    download->timer.fire = on_timer;
    kv_outbound_init(&download->out, &connection->among->chunks);
    kv_queue_init(&download->waiting);
    kv_list_init(&download->in_active);
    kv_list_append(&here->all, &download->in_loop);
    kv_connection_serve(connection, &protocol, download);
    kv_channel_read(&connection->channel, true);
    plan(download);
    download->backup = kv_backup_open(here->keyspace, &taker, download);
    if (download->backup == NULL)
        on_end(download, KV_NOT_OPEN, 0);
    else
        on_pause(download);
    if (!kv_access_is_current(here->access, principal) && !kv_download_is_allowed(download))
        kv_download_cut_off(download); /* it has lost the right during the hand-over */
}
