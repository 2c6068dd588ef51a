/*
 * Turns the channel's input into commands. Frames are taken from the input one by one, while the
 * session may take more and its quantum lasts; so the work under way stays bounded, and the rest
 * stays in the socket's buffer. A message that has arrived in one piece is read in place; others
 * are assembled first.
 *
 * For a message in one piece, the JSON scanner finds bytes that are not UTF-8. As it may find
 * another fault first, a text that it refuses is checked for UTF-8 once more.
 *
 * A compressed message is assembled in compressed form, and inflated when it is complete: by the
 * loop if the text is short, otherwise by a worker, which gets memory for the text in steps, as its
 * length is not known beforehand. Each grant leaves a quarter of the budget to others: a few
 * hundred bytes are enough to demand it all.
 */
#include "ws/input.h"

#include <stdlib.h>

#include "base/utf8.h"
#include "protocol/outcome.h"
#include "protocol/translate.h"
#include "ws/answer.h"
#include "ws/identity.h"

enum {
    INPUT_PER_TURN = 1 << 20,
    LARGEST_COPY = 65536,
    LARGEST_SHORT = 100 << 10, /* of a message's parts; longer ones get a mapping of their own */
    LARGEST_KEPT = 4096, /* of a message's buffer, kept for the next one that comes in parts */
    LONGEST_DEFLATED = 64 << 10, /* longest compressed text that the loop inflates */
    FIRST_GRANT = 1 << 20,       /* for an inflated text, or, */
    LEAST_GRANT = 256 << 10,     /* if memory is short, this */
    GRANT_FACTOR = 4             /* each further grant is larger by this factor */
};

enum {
    NOT_UTF8 = -2 /* from read_text(): not even an error can be answered */
};

/* Stops reading, and closes after the answers to earlier messages. code: see kv_session. */
static void hang_up(struct kv_session *session, uint16_t code)
{
    session->incoming.is_over = true;
    session->farewell = code;
    kv_session_end(session);
}

static struct kv_translation_limits translation_limits_of(const struct kv_session *session)
{
    const struct kv_ws_config *config = kv_session_config(session);
    return (struct kv_translation_limits){.max_key_bytes = config->max_key_bytes,
                                          .max_value_bytes = config->max_value_bytes};
}

/* staged: the copy of a long value, or nothing; taken over. */
static void send_command(struct kv_session *session, const struct kv_message *message,
                         struct kv_item *staged)
{
    const struct kv_translation_limits limits = translation_limits_of(session);
    struct kv_command *command = kv_translate(session->here->keyspace, message, &limits);
    command->owner = session;
    command->finished = kv_answer_finished;
    /* The message's bytes are valid only during this call. A short value is copied and waits for
     * the turn's batch; a long one is submitted to the store at once, which avoids the copy. */
    bool is_long = message->value.len > LARGEST_COPY && staged->ref == NULL;
    if (staged->ref != NULL)
        kv_command_take_staged(command, staged);
    if ((is_long ? kv_command_keep_key(command) : kv_command_keep(command)) != 0) {
        kv_command_free(command);
        kv_answer_error(session, message->id, kv_outcome_status(KV_FULL),
                        kv_command_status_text(KV_FULL));
        return;
    }
    if (command->is_lease)
        kv_leases_ask(&session->leases, command);
    kv_client_send(session->client, command);
    if (is_long)
        kv_keyspace_submit_now(session->here->keyspace);
}

static struct kv_message_limits limits_of(const struct kv_session *session)
{
    const struct kv_ws_config *config = kv_session_config(session);
    return (struct kv_message_limits){.max_depth = config->max_depth + 2,
                                      .max_key_bytes = config->max_key_bytes};
}

/* Returns: 0; -1 and *reterr, as kv_message_parse(); or NOT_UTF8. */
static int read_text(struct kv_slice text, const struct kv_message_limits *limits,
                     struct kv_buffer *scratch, struct kv_message *ret, struct kv_error *reterr)
{
    int failed = kv_message_parse(text, limits, scratch, ret, reterr);
    return failed != 0 && !kv_utf8_is_valid(text) ? NOT_UTF8 : failed;
}

/* Counts a message, even if it is refused later. Returns: false if the peer has been told that it
 * sends too many. */
static bool count(struct kv_session *session, struct kv_slice id)
{
    struct kv_excess excess;
    if (kv_client_count_message(session->client, &excess))
        return true;
    kv_answer_excess(session, id, &excess);
    return false;
}

static void answer_hello(struct kv_session *session, const struct kv_message *message)
{
    if (kv_principal_may_nothing(session->client->principal))
        kv_answer_error(session, message->id, kv_outcome_status(KV_UNIDENTIFIED),
                        kv_command_status_text(KV_UNIDENTIFIED));
    else
        kv_answer_hello(session, message->id);
}

/* Returns: whether the session may request the lease; otherwise the peer has been told why not. */
static bool may_lease(struct kv_session *session, const struct kv_message *message)
{
    const struct kv_leases *leases = &session->leases;
    bool has_room =
        kv_leases_have_room(leases, message->key, kv_session_config(session)->max_leases);
    if (!has_room)
        kv_answer_error(session, message->id, 400, "too many leases on this connection");
    else if (!kv_leases_have_memory(leases, message->key))
        kv_answer_error(session, message->id, kv_outcome_status(KV_FULL),
                        "the memory of all connections is used up: no more leases for now");
    else
        return true;
    return false;
}

static void check_and_send(struct kv_session *session, const struct kv_message *message,
                           struct kv_item *staged)
{
    const struct kv_translation_limits limits = translation_limits_of(session);
    struct kv_error error;
    int status;
    if (message->type == KV_MESSAGE_AUTH)
        kv_identity_take_token(session, message->token, message->id);
    else if (message->type == KV_MESSAGE_HELLO)
        answer_hello(session, message);
    else if ((status = kv_translation_check(message, &limits, &error)) != 0)
        kv_answer_error(session, message->id, status, error.text);
    else if (!message->while_connected || may_lease(session, message))
        send_command(session, message, staged);
}

/* Handles the result of read_text(). error: if that failed; staged: as for send_command(). */
static void handle_message(struct kv_session *session, int outcome,
                           const struct kv_message *message, const struct kv_error *error,
                           struct kv_item *staged)
{
    if (outcome == NOT_UTF8)
        hang_up(session, KV_CLOSE_INVALID_TEXT);
    else if (!count(session, message->id))
        return;
    else if (outcome == 0)
        check_and_send(session, message, staged);
    else
        kv_answer_error(session, message->id, 400, error->text);
}

/* A compressed text that is not inflated yet. */
struct deflated {
    struct kv_inflater *inflater; /* NULL: the text was not compressed */
    struct kv_buffer bytes;
    size_t granted; /* bytes granted to the text so far */
    size_t limit;   /* largest grant */
    enum kv_inflated outcome;
};

/* A long message, on the worker. */
struct kv_reading {
    struct kv_job job;
    struct kv_session *session; /* NULL: the session has ended */
    struct kv_keyspace *keyspace;
    struct kv_charge charge; /* for the text, and the value's copy */
    struct deflated deflated;
    struct kv_message_limits limits;
    struct kv_buffer text;
    struct kv_buffer scratch;
    struct kv_message message;
    struct kv_error error;
    int outcome;
    size_t max_value_bytes;
    struct kv_item staged;
};

/* Copies a long value for the store, as this would take the loop as long as reading it. */
static void stage_value(struct kv_reading *reading)
{
    const struct kv_message *message = &reading->message;
    if (reading->outcome == 0 && message->type == KV_MESSAGE_SET &&
        message->value.len >= KV_WORKERS_LONG_TEXT &&
        message->value.len <= reading->max_value_bytes)
        reading->staged = kv_keyspace_stage(reading->keyspace, message->key, message->value);
}

static void on_read_by_worker(struct kv_job *job);

static void read_on_worker(struct kv_job *job)
{
    struct kv_reading *reading = KV_CONTAINER(job, struct kv_reading, job);
    struct deflated *deflated = &reading->deflated;
    if (deflated->inflater != NULL)
        deflated->outcome = kv_inflate(deflated->inflater, deflated->granted, &reading->text);
    if (deflated->inflater != NULL && deflated->outcome != KV_INFLATED_WHOLE)
        return;
    reading->outcome = read_text(kv_buffer_slice(&reading->text), &reading->limits,
                                 &reading->scratch, &reading->message, &reading->error);
    stage_value(reading);
}

/* The close code for a fault of a compressed message; 0: no fault. */
static uint16_t fault_of(enum kv_inflated outcome)
{
    switch (outcome) {
    case KV_INFLATED_WHOLE:
        return 0;
    case KV_INFLATED_MORE:
        return KV_CLOSE_TOO_BIG;
    case KV_INFLATED_BROKEN:
        return KV_CLOSE_INVALID_TEXT;
    default:
        return KV_CLOSE_TRY_AGAIN_LATER;
    }
}

static void run_reading(struct kv_reading *reading, struct kv_session *session)
{
    reading->job.work = read_on_worker;
    reading->job.done = on_read_by_worker;
    kv_workers_run(session->here->workers, session->here->loop, &reading->job);
}

/* Charges the compressed text, the text, and a copy of its value. */
static void charge_inflating(struct kv_reading *reading)
{
    const struct deflated *deflated = &reading->deflated;
    kv_charge_set(&reading->charge,
                  deflated->bytes.len + KV_INFLATER_BYTES + 2 * deflated->granted);
    reading->job.bytes = deflated->granted;
}

/* Whether a text may be granted this many more bytes. */
static bool may_grant(const struct kv_tally *tally, size_t more)
{
    return kv_tally_spare(tally) / 2 >= more;
}

/* Returns: whether the worker continues, with more memory; otherwise the outcome is final. */
static bool go_on_inflating(struct kv_reading *reading)
{
    struct deflated *deflated = &reading->deflated;
    bool is_over = deflated->inflater == NULL || deflated->outcome != KV_INFLATED_MORE ||
                   deflated->granted == deflated->limit;
    if (is_over)
        return false;
    size_t more = deflated->limit - deflated->granted;
    if (more / (GRANT_FACTOR - 1) > deflated->granted)
        more = (GRANT_FACTOR - 1) * deflated->granted;
    if (!may_grant(reading->charge.tally, more)) {
        deflated->outcome = KV_INFLATED_NO_MEMORY;
        return false;
    }
    deflated->granted += more;
    charge_inflating(reading);
    run_reading(reading, reading->session);
    return true;
}

static void count_inflated(struct kv_session *session, size_t deflated, size_t plain)
{
    kv_counter_add(&session->here->inflation.n_deflated, deflated);
    kv_counter_add(&session->here->inflation.n_plain, plain);
}

static void take_reading(struct kv_session *session, struct kv_reading *reading)
{
    const struct deflated *deflated = &reading->deflated;
    uint16_t fault = deflated->inflater == NULL ? 0 : fault_of(deflated->outcome);
    session->reading = NULL;
    session->heard_ms = kv_loop_now_ms(session->here->loop);
    if (deflated->inflater != NULL)
        count_inflated(session, deflated->bytes.len, reading->text.len);
    if (fault != 0)
        hang_up(session, fault);
    else
        handle_message(session, reading->outcome, &reading->message, &reading->error,
                       &reading->staged);
    kv_session_activate(session);
}

static void on_read_by_worker(struct kv_job *job)
{
    struct kv_reading *reading = KV_CONTAINER(job, struct kv_reading, job);
    if (reading->session != NULL && go_on_inflating(reading))
        return;
    if (reading->session != NULL)
        take_reading(reading->session, reading);
    kv_keyspace_release(reading->keyspace, &reading->staged);
    kv_charge_set(&reading->charge, 0);
    kv_inflater_destroy(reading->deflated.inflater);
    kv_buffer_fini(&reading->deflated.bytes);
    kv_buffer_fini(&reading->text);
    kv_buffer_fini(&reading->scratch);
    free(reading);
}

static struct kv_reading *create_reading(struct kv_session *session)
{
    struct kv_reading *reading = kv_calloc(1, sizeof(*reading));
    reading->session = session;
    reading->limits = limits_of(session);
    reading->keyspace = kv_keyspace_of(session->here->keyspace);
    reading->max_value_bytes = kv_session_config(session)->max_value_bytes;
    reading->charge.tally = session->here->tally;
    session->reading = reading;
    return reading;
}

static struct kv_buffer take_parts_over(struct kv_session *session)
{
    struct kv_buffer parts = session->incoming.parts;
    session->incoming.parts = (struct kv_buffer){0};
    return parts;
}

/* Takes the message's parts over. */
static void give_to_worker(struct kv_session *session)
{
    struct kv_reading *reading = create_reading(session);
    reading->text = take_parts_over(session);
    kv_charge_set(&reading->charge, 2 * reading->text.len);
    reading->job.bytes = reading->text.len;
    run_reading(reading, session);
}

static size_t lesser(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Returns: the bytes granted to a text at first; 0: there is no memory for it. */
static size_t grant_first(const struct kv_session *session)
{
    size_t limit = session->incoming.frames.max_message_bytes;
    size_t most = lesser(limit, FIRST_GRANT), least = lesser(limit, LEAST_GRANT);
    if (may_grant(session->here->tally, most))
        return most;
    return may_grant(session->here->tally, least) ? least : 0;
}

/* The same for a compressed message. */
static void give_deflated_to_worker(struct kv_session *session)
{
    size_t granted = grant_first(session);
    struct kv_inflater *inflater = granted == 0 ? NULL : kv_inflater_create();
    if (inflater == NULL) {
        hang_up(session, KV_CLOSE_TRY_AGAIN_LATER);
        return;
    }
    struct kv_reading *reading = create_reading(session);
    reading->deflated = (struct deflated){.inflater = inflater,
                                          .bytes = take_parts_over(session),
                                          .granted = granted,
                                          .limit = session->incoming.frames.max_message_bytes};
    kv_inflater_begin(inflater, kv_buffer_slice(&reading->deflated.bytes));
    charge_inflating(reading);
    run_reading(reading, session);
}

static void handle_text(struct kv_session *session, struct kv_slice text)
{
    const struct kv_message_limits limits = limits_of(session);
    struct kv_message message;
    struct kv_error error;
    struct kv_item none = {0};
    int outcome = read_text(text, &limits, &session->here->scratch, &message, &error);
    handle_message(session, outcome, &message, &error, &none);
}

/* Inflates a compressed text on the loop, if that takes no longer than reading a short one. */
static enum kv_inflated inflate_here(struct kv_session *session, struct kv_slice compressed)
{
    struct kv_inflation *inflation = &session->here->inflation;
    size_t limit = session->incoming.frames.max_message_bytes;
    size_t most = limit < KV_WORKERS_LONG_TEXT ? limit : KV_WORKERS_LONG_TEXT - 1;
    if (inflation->inflater == NULL && (inflation->inflater = kv_inflater_create()) == NULL)
        return KV_INFLATED_NO_MEMORY;
    inflation->text.len = 0;
    kv_inflater_begin(inflation->inflater, compressed);
    enum kv_inflated outcome = kv_inflate(inflation->inflater, most, &inflation->text);
    kv_quantum_charge(&session->quantum, &session->here->quanta, inflation->text.len);
    return outcome;
}

static void leave_to_worker(struct kv_session *session, struct kv_slice compressed)
{
    struct kv_buffer *parts = &session->incoming.parts;
    if (parts->len == 0) /* it came in one piece */
        kv_buffer_append(parts, compressed);
    give_deflated_to_worker(session);
}

static void handle_deflated(struct kv_session *session, struct kv_slice compressed)
{
    if (compressed.len > LONGEST_DEFLATED) {
        leave_to_worker(session, compressed);
        return;
    }
    enum kv_inflated outcome = inflate_here(session, compressed);
    bool may_be_longer = session->incoming.frames.max_message_bytes >= KV_WORKERS_LONG_TEXT;
    if (outcome == KV_INFLATED_WHOLE) {
        count_inflated(session, compressed.len, session->here->inflation.text.len);
        handle_text(session, kv_buffer_slice(&session->here->inflation.text));
    } else if (outcome == KV_INFLATED_MORE && may_be_longer) {
        leave_to_worker(session, compressed);
    } else {
        count_inflated(session, compressed.len, session->here->inflation.text.len);
        hang_up(session, fault_of(outcome));
    }
}

static void refuse_binary(struct kv_session *session)
{
    struct kv_slice no_id = {0};
    if (count(session, no_id))
        kv_answer_error(session, no_id, 400, "binary messages are not taken: send JSON as text");
}

static void handle_parts(struct kv_session *session, bool is_deflated)
{
    struct kv_buffer *parts = &session->incoming.parts;
    if (is_deflated)
        handle_deflated(session, kv_buffer_slice(parts));
    else if (parts->len >= KV_WORKERS_LONG_TEXT)
        give_to_worker(session);
    else
        handle_text(session, kv_buffer_slice(parts));
    kv_buffer_trim(parts, LARGEST_KEPT);
}

static void take_part(struct kv_session *session, const struct kv_frame_piece *piece)
{
    struct kv_buffer *parts = &session->incoming.parts;
    size_t len = piece->bytes.len;
    bool becomes_long = parts->len + len > LARGEST_SHORT && parts->capacity < KV_BUFFER_MAPPED;
    if (len != 0 && kv_buffer_try_reserve(parts, becomes_long ? KV_BUFFER_MAPPED : len) == NULL) {
        hang_up(session, KV_CLOSE_INTERNAL_ERROR);
        return;
    }
    kv_buffer_append(parts, piece->bytes);
    if (piece->is_last)
        handle_parts(session, piece->is_deflated);
}

/* Between two writes the first ping is answered at once, and of all others only the newest (RFC
 * 6455, section 5.5.3); so pongs do not pile up if the peer does not read. */
static void take_ping(struct kv_session *session, struct kv_slice payload)
{
    struct kv_pong *pong = &session->pong;
    if (!pong->is_queued && !kv_outbound_waits(&session->out)) {
        pong->is_queued = true;
        kv_frames_control(&session->out, KV_FRAME_PONG, payload);
        return;
    }
    pong->is_due = true;
    pong->len = (uint8_t)payload.len;
    if (payload.len != 0)
        memcpy(pong->bytes, payload.bytes, payload.len);
}

static void take_control(struct kv_session *session, const struct kv_frame_piece *frame)
{
    if (frame->opcode == KV_FRAME_CLOSE)
        hang_up(session, kv_frame_close_code(frame->bytes));
    else if (frame->opcode == KV_FRAME_PING && kv_session_talks(session))
        take_ping(session, frame->bytes);
}

static void take_piece(struct kv_session *session, const struct kv_frame_piece *piece)
{
    bool is_whole = piece->is_first && piece->is_last;
    if (piece->opcode == KV_FRAME_BINARY) {
        if (piece->is_first)
            refuse_binary(session); /* the rest of it is skipped */
    } else if (!is_whole || piece->bytes.len >= KV_WORKERS_LONG_TEXT) {
        take_part(session, piece);
    } else if (piece->is_deflated) {
        handle_deflated(session, piece->bytes);
    } else {
        handle_text(session, piece->bytes);
    }
}

void kv_input_init(struct kv_session *session)
{
    struct kv_frame_reader *frames = &session->incoming.frames;
    kv_frame_reader_init(frames, kv_session_config(session)->max_message_bytes);
    frames->takes_deflated = session->window_bits != 0;
}

/* The worker completes its current step. */
static void drop_reading(struct kv_session *session)
{
    if (session->reading != NULL)
        session->reading->session = NULL;
    session->reading = NULL;
}

void kv_input_fini(struct kv_session *session)
{
    kv_buffer_fini(&session->incoming.parts);
    drop_reading(session);
}

size_t kv_input_works_on(const struct kv_session *session)
{
    return session->reading == NULL ? 0 : session->reading->charge.bytes;
}

void kv_input_drop(struct kv_session *session)
{
    session->incoming.is_over = true;
    drop_reading(session);
    kv_buffer_fini(&session->incoming.parts);
    kv_channel_keep(&session->connection->channel, 0);
}

bool kv_input_is_left(const struct kv_session *session)
{
    size_t len;
    kv_channel_input(&session->connection->channel, &len);
    return len != session->incoming.n_short;
}

bool kv_input_is_partial(const struct kv_session *session)
{
    const struct kv_incoming *incoming = &session->incoming;
    return incoming->n_short != 0 || kv_frame_is_within_message(&incoming->frames) ||
           kv_channel_partial(&session->connection->channel) != 0;
}

uint64_t kv_input_arrived(const struct kv_session *session)
{
    size_t len;
    kv_channel_input(&session->connection->channel, &len);
    return session->incoming.n_taken + len + kv_channel_partial(&session->connection->channel);
}

static inline void count_message(struct kv_session *session)
{
    session->incoming.n_whole++;
    kv_counter_add(&session->here->n_messages, 1);
}

/* Returns: the number of bytes processed. */
static size_t take_frames(struct kv_session *session, char *bytes, size_t len)
{
    struct kv_incoming *incoming = &session->incoming;
    size_t at = 0;
    incoming->n_short = 0;
    while (!incoming->is_over && kv_session_may_read(session) &&
           !kv_quantum_is_used_up(&session->quantum)) {
        struct kv_frame_piece piece;
        size_t used;
        int got = kv_frame_read(&incoming->frames, bytes + at, len - at, &used, &piece);
        at += used;
        kv_quantum_charge(&session->quantum, &session->here->quanta, KV_QUANTUM_MESSAGE + used);
        if (got == 0) {
            incoming->n_short = len - at;
            return at;
        }
        if (got > 0 && piece.is_last && !kv_frame_is_control(piece.opcode))
            count_message(session);
        if (got < 0)
            hang_up(session, incoming->frames.fault);
        else if (kv_frame_is_control(piece.opcode))
            take_control(session, &piece);
        else if (session->state == KV_SESSION_OPEN)
            take_piece(session, &piece);
    }
    return at;
}

void kv_input_process(struct kv_session *session)
{
    struct kv_channel *channel = &session->connection->channel;
    size_t len;
    char *bytes = kv_channel_input(channel, &len);
    size_t most = len < INPUT_PER_TURN ? len : INPUT_PER_TURN;
    bool is_dropped = session->incoming.is_over || session->state == KV_SESSION_SHUT;
    size_t n_taken = is_dropped ? len : take_frames(session, bytes, most);
    kv_channel_keep(channel, kv_buffer_bytes(&session->incoming.parts));
    kv_channel_consume(channel, n_taken);
    session->incoming.n_taken += n_taken;
}
