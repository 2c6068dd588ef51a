/*
 * `/batch`: messages as on a WebSocket, and their answers, in one request. All messages are read
 * before the first is sent, so a body that is not an array of JSON has no effect. Then a limited
 * number of commands are under way at a time, in the order of the connection's client, and each
 * answer is appended when its command is handed back.
 *
 * Workers do everything whose duration depends on the length of values: they copy the values to
 * write before these are sent, and insert the values that were read between the answers at the end.
 */
#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"
#include "http/resource.h"
#include "protocol/hello.h"
#include "protocol/outcome.h"
#include "protocol/reply.h"
#include "protocol/translate.h"
#include "wire/json.h"

enum {
    MOST_UNDER_WAY = 64,
    NO_ROOM = 503,                  /* the status of an omitted answer: another batch may get it */
    MOST_BYTES_UNDER_WAY = 1 << 20, /* of values to write; one more may exceed it */
    LONG_ANSWER = 1 << 20,          /* longer values are not copied by the loop */
    MOST_ANSWER_BYTES = 16 << 20    /* beyond this no more values are included */
};

static const char TOO_LONG[] =
    "the answers before this one have 16 MiB: ask for it in another batch";
static const char NO_MEMORY[] =
    "the memory of all connections is used up: ask for it in another batch, later";

/* A message, or its answer if it is invalid. */
struct item {
    struct kv_message message;
    size_t text_at; /* in `texts`: of that answer, or of the key if it had escapes */
    size_t text_len;
    bool is_wrong;
    bool key_is_decoded;
};

/* A long value to insert into the answers. */
struct long_value {
    size_t at; /* offset in `out` */
    struct kv_held value;
};

/* Belongs to the exchange. */
struct batch {
    struct kv_exchange *exchange;
    struct kv_slice body;
    struct item *items;
    size_t n;
    struct kv_http_limits limits; /* as of the batch's arrival: a worker may not read the loop's */
    struct kv_buffer texts;
    struct kv_buffer scratch;
    struct kv_answer refusal; /* status 0: the body can be read */
    struct kv_error why;
    bool is_on_worker;
    struct kv_job job;
    bool is_staged;        /* of the next message to send, if possible */
    struct kv_item staged; /* the copy of its value; all zero: none */
    size_t n_counted;      /* counted by the rates */
    size_t n_sent;
    size_t n_answered;
    size_t bytes_sent; /* of values, since commands were last under way */
    bool is_merging;   /* a merge is under way, and nothing else */
    bool is_sending;   /* the sending loop is running */
    struct kv_buffer out;
    struct long_value *long_values;
    size_t n_long;
    size_t long_bytes;
    struct kv_buffer whole;  /* all answers, if some are long */
    struct kv_charge charge; /* for the bytes of `whole` */
};

static void dispose(void *memory)
{
    struct batch *batch = memory;
    assert(!batch->is_on_worker);
    for (size_t i = 0; i < batch->n_long; i++)
        kv_held_release(&batch->long_values[i].value);
    free(batch->long_values);
    kv_keyspace_release(batch->exchange->here->keyspace, &batch->staged);
    kv_buffer_fini(&batch->whole);
    free(batch->items);
    kv_buffer_fini(&batch->texts);
    kv_buffer_fini(&batch->scratch);
    kv_buffer_fini(&batch->out);
    kv_charge_set(&batch->charge, 0);
}

/* The batch stays alive meanwhile: its carrier does not read a connection that waits for an
 * answer. */
static void give_to_worker(struct batch *batch, void (*work)(struct kv_job *job),
                           void (*done)(struct kv_job *job), size_t bytes)
{
    struct kv_http_context *here = batch->exchange->here;
    batch->is_on_worker = true;
    batch->job.work = work;
    batch->job.done = done;
    batch->job.bytes = bytes;
    kv_workers_run(here->workers, here->loop, &batch->job);
}

/* ---- reading, on any thread ---- */

static struct kv_translation_limits limits_of(const struct batch *batch)
{
    return (struct kv_translation_limits){.max_key_bytes = batch->limits.max_key_bytes,
                                          .max_value_bytes = batch->limits.max_value_bytes};
}

static void keep_text(struct batch *batch, struct item *item, size_t at)
{
    item->text_at = at;
    item->text_len = batch->texts.len - at;
}

static void make_wrong(struct batch *batch, struct item *item, int status, const char *why)
{
    size_t at = batch->texts.len;
    kv_reply_write_error(&batch->texts, item->message.id, status, why);
    keep_text(batch, item, at);
    item->is_wrong = true;
}

/* Copies the key, as the scratch buffer is reused for the next message. */
static void keep_key(struct batch *batch, struct item *item)
{
    size_t at = batch->texts.len;
    kv_buffer_append(&batch->texts, item->message.key);
    keep_text(batch, item, at);
    item->key_is_decoded = true;
}

static int check_type(const struct kv_message *message, struct kv_error *reterr)
{
    if (message->type == KV_MESSAGE_AUTH)
        return kv_error_set(reterr, "a batch has the token in its Authorization");
    if (message->type == KV_MESSAGE_SUBSCRIBE || message->type == KV_MESSAGE_UNSUBSCRIBE ||
        message->while_connected)
        return kv_error_set(reterr, "a batch cannot subscribe or hold a lease: that needs a "
                                    "WebSocket");
    return 0;
}

/* Returns: 0, or the status of HTTP and *reterr. */
static int parse(struct batch *batch, struct kv_slice text, struct kv_message *ret,
                 struct kv_error *reterr)
{
    const struct kv_message_limits limits = {.max_depth = batch->limits.max_depth + 2,
                                             .max_key_bytes = batch->limits.max_key_bytes};
    const struct kv_translation_limits lengths = limits_of(batch);
    if (kv_message_parse(text, &limits, &batch->scratch, ret, reterr) != 0 ||
        check_type(ret, reterr) != 0)
        return 400;
    return kv_translation_check(ret, &lengths, reterr);
}

static void read_message(struct batch *batch, struct kv_slice text, struct item *item)
{
    struct kv_error error;
    int status = parse(batch, text, &item->message, &error);
    if (status != 0)
        make_wrong(batch, item, status, error.text);
    else if (batch->scratch.len != 0)
        keep_key(batch, item);
}

static void refuse(struct batch *batch, int status)
{
    batch->refusal = (struct kv_answer){.status = status};
}

/* Returns: whether the body is an array of JSON with a permitted number of elements. */
static bool count_messages(struct batch *batch)
{
    uint32_t depth = batch->limits.max_depth + 3;
    struct kv_slice array, element;
    struct kv_json_error bad;
    size_t at = 0;
    refuse(batch, 400);
    if (kv_json_check(batch->body, depth, &array, &bad) != 0)
        return kv_json_error_tell(&bad, &batch->why) == 0;
    if (kv_json_type_of(array) != KV_JSON_ARRAY)
        return kv_error_set(&batch->why, "the body must be an array of messages, not %s",
                            kv_json_type_name(kv_json_type_of(array))) == 0;
    batch->body = array;
    while (kv_json_read_array(array, depth, &at, &element, &bad) == 1)
        batch->n++;
    if (batch->n > batch->limits.max_batch) {
        refuse(batch, 413);
        return kv_error_set(&batch->why, "the batch has %zu messages, the limit is %u", batch->n,
                            batch->limits.max_batch) == 0;
    }
    return true;
}

static void read_batch(struct batch *batch)
{
    uint32_t depth = batch->limits.max_depth + 3;
    struct kv_slice element;
    struct kv_json_error bad;
    size_t at = 0;
    if (!count_messages(batch))
        return;
    batch->items = calloc(batch->n + 1, sizeof(*batch->items));
    if (batch->items == NULL) {
        refuse(batch, 507);
        kv_error_set(&batch->why, "there is no memory for the batch");
        return;
    }
    for (size_t i = 0; kv_json_read_array(batch->body, depth, &at, &element, &bad) == 1; i++)
        read_message(batch, element, &batch->items[i]);
    refuse(batch, 0);
}

/* ---- answers ---- */

/* Checks whether a value of `len` bytes may follow `before` bytes of answers. Returns: NULL, or the
 * reason why not. */
static const char *why_no_value(const struct batch *batch, size_t before, size_t len)
{
    if (before >= MOST_ANSWER_BYTES)
        return TOO_LONG;
    return before + len > kv_tally_allowance(batch->charge.tally, SIZE_MAX) ? NO_MEMORY : NULL;
}

/* The bytes of all answers so far. */
static size_t answers_len(const struct batch *batch)
{
    return batch->out.len + batch->long_bytes;
}

/* Holds a reference to the value until it is inserted. */
static void hold_value(struct batch *batch, const struct kv_item *item)
{
    struct kv_keyspace *keyspace = batch->exchange->here->keyspace;
    size_t n = batch->n_long++;
    batch->long_values =
        kv_realloc(batch->long_values, batch->n_long * sizeof(*batch->long_values));
    batch->long_values[n] =
        (struct long_value){.at = batch->out.len, .value = kv_keyspace_hold(keyspace, item)};
    batch->long_bytes += item->value.len;
}

/* Returns: false if there is no memory. */
static bool put_value(struct batch *batch, const struct kv_command *command, struct kv_slice value)
{
    if (command->item.ref != NULL && value.len >= LONG_ANSWER) {
        hold_value(batch, &command->item);
        return true;
    }
    if (kv_buffer_try_reserve(&batch->out, value.len + KV_REPLY_END.len) == NULL)
        return false;
    kv_buffer_append(&batch->out, value);
    return true;
}

/* begin: the beginning of the answer. */
static void append_value(struct batch *batch, const struct kv_command *command, size_t begin,
                         struct kv_slice value)
{
    struct kv_buffer *out = &batch->out;
    const char *why = command->kind == KV_COMMAND_GET
                          ? why_no_value(batch, begin + batch->long_bytes, value.len)
                          : NULL;
    if (why == NULL && put_value(batch, command, value)) {
        kv_buffer_append(out, KV_REPLY_END);
        return;
    }
    out->len = begin;
    kv_reply_write_error(out, command->note, NO_ROOM,
                         why != NULL ? why : "there is no memory for the value");
}

static void append_answer(struct batch *batch, const struct kv_command *command)
{
    struct kv_buffer *out = &batch->out;
    struct kv_slice value;
    kv_buffer_append_char(out, out->len == 0 ? '[' : ',');
    size_t begin = out->len;
    if (command->kind == KV_COMMAND_NOTE) {
        kv_buffer_append(out, command->note);
        return;
    }
    switch (kv_reply_write(out, command, &value)) {
    case KV_REPLY_NONE:
        kv_buffer_append(out, KV_SLICE("null"));
        break;
    case KV_REPLY_TEXT:
        break;
    case KV_REPLY_VALUE:
        append_value(batch, command, begin, value);
    }
}

/* Sends the text as the answer; may free the batch. */
static void answer_with(struct batch *batch, struct kv_buffer *text)
{
    struct kv_buffer given = *text;
    *text = (struct kv_buffer){0};
    kv_charge_set(&batch->charge, 0);
    kv_exchange_answer_with(batch->exchange, (struct kv_answer){.status = 200}, &given);
}

/* Inserts the long values between the answers. */
static void assemble_on_worker(struct kv_job *job)
{
    struct batch *batch = KV_CONTAINER(job, struct batch, job);
    const struct kv_buffer *out = &batch->out;
    struct kv_buffer *whole = &batch->whole;
    size_t at = 0;
    if (kv_buffer_try_reserve(whole, answers_len(batch)) == NULL)
        return;
    for (size_t i = 0; i < batch->n_long; i++) {
        const struct long_value *next = &batch->long_values[i];
        kv_buffer_append(whole, (struct kv_slice){out->bytes + at, next->at - at});
        kv_buffer_append(whole, next->value.bytes);
        at = next->at;
    }
    kv_buffer_append(whole, (struct kv_slice){out->bytes + at, out->len - at});
}

static void on_assembled(struct kv_job *job)
{
    struct batch *batch = KV_CONTAINER(job, struct batch, job);
    batch->is_on_worker = false;
    if (batch->whole.len != 0)
        answer_with(batch, &batch->whole);
    else
        kv_exchange_refuse(batch->exchange, (struct kv_answer){.status = 507},
                           "there is no memory for the answers");
}

static void answer(struct batch *batch)
{
    struct kv_buffer *out = &batch->out;
    kv_buffer_append(out, out->len == 0 ? KV_SLICE("[]") : KV_SLICE("]"));
    if (batch->n_long == 0) {
        answer_with(batch, out);
        return;
    }
    kv_charge_set(&batch->charge, out->capacity + answers_len(batch));
    give_to_worker(batch, assemble_on_worker, on_assembled, answers_len(batch));
}

/* ---- sending ---- */

static void go_on(struct batch *batch);

static void log_item(const struct kv_exchange *exchange, const struct kv_command *command)
{
    const struct kv_logged_request logged = kv_logged_request_of("batch", command);
    kv_request_log_write(&logged, exchange->client);
}

static void on_finished(struct kv_command *command)
{
    struct kv_exchange *exchange = command->owner;
    struct batch *batch = exchange->kept;
    if (command->kind != KV_COMMAND_NOTE && kv_request_lot_draw(&exchange->here->lot))
        log_item(exchange, command);
    append_answer(batch, command);
    kv_charge_set(&batch->charge, batch->out.capacity + batch->long_bytes);
    batch->n_answered++;
    batch->is_merging = false;
    if (!batch->is_sending)
        go_on(batch);
}

static void send_note(struct batch *batch, struct kv_slice text)
{
    struct kv_command *note =
        kv_command_create(batch->exchange->here->keyspace_loop, KV_COMMAND_NOTE);
    note->note = text;
    kv_exchange_send(batch->exchange, note, on_finished);
}

/* Sends the text in `scratch`, in which the next one will be written. */
static void send_scratch(struct batch *batch)
{
    struct kv_command *note =
        kv_command_create(batch->exchange->here->keyspace_loop, KV_COMMAND_NOTE);
    note->note = kv_buffer_slice(&batch->scratch);
    if (kv_command_keep(note) != 0)
        note->note = KV_SLICE("null");
    kv_exchange_send(batch->exchange, note, on_finished);
}

static void send_hello(struct batch *batch, struct kv_slice id)
{
    const struct kv_http_context *here = batch->exchange->here;
    batch->scratch.len = 0;
    kv_hello_write(&batch->scratch, id, &here->config->limits.hello, here->keyspace,
                   batch->exchange->client->principal);
    send_scratch(batch);
}

static void send_error(struct batch *batch, const struct item *item, int status, const char *why)
{
    batch->scratch.len = 0;
    kv_reply_write_error(&batch->scratch, item->message.id, status, why);
    send_scratch(batch);
}

static void send_excess(struct batch *batch, const struct item *item,
                        const struct kv_excess *excess)
{
    struct kv_error text;
    kv_error_set(&text, "%s: try again in %lld ms", excess->why, (long long)excess->wait_ms);
    send_error(batch, item, 429, text.text);
}

static struct kv_slice key_of(const struct batch *batch, const struct item *item)
{
    return item->key_is_decoded
               ? (struct kv_slice){batch->texts.bytes + item->text_at, item->text_len}
               : item->message.key;
}

static void send_command(struct batch *batch, const struct item *item)
{
    const struct kv_translation_limits limits = limits_of(batch);
    struct kv_message message = item->message;
    message.key = key_of(batch, item);
    struct kv_command *command =
        kv_translate(batch->exchange->here->keyspace_loop, &message, &limits);
    if (batch->staged.ref != NULL)
        kv_command_take_staged(command, &batch->staged);
    batch->bytes_sent += message.value.len;
    kv_exchange_send(batch->exchange, command, on_finished);
}

static void send_item(struct batch *batch, const struct item *item)
{
    if (item->is_wrong)
        send_note(batch, (struct kv_slice){batch->texts.bytes + item->text_at, item->text_len});
    else if (item->message.type == KV_MESSAGE_HELLO &&
             kv_principal_may_nothing(batch->exchange->client->principal))
        send_error(batch, item, kv_outcome_status(KV_UNIDENTIFIED),
                   kv_command_status_text(KV_UNIDENTIFIED));
    else if (item->message.type == KV_MESSAGE_HELLO)
        send_hello(batch, item->message.id);
    else
        send_command(batch, item);
}

/* The result of a merge is included whatever its length, so it is not made if it could be too long.
 * Returns: false if it has to wait until nothing is under way. */
static bool send_merge(struct batch *batch, const struct item *item)
{
    if (batch->n_sent != batch->n_answered)
        return false;
    const char *why = why_no_value(batch, answers_len(batch), 0);
    batch->is_merging = why == NULL;
    if (batch->is_merging)
        send_command(batch, item);
    else
        send_error(batch, item, NO_ROOM, why);
    return true;
}

/* ---- values to write ---- */

static void stage_on_worker(struct kv_job *job)
{
    struct batch *batch = KV_CONTAINER(job, struct batch, job);
    const struct item *item = &batch->items[batch->n_sent];
    batch->staged = kv_keyspace_stage(batch->exchange->here->keyspace, key_of(batch, item),
                                      item->message.value);
}

static void on_staged(struct kv_job *job)
{
    struct batch *batch = KV_CONTAINER(job, struct batch, job);
    batch->is_on_worker = false;
    batch->is_staged = true;
    go_on(batch);
}

/* Returns: false if a worker has to copy its value first. */
static bool is_ready(struct batch *batch, const struct item *item)
{
    size_t len = item->message.value.len;
    if (item->is_wrong || item->message.type != KV_MESSAGE_SET || len < KV_WORKERS_LONG_TEXT ||
        batch->is_staged)
        return true;
    give_to_worker(batch, stage_on_worker, on_staged, len);
    return false;
}

/* Whether to wait for answers before more is sent. */
static bool has_enough_under_way(struct batch *batch)
{
    if (batch->n_sent == batch->n_answered)
        batch->bytes_sent = 0;
    return batch->is_merging || batch->is_on_worker ||
           batch->n_sent - batch->n_answered >= MOST_UNDER_WAY ||
           batch->bytes_sent >= MOST_BYTES_UNDER_WAY;
}

/* Counts the next message, once. The request itself counted as the first. Returns: false, and *ret,
 * if it exceeds a rate. */
static bool count_next(struct batch *batch, struct kv_excess *ret)
{
    if (batch->n_counted > batch->n_sent)
        return true;
    batch->n_counted++;
    return batch->n_sent == 0 || kv_client_count_message(batch->exchange->client, ret);
}

/* Returns: false if it has to wait. */
static bool send_counted(struct batch *batch, const struct item *item)
{
    if (!is_ready(batch, item))
        return false;
    if (!item->is_wrong && item->message.type == KV_MESSAGE_MERGE)
        return send_merge(batch, item);
    send_item(batch, item);
    return true;
}

/* Returns: whether the next message was sent. */
static bool send_next(struct batch *batch)
{
    struct kv_excess excess;
    if (batch->n_sent == batch->n || has_enough_under_way(batch))
        return false;
    const struct item *item = &batch->items[batch->n_sent];
    if (!count_next(batch, &excess))
        send_excess(batch, item, &excess);
    else if (!send_counted(batch, item))
        return false;
    batch->is_staged = false;
    batch->n_sent++;
    return true;
}

static void go_on(struct batch *batch)
{
    batch->is_sending = true;
    while (send_next(batch))
        continue;
    batch->is_sending = false;
    if (batch->n_answered == batch->n)
        answer(batch);
}

/* ---- the request ---- */

static void begin(struct batch *batch)
{
    if (batch->refusal.status != 0)
        kv_exchange_refuse(batch->exchange, batch->refusal, "%s", batch->why.text);
    else
        go_on(batch);
}

static void read_on_worker(struct kv_job *job)
{
    read_batch(KV_CONTAINER(job, struct batch, job));
}

static void on_read(struct kv_job *job)
{
    struct batch *batch = KV_CONTAINER(job, struct batch, job);
    batch->is_on_worker = false;
    begin(batch);
}

static void serve(struct kv_exchange *exchange, const struct kv_request *request)
{
    if (!kv_keyspace_is_ready(exchange->here->keyspace)) {
        kv_exchange_refuse_unready(exchange);
        return;
    }
    struct batch *batch = kv_exchange_keep(exchange, sizeof(*batch), dispose);
    batch->exchange = exchange;
    batch->limits = exchange->here->config->limits;
    batch->charge.tally = kv_keyspace_tally(exchange->here->keyspace_loop);
    batch->body = request->body;
    if (batch->body.len >= KV_WORKERS_LONG_TEXT) {
        give_to_worker(batch, read_on_worker, on_read, batch->body.len);
        return;
    }
    read_batch(batch);
    begin(batch);
}

const struct kv_resource kv_resource_batch = {
    .path = {"/batch", 6},
    .methods = KV_METHOD_POST,
    .keeps = true,
    .serve = serve,
};
