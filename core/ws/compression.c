/*
 * The compressed forms of a piece are kept with it (kv_piece_set_form), so they are made only once
 * for all connections, and are freed with it. A form that a worker makes exists at once, as a
 * deferred piece. If the workers have enough jobs, or memory is short, a long text is sent
 * uncompressed: compression never waits in a queue.
 */
#include "ws/compression.h"

#include <stdlib.h>

#include "base/mem.h"
#include "ws/frames.h"

enum {
    LARGEST_KEPT = 1 << 16,
    MOST_JOBS = 8 /* of one loop, with the workers */
};

struct compressing {
    struct kv_job job;
    struct kv_list in_jobs;
    struct kv_compression *compression;
    struct kv_piece *original; /* held, and so are the parts, which are its text */
    struct kv_piece *deferred; /* held */
    enum kv_deflate_form form;
    struct kv_slice parts[KV_PIECE_PARTS];
    size_t n_parts;
    size_t len;
    struct kv_charge charge;
    struct kv_buffer out;
    bool is_shorter;
};

void kv_compression_init(struct kv_compression *compression, struct kv_workers *workers,
                         struct kv_loop *loop, struct kv_tally *tally,
                         void (*on_settled)(struct kv_compression *compression))
{
    *compression = (struct kv_compression){
        .workers = workers, .loop = loop, .tally = tally, .on_settled = on_settled};
    kv_list_init(&compression->jobs);
}

static void count(struct kv_compression *compression, size_t plain, size_t deflated)
{
    kv_counter_add(&compression->n_plain, plain);
    kv_counter_add(&compression->n_deflated, deflated);
}

bool kv_compression_run(struct kv_compression *compression, enum kv_deflate_form form,
                        const struct kv_slice *parts, size_t n, struct kv_slice *ret)
{
    size_t len = 0;
    if (compression->deflater == NULL)
        compression->deflater = kv_deflater_create();
    if (!kv_deflate(compression->deflater, form, parts, n, &compression->text))
        return false;
    for (size_t i = 0; i < n; i++)
        len += parts[i].len;
    *ret = kv_buffer_slice(&compression->text);
    count(compression, len, ret->len);
    return true;
}

/* ---- on a worker ---- */

static void compress_on_worker(struct kv_job *job)
{
    struct compressing *self = KV_CONTAINER(job, struct compressing, job);
    struct kv_deflater *deflater = kv_deflater_create();
    self->is_shorter = kv_deflate(deflater, self->form, self->parts, self->n_parts, &self->out);
    kv_deflater_destroy(deflater);
    if (self->is_shorter)
        kv_buffer_fit(&self->out);
}

static void free_text(void *owner, void *text)
{
    (void)owner;
    free(text);
}

/* Makes the frame for a worker's result. Takes the result over. */
static struct kv_piece *frame_result(struct compressing *self)
{
    struct kv_held text = {
        .bytes = kv_buffer_slice(&self->out), .ref = self->out.bytes, .release = free_text};
    self->out = (struct kv_buffer){0};
    return kv_frames_shared_deflated(self->compression->tally, text);
}

static void settle(struct compressing *self)
{
    if (!self->is_shorter) {
        kv_piece_set_form(self->original, self->form, self->original);
        kv_piece_settle(self->deferred, NULL);
        return;
    }
    count(self->compression, self->len, self->out.len);
    struct kv_piece *made = frame_result(self);
    kv_piece_set_form(self->original, self->form, kv_piece_ref(made));
    kv_piece_settle(self->deferred, made);
}

static void finish(struct compressing *self)
{
    settle(self);
    kv_list_remove(&self->in_jobs);
    self->compression->n_jobs--;
    kv_charge_set(&self->charge, 0);
    kv_piece_unref(self->deferred);
    kv_piece_unref(self->original);
    kv_buffer_fini(&self->out);
    free(self);
}

static void on_compressed(struct kv_job *job)
{
    struct compressing *self = KV_CONTAINER(job, struct compressing, job);
    struct kv_compression *compression = self->compression;
    finish(self);
    compression->on_settled(compression);
}

static struct kv_piece *compress_elsewhere(struct kv_compression *compression,
                                           struct kv_piece *piece, enum kv_deflate_form form)
{
    struct compressing *self = kv_calloc(1, sizeof(*self));
    self->compression = compression;
    self->original = kv_piece_ref(piece);
    self->deferred = kv_piece_defer(piece);
    self->form = form;
    self->n_parts = kv_frames_text_of(piece, self->parts, &self->len);
    self->charge.tally = compression->tally;
    kv_charge_set(&self->charge, self->len + KV_DEFLATER_BYTES);
    kv_list_append(&compression->jobs, &self->in_jobs);
    compression->n_jobs++;
    self->job.work = compress_on_worker;
    self->job.done = on_compressed;
    self->job.bytes = self->len;
    struct kv_piece *deferred = kv_piece_ref(self->deferred);
    kv_workers_run(compression->workers, compression->loop, &self->job);
    return deferred;
}

/* ---- pieces ---- */

/* Returns: NULL if compressing the piece is not worthwhile. */
static struct kv_piece *make_form(struct kv_compression *compression, struct kv_piece *piece,
                                  enum kv_deflate_form form)
{
    struct kv_slice parts[KV_PIECE_PARTS], text;
    size_t len;
    size_t n = kv_frames_text_of(piece, parts, &len);
    if (len <= KV_COMPRESSION_LONGEST)
        return kv_compression_run(compression, form, parts, n, &text)
                   ? kv_frames_shared_deflated(compression->tally, (struct kv_held){.bytes = text})
                   : NULL;
    if (compression->n_jobs == MOST_JOBS || kv_tally_left(compression->tally) < 2 * len)
        return NULL;
    return compress_elsewhere(compression, piece, form);
}

struct kv_piece *kv_compression_of(struct kv_compression *compression, struct kv_piece *piece,
                                   enum kv_deflate_form form)
{
    if (kv_piece_form(piece, form) == NULL) {
        struct kv_piece *made = make_form(compression, piece, form);
        kv_piece_set_form(piece, form, made == NULL ? piece : made);
    }
    return kv_piece_form(piece, form);
}

void kv_compression_trim(struct kv_compression *compression)
{
    kv_buffer_trim(&compression->text, LARGEST_KEPT);
}

void kv_compression_fini(struct kv_compression *compression)
{
    KV_LIST_EACH(&compression->jobs, link, after)
    finish(KV_CONTAINER(link, struct compressing, in_jobs));
    kv_deflater_destroy(compression->deflater);
    kv_buffer_fini(&compression->text);
}
