/*
 * Records that have arrived as a whole are opened where they are. Only the beginning of a record
 * whose rest is missing is kept; its header is checked first, so it never exceeds the longest
 * record.
 *
 * Changing a key costs the server much more than the peer that asks for it. So a peer may do it
 * only so many times at once (in bytes that were received together), and without sending text.
 */
#include "net/tls_input.h"

enum {
    KEY_UPDATE = 24, /* the type of the message */
    UPDATE_REQUESTED = 1,
    LEN_OF_ALERT = 2,
    GO_ON = 0, /* no alert */
};

void kv_tls_input_fini(struct kv_tls_input *input)
{
    kv_buffer_fini(&input->partial);
}

void kv_tls_input_begin(struct kv_tls_input *input)
{
    if (input->has_text)
        input->n_updates = 0;
    input->has_text = false;
}

/* ---- records in the stream ---- */

static bool is_whole(const char *bytes, size_t len)
{
    return len >= KV_TLS_HEADER && len - KV_TLS_HEADER >= kv_tls_record_sealed(bytes);
}

/* Returns: the alert that the header requires, or GO_ON. The version in it is meaningless. */
static int judge_header(const char *header)
{
    size_t n_sealed = kv_tls_record_sealed(header);
    if (header[0] != KV_TLS_TEXT)
        return KV_TLS_UNEXPECTED_MESSAGE;
    if (n_sealed > KV_TLS_MOST_SEALED)
        return KV_TLS_RECORD_OVERFLOW;
    return n_sealed < KV_TLS_LEAST_SEALED ? KV_TLS_BAD_RECORD_MAC : GO_ON;
}

/* Keeps bytes for the partial record, until it has `len`. */
static void keep(struct kv_tls_input *input, struct kv_tls_bytes *arrived, size_t len)
{
    size_t missing = len - input->partial.len;
    size_t n = arrived->len < missing ? arrived->len : missing;
    kv_buffer_append(&input->partial, (struct kv_slice){arrived->bytes, n});
    *arrived = (struct kv_tls_bytes){arrived->bytes + n, arrived->len - n};
}

/* Returns: an alert, or GO_ON. */
static int add_to_partial(struct kv_tls_input *input, struct kv_tls_bytes *arrived)
{
    struct kv_buffer *partial = &input->partial;
    if (partial->len < KV_TLS_HEADER) {
        keep(input, arrived, KV_TLS_HEADER);
        if (partial->len < KV_TLS_HEADER)
            return GO_ON;
        int alert = judge_header(partial->bytes);
        if (alert != GO_ON)
            return alert;
    }
    keep(input, arrived, KV_TLS_HEADER + kv_tls_record_sealed(partial->bytes));
    return GO_ON;
}

/* Takes the next record. Returns: an alert, or GO_ON; *ret_record: NULL if it is incomplete. */
static int next_record(struct kv_tls_input *input, struct kv_tls_bytes *arrived, char **ret_record)
{
    struct kv_buffer *partial = &input->partial;
    *ret_record = NULL;
    if (partial->len == 0 && is_whole(arrived->bytes, arrived->len)) {
        size_t len = KV_TLS_HEADER + kv_tls_record_sealed(arrived->bytes);
        *ret_record = arrived->bytes;
        *arrived = (struct kv_tls_bytes){arrived->bytes + len, arrived->len - len};
        return judge_header(*ret_record);
    }
    int alert = add_to_partial(input, arrived);
    if (alert == GO_ON && is_whole(partial->bytes, partial->len)) {
        *ret_record = partial->bytes; /* which stays there until bytes are kept again */
        partial->len = 0;
    }
    return alert;
}

/* ---- contents ---- */

/* The peer's key changes. Returns: an alert, or GO_ON. */
static int update_key(struct kv_tls_input *input, struct kv_tls_records *records)
{
    uint8_t request = input->message[4];
    input->n_message = 0;
    if (request > UPDATE_REQUESTED)
        return KV_TLS_ILLEGAL_PARAMETER;
    if (++input->n_updates > KV_TLS_MOST_UPDATES)
        return KV_TLS_UNEXPECTED_MESSAGE;
    input->owes_update |= request == UPDATE_REQUESTED;
    return kv_tls_records_renew_peer(records) == 0 ? GO_ON : KV_TLS_INTERNAL_ERROR;
}

/* Adds a byte to the message. Returns: an alert, or GO_ON. */
static int add_to_message(struct kv_tls_input *input, char byte)
{
    static const unsigned char beginning[] = {KEY_UPDATE, 0, 0, 1};
    uint8_t at = input->n_message++;
    input->message[at] = (unsigned char)byte;
    if (at >= sizeof(beginning) || input->message[at] == beginning[at])
        return GO_ON;
    return at == 0 ? KV_TLS_UNEXPECTED_MESSAGE : KV_TLS_DECODE_ERROR;
}

/* A message may be split, but nothing may follow a KeyUpdate in its record, as the key changes.
 * Returns: an alert, or GO_ON. */
static int take_message(struct kv_tls_input *input, struct kv_tls_records *records,
                        struct kv_slice text)
{
    int alert = text.len == 0 ? KV_TLS_UNEXPECTED_MESSAGE : GO_ON;
    for (size_t i = 0; i < text.len && alert == GO_ON; i++) {
        alert = add_to_message(input, text.bytes[i]);
        if (alert == GO_ON && input->n_message == sizeof(input->message))
            return i + 1 == text.len ? update_key(input, records) : KV_TLS_UNEXPECTED_MESSAGE;
    }
    return alert;
}

static enum kv_tls_came fail(struct kv_tls_input *input, int alert)
{
    input->alert = (uint8_t)alert;
    return KV_TLS_CAME_BROKEN;
}

/* Returns: NOTHING if the alert changes nothing. */
static enum kv_tls_came take_alert(struct kv_tls_input *input, struct kv_slice text)
{
    if (text.len != LEN_OF_ALERT)
        return fail(input, text.len == 0 ? KV_TLS_UNEXPECTED_MESSAGE : KV_TLS_DECODE_ERROR);
    uint8_t alert = (uint8_t)text.bytes[1];
    input->has_ended = alert == KV_TLS_CLOSE_NOTIFY;
    if (alert == KV_TLS_USER_CANCELED)
        return KV_TLS_CAME_NOTHING;
    return input->has_ended ? KV_TLS_CAME_END : KV_TLS_CAME_BROKEN;
}

/* Returns: NOTHING if it has no text. */
static enum kv_tls_came take_record(struct kv_tls_input *input, struct kv_tls_records *records,
                                    char *record, struct kv_slice *ret_text)
{
    uint8_t type;
    int alert = kv_tls_records_open(records, record, &type, ret_text);
    if (alert != GO_ON)
        return fail(input, alert);
    if (type != KV_TLS_HANDSHAKE && input->n_message != 0) /* it may not be interrupted */
        return fail(input, KV_TLS_UNEXPECTED_MESSAGE);
    switch (type) {
    case KV_TLS_TEXT:
        input->has_text |= ret_text->len != 0;
        return ret_text->len != 0 ? KV_TLS_CAME_TEXT : KV_TLS_CAME_NOTHING;
    case KV_TLS_HANDSHAKE:
        alert = take_message(input, records, *ret_text);
        return alert == GO_ON ? KV_TLS_CAME_NOTHING : fail(input, alert);
    case KV_TLS_ALERT:
        return take_alert(input, *ret_text);
    default:
        return fail(input, KV_TLS_UNEXPECTED_MESSAGE);
    }
}

/* Takes records until one has text, or everything is taken. */
static enum kv_tls_came take_records(struct kv_tls_input *input, struct kv_tls_records *records,
                                     struct kv_tls_bytes *arrived, struct kv_slice *ret_text)
{
    enum kv_tls_came came = KV_TLS_CAME_NOTHING;
    while (came == KV_TLS_CAME_NOTHING) {
        char *record;
        int alert = next_record(input, arrived, &record);
        if (alert != GO_ON)
            return fail(input, alert);
        if (record == NULL)
            break;
        came = take_record(input, records, record, ret_text);
    }
    return came;
}

/* Nothing more may come for long: an idle connection has no buffer. */
static void shrink(struct kv_buffer *partial)
{
    if (partial->len == 0)
        kv_buffer_fini(partial);
    else
        kv_buffer_fit(partial);
}

enum kv_tls_came kv_tls_input_next(struct kv_tls_input *input, struct kv_tls_records *records,
                                   struct kv_tls_bytes *arrived, struct kv_slice *ret_text)
{
    if (input->has_ended)
        return KV_TLS_CAME_END;
    enum kv_tls_came came = take_records(input, records, arrived, ret_text);
    if (came != KV_TLS_CAME_TEXT)
        shrink(&input->partial);
    return came;
}
