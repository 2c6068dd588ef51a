/*
 * Two threads: the keyspace's opener reads lines into chunks; the first event loop sends the lines
 * of a chunk to the store, and returns the chunk when all of them are finished. So reading,
 * checking and committing run in parallel; a durable store finds thousands of commands waiting and
 * commits them together; and as one loop sends everything, the last line of each key wins.
 *
 * Bounded: the number of chunks, and for long lines the number of bytes under way, but at least one
 * chunk is always allowed.
 */
#include "daemon/import.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/last_line.h"
#include "base/mem.h"
#include "daemon/line_reader.h"
#include "daemon/meter.h"
#include "daemon/restore.h"
#include "daemon/streams.h"
#include "wire/backup_line.h"

enum {
    CHUNKS = 8,
    CHUNK_LINES = 1024,
    CHUNK_BYTES = 1 << 20, /* then the chunk is sent: a longer line is the last of its chunk */
    UNDER_WAY_BYTES = 32 << 20,
    LAST_LINE_BYTES = 4096, /* ample for the last line of a backup */
    PEEK_BYTES = 64 << 10   /* as many as a pipe holds */
};

struct chunk;

/* A line: its key and value are adjacent in the chunk's bytes. */
struct item {
    struct chunk *chunk;
    uint64_t number;
    size_t key_len, value_len;
    int64_t ttl_ms;
    bool is_gone; /* the key is deleted */
};

/* Belongs to the loader; to the loop while it is posted. */
struct chunk {
    struct kv_import *import;
    struct kv_link link; /* in the list of idle chunks */
    struct kv_post post;
    struct kv_buffer bytes;
    uint32_t n_items;
    uint32_t n_open;   /* sent, and not finished */
    uint32_t n_loaded; /* finished, and in the store */
    struct item items[CHUNK_LINES];
};

/* The first line that the store refused; `number` 0: none. */
struct refusal {
    uint64_t number;
    int status;
};

struct kv_import {
    struct kv_loader loader;
    const char *name; /* for messages */
    const struct kv_config *config;
    bool is_backup;                   /* otherwise the lines are those of an export */
    bool is_mistaken;                 /* the lines have turned out to be those of a backup */
    struct kv_backup_touches touches; /* of the backup */
    bool is_stdin;
    int fd;
    int stop_fd;
    struct kv_line_limits limits;
    struct kv_keyspace_loop *target;

    /* for the loader's thread only */
    struct kv_line_reader reader;
    struct kv_buffer scratch;
    struct kv_meter meter;

    pthread_mutex_t lock; /* of all members below */
    pthread_cond_t given_back;
    struct kv_queue idle;
    uint32_t n_under_way; /* chunks */
    size_t bytes_under_way;
    uint64_t n_loaded;
    struct refusal refusal;
};

/* ---- on the loop ---- */

static void note_refusal(struct kv_import *import, uint64_t number, int status)
{
    pthread_mutex_lock(&import->lock);
    if (import->refusal.number == 0 || number < import->refusal.number)
        import->refusal = (struct refusal){.number = number, .status = status};
    pthread_mutex_unlock(&import->lock);
}

static void give_back(struct chunk *chunk)
{
    struct kv_import *import = chunk->import;
    pthread_mutex_lock(&import->lock);
    import->n_loaded += chunk->n_loaded;
    import->n_under_way--;
    import->bytes_under_way -= chunk->bytes.len;
    kv_queue_push(&import->idle, &chunk->link);
    pthread_cond_signal(&import->given_back);
    pthread_mutex_unlock(&import->lock);
}

static void on_finished(struct kv_command *command)
{
    const struct item *item = command->owner;
    struct chunk *chunk = item->chunk;
    bool is_gone = item->is_gone && (command->status == KV_OK || command->status == KV_MISSING);
    if (!item->is_gone && (command->status == KV_OK || command->status == KV_UNCHANGED))
        chunk->n_loaded++;
    else if (!is_gone)
        note_refusal(chunk->import, item->number, command->status);
    if (--chunk->n_open == 0)
        give_back(chunk);
}

static void send_item(struct item *item, const char *bytes)
{
    struct kv_command *command = kv_command_create(
        item->chunk->import->target, item->is_gone ? KV_COMMAND_DELETE : KV_COMMAND_SET);
    command->is_load = true;
    command->key = (struct kv_slice){bytes, item->key_len};
    command->value = (struct kv_slice){bytes + item->key_len, item->value_len};
    command->ttl_ms = item->ttl_ms;
    command->owner = item;
    command->finished = on_finished;
    kv_keyspace_send(command);
}

static void send_chunk(struct kv_post *post)
{
    struct chunk *chunk = KV_CONTAINER(post, struct chunk, post);
    const char *at = chunk->bytes.bytes;
    chunk->n_open = chunk->n_items;
    for (uint32_t i = 0; i < chunk->n_items; i++) {
        struct item *item = &chunk->items[i];
        send_item(item, at);
        at += item->key_len + item->value_len;
    }
}

/* ---- the loader: chunks ---- */

static void create_chunks(struct kv_import *import)
{
    kv_queue_init(&import->idle);
    for (int i = 0; i < CHUNKS; i++) {
        struct chunk *chunk = kv_calloc(1, sizeof(*chunk));
        chunk->import = import;
        chunk->post.run = send_chunk;
        kv_queue_push(&import->idle, &chunk->link);
    }
}

/* All chunks must be idle. */
static void destroy_chunks(struct kv_import *import)
{
    for (struct kv_link *link; (link = kv_queue_pop(&import->idle)) != NULL;) {
        struct chunk *chunk = KV_CONTAINER(link, struct chunk, link);
        kv_buffer_fini(&chunk->bytes);
        free(chunk);
    }
}

/* Waits for an idle chunk. Returns: NULL if the store has refused a line. */
static struct chunk *take_chunk(struct kv_import *import)
{
    pthread_mutex_lock(&import->lock);
    while (kv_queue_is_empty(&import->idle))
        pthread_cond_wait(&import->given_back, &import->lock);
    uint64_t n_loaded = import->n_loaded;
    struct kv_link *link = import->refusal.number == 0 ? kv_queue_pop(&import->idle) : NULL;
    pthread_mutex_unlock(&import->lock);
    kv_meter_set(&import->meter, n_loaded);
    if (link == NULL)
        return NULL;
    struct chunk *chunk = KV_CONTAINER(link, struct chunk, link);
    kv_buffer_trim(&chunk->bytes, (size_t)2 * CHUNK_BYTES);
    chunk->n_items = 0;
    chunk->n_loaded = 0;
    return chunk;
}

static void post_chunk(struct chunk *chunk)
{
    struct kv_import *import = chunk->import;
    pthread_mutex_lock(&import->lock);
    while (import->n_under_way != 0 && import->bytes_under_way + chunk->bytes.len > UNDER_WAY_BYTES)
        pthread_cond_wait(&import->given_back, &import->lock);
    import->n_under_way++;
    import->bytes_under_way += chunk->bytes.len;
    pthread_mutex_unlock(&import->lock);
    kv_loop_post(kv_keyspace_event_loop(import->target), &chunk->post);
}

/* For a chunk that got no lines. */
static void put_chunk_back(struct chunk *chunk)
{
    pthread_mutex_lock(&chunk->import->lock);
    kv_queue_push(&chunk->import->idle, &chunk->link);
    pthread_mutex_unlock(&chunk->import->lock);
}

static void wait_for_all(struct kv_import *import)
{
    pthread_mutex_lock(&import->lock);
    while (import->n_under_way != 0)
        pthread_cond_wait(&import->given_back, &import->lock);
    pthread_mutex_unlock(&import->lock);
    kv_meter_set(&import->meter, import->n_loaded);
}

/* is_gone: the line deletes the key. Returns: -1 and *reterr if there is no memory. */
static int add_line(struct chunk *chunk, const struct kv_line *line, bool is_gone,
                    struct kv_error *reterr)
{
    if (kv_buffer_try_reserve(&chunk->bytes, line->key.len + line->value.len) == NULL)
        return kv_error_set(reterr, "there is no memory to keep the line");
    kv_buffer_append(&chunk->bytes, line->key);
    kv_buffer_append(&chunk->bytes, line->value);
    chunk->items[chunk->n_items++] = (struct item){.chunk = chunk,
                                                   .number = chunk->import->reader.number,
                                                   .key_len = line->key.len,
                                                   .value_len = line->value.len,
                                                   .ttl_ms = line->ttl_ms,
                                                   .is_gone = is_gone};
    return 0;
}

/* ---- the loader: lines ---- */

/* Returns: the remaining TTL; below 1: it has expired. */
static int64_t ttl_of(int64_t deadline_unix_ms)
{
    return deadline_unix_ms - kv_wall_us() / 1000;
}

/* If the deadline of a state has passed, the key is deleted, as an earlier line may have written
 * it. */
static int add_backup_line(struct chunk *chunk, const struct kv_backup_line *backed_up,
                           struct kv_error *reterr)
{
    struct kv_line line = {.key = backed_up->key};
    int64_t deadline_unix_ms = kv_backup_touches_deadline(&chunk->import->touches, backed_up);
    bool is_gone = backed_up->kind == KV_BACKUP_GONE;
    if (deadline_unix_ms != 0) {
        line.ttl_ms = ttl_of(deadline_unix_ms);
        is_gone |= line.ttl_ms < 1;
    }
    if (!is_gone)
        line.value = backed_up->value;
    return add_line(chunk, &line, is_gone, reterr);
}

static int parse_backup_into(struct chunk *chunk, struct kv_slice text, struct kv_error *reterr)
{
    struct kv_import *import = chunk->import;
    struct kv_backup_line line;
    if (kv_backup_line_parse(text, &import->limits, &import->scratch, &line, reterr) != 0)
        return -1;
    if (line.kind == KV_BACKUP_TOUCH || line.kind == KV_BACKUP_END)
        return 0;
    return add_backup_line(chunk, &line, reterr);
}

static int parse_into(struct chunk *chunk, struct kv_slice text, struct kv_error *reterr)
{
    struct kv_import *import = chunk->import;
    struct kv_line line;
    if (import->is_backup)
        return parse_backup_into(chunk, text, reterr);
    if (kv_line_is_blank(text))
        return 0;
    int result = kv_line_parse(text, &import->limits, &import->scratch, &line, reterr);
    import->is_mistaken = result == KV_LINE_OF_BACKUP;
    if (result != 0)
        return -1;
    return add_line(chunk, &line, false, reterr);
}

/* Reads until the chunk is full, or reading ends. If the input is a backup, the lines before, which
 * may lack their deadlines, are not sent. */
static enum kv_line_status fill_chunk(struct chunk *chunk, struct kv_error *reterr)
{
    struct kv_line_reader *reader = &chunk->import->reader;
    struct kv_slice text;
    while (chunk->n_items < CHUNK_LINES && chunk->bytes.len < CHUNK_BYTES) {
        enum kv_line_status status = kv_line_reader_next(reader, &text, reterr);
        if (status != KV_LINE_READ)
            return status;
        if (parse_into(chunk, text, reterr) != 0) {
            chunk->n_items = chunk->import->is_mistaken ? 0 : chunk->n_items;
            return KV_LINE_REFUSED;
        }
    }
    return KV_LINE_READ;
}

/* Returns: KV_LINE_END, or the reason for an earlier end. */
static enum kv_line_status load_lines(struct kv_import *import, struct kv_error *reterr)
{
    enum kv_line_status status = KV_LINE_READ;
    struct chunk *chunk;
    while (status == KV_LINE_READ && (chunk = take_chunk(import)) != NULL) {
        status = fill_chunk(chunk, reterr);
        if (chunk->n_items != 0)
            post_chunk(chunk);
        else
            put_chunk_back(chunk);
    }
    wait_for_all(import);
    return status;
}

/* A line that the store refused comes before one that could not be read. */
static int judge(const struct kv_import *import, enum kv_line_status status,
                 const struct kv_error *error, struct kv_error *reterr)
{
    const struct refusal *refusal = &import->refusal;
    if (refusal->number != 0)
        return kv_error_set(reterr, "%s:%llu: %s", import->name,
                            (unsigned long long)refusal->number,
                            kv_command_status_text(refusal->status));
    if (status == KV_LINE_END)
        return 0;
    if (status == KV_LINE_STOPPED)
        return kv_error_set(reterr, "%s: interrupted before line %llu", import->name,
                            (unsigned long long)import->reader.number);
    if (import->is_mistaken)
        return kv_error_set(reterr, "%s:%llu: %.900s (--restore); %llu keys were imported before",
                            import->name, (unsigned long long)import->reader.number, error->text,
                            (unsigned long long)import->n_loaded);
    return kv_error_set(reterr, "%s:%llu: %.900s", import->name,
                        (unsigned long long)import->reader.number, error->text);
}

static int load(struct kv_loader *loader, struct kv_keyspace *keyspace, struct kv_error *reterr)
{
    struct kv_import *import = KV_CONTAINER(loader, struct kv_import, loader);
    struct kv_error error;
    import->target = kv_keyspace_on(keyspace, 0);
    import->reader = (struct kv_line_reader){.fd = import->fd,
                                             .stop_fd = import->stop_fd,
                                             .max_bytes = kv_line_max_bytes(&import->limits)};
    create_chunks(import);
    kv_meter_start(&import->meter, import->is_backup ? "restored" : "imported", true);
    enum kv_line_status status = load_lines(import, &error);
    int result = judge(import, status, &error, reterr);
    if (result == 0 || import->n_loaded != 0)
        kv_meter_finish(&import->meter);
    else
        kv_meter_erase(&import->meter);
    destroy_chunks(import);
    kv_line_reader_fini(&import->reader);
    kv_buffer_fini(&import->scratch);
    return result;
}

/* ---- opening and closing ---- */

/* Duplicates the descriptor, so that it can be closed like a file's. */
static int open_standard_input(struct kv_error *reterr)
{
    if (!kv_streams_have_input())
        return kv_error_set(reterr, "the standard input is closed");
    int fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0);
    return fd >= 0 ? fd : kv_error_set(reterr, "standard input: %s", strerror(errno));
}

static int open_file(const char *path, struct kv_error *reterr)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return kv_error_set(reterr, "%s: %s", path, strerror(errno));
    if (fstat(fd, &status) != 0 || !S_ISDIR(status.st_mode))
        return fd;
    close(fd);
    return kv_error_set(reterr, "%s: %s", path, strerror(EISDIR));
}

static struct kv_import *open_import(const char *path, const struct kv_config *config,
                                     struct kv_error *reterr)
{
    bool is_stdin = strcmp(path, "-") == 0;
    int fd = is_stdin ? open_standard_input(reterr) : open_file(path, reterr);
    if (fd < 0)
        return NULL;
    int stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (stop_fd < 0) {
        kv_error_set(reterr, "cannot make an event descriptor: %s", strerror(errno));
        close(fd);
        return NULL;
    }
    struct kv_import *import = kv_calloc(1, sizeof(*import));
    import->loader.load = load;
    import->is_stdin = is_stdin;
    import->name = is_stdin ? "standard input" : path;
    import->config = config;
    import->fd = fd;
    import->stop_fd = stop_fd;
    import->limits =
        (struct kv_line_limits){.max_depth = config->http.limits.max_depth,
                                .max_key_bytes = config->http.limits.max_key_bytes,
                                .max_value_bytes = config->http.limits.max_value_bytes};
    pthread_mutex_init(&import->lock, NULL);
    pthread_cond_init(&import->given_back, NULL);
    return import;
}

/* A backup may have no line before its last one that tells it from an export. */
static int refuse_backup(const struct kv_import *import, struct kv_error *reterr)
{
    char room[LAST_LINE_BYTES];
    if (!kv_backup_line_is_last(kv_last_line_read(import->fd, room, sizeof(room))))
        return 0;
    return kv_error_set(reterr,
                        "%s:1: this is a backup, which is restored, not imported (--restore); "
                        "nothing was imported",
                        import->name);
}

/* Reads the beginning of the input, without consuming it. Waits for input from a pipe. Returns: the
 * number of bytes; 0 or less: the beginning is not available. */
static ssize_t peek(int fd, char *room, size_t capacity)
{
    int copy[2];
    off_t at = lseek(fd, 0, SEEK_CUR);
    if (at >= 0)
        return pread(fd, room, capacity, at);
    if (pipe2(copy, O_CLOEXEC) != 0)
        return -1;
    ssize_t n = tee(fd, copy[1], capacity, 0);
    if (n > 0)
        n = read(copy[0], room, (size_t)n);
    close(copy[0]);
    close(copy[1]);
    return n;
}

/* Returns: the number of the first line that only a backup has; 0: none. Other faults are left to
 * the loader, as is the last line, which may be incomplete. */
static uint64_t find_backup_line(struct kv_import *import, struct kv_slice text)
{
    struct kv_line line;
    struct kv_error error;
    uint64_t number = 1;
    for (const char *end; (end = memchr(text.bytes, '\n', text.len)) != NULL; number++) {
        size_t len = (size_t)(end - text.bytes);
        if (kv_line_parse((struct kv_slice){text.bytes, len}, &import->limits, &import->scratch,
                          &line, &error) == KV_LINE_OF_BACKUP)
            return number;
        text = (struct kv_slice){end + 1, text.len - len - 1};
    }
    return 0;
}

int kv_import_refuse_backup_ahead(struct kv_import *import, struct kv_error *reterr)
{
    char *room = kv_alloc(PEEK_BYTES);
    ssize_t n = peek(import->fd, room, PEEK_BYTES);
    uint64_t number = n > 0 ? find_backup_line(import, (struct kv_slice){room, (size_t)n}) : 0;
    kv_buffer_fini(&import->scratch);
    free(room);
    if (number == 0)
        return 0;
    return kv_error_set(reterr,
                        "%s:%llu: this is a backup, which is restored, not imported (--restore); "
                        "nothing was imported",
                        import->name, (unsigned long long)number);
}

struct kv_import *kv_import_open(const char *path, const struct kv_config *config,
                                 struct kv_error *reterr)
{
    struct kv_import *import = open_import(path, config, reterr);
    if (import == NULL || refuse_backup(import, reterr) == 0)
        return import;
    kv_import_close(import);
    return NULL;
}

static int prepare_restore(struct kv_import *import, struct kv_error *reterr)
{
    if (kv_restore_demand_new_store(import->config, reterr) != 0)
        return -1;
    import->is_backup = true;
    return kv_restore_check(import->fd, import->name, &import->limits, &import->touches, NULL,
                            reterr);
}

struct kv_import *kv_import_open_backup(const char *path, const struct kv_config *config,
                                        struct kv_error *reterr)
{
    struct kv_import *import = open_import(path, config, reterr);
    if (import == NULL || prepare_restore(import, reterr) == 0)
        return import;
    kv_import_close(import);
    return NULL;
}

/* Nothing is consumed, so the loader gets everything. A device that cannot report how much it has
 * is assumed to have something. */
bool kv_import_has_input(const struct kv_import *import)
{
    struct pollfd input = {.fd = import->fd, .events = POLLIN};
    int n_bytes;
    if (!import->is_stdin)
        return true;
    while (poll(&input, 1, -1) < 0 && errno == EINTR)
        continue;
    if ((input.revents & POLLIN) == 0)
        return false; /* the other end is closed */
    return ioctl(import->fd, FIONREAD, &n_bytes) != 0 || n_bytes != 0;
}

struct kv_loader *kv_import_loader(struct kv_import *import)
{
    return &import->loader;
}

void kv_import_stop(struct kv_import *import)
{
    uint64_t one = 1;
    ssize_t written = write(import->stop_fd, &one, sizeof(one));
    (void)written; /* it fails only if the counter is full, and then the descriptor is readable */
}

void kv_import_close(struct kv_import *import)
{
    if (import == NULL)
        return;
    pthread_cond_destroy(&import->given_back);
    pthread_mutex_destroy(&import->lock);
    close(import->fd);
    close(import->stop_fd);
    kv_backup_touches_fini(&import->touches);
    free(import);
}
