/*
 * A session: one WebSocket connection, from the upgrade to its end.
 *
 * A session is served in three ways (serve.c): input.c turns the channel's input into commands;
 * answer.c and news.c turn finished commands and changes from the keyspace into frames; and the
 * stage of its loop serves every active session: first input that waited, then one write.
 */
#ifndef KV_WS_SESSION_H
#define KV_WS_SESSION_H

#include "access/access.h"
#include "base/buffer.h"
#include "base/mem.h"
#include "loop/workers.h"
#include "net/ebb.h"
#include "net/connection.h"
#include "net/quantum.h"
#include "net/sending.h"
#include "net/taking.h"
#include "protocol/request_log.h"
#include "ws/compression.h"
#include "ws/config.h"
#include "ws/frames.h"
#include "ws/leases.h"

/* For compressed messages from clients. */
struct kv_inflation {
    struct kv_inflater *inflater; /* NULL: not needed yet */
    struct kv_buffer text;        /* of the message being read */
    struct kv_counter n_deflated; /* bytes received */
    struct kv_counter n_plain;    /* bytes after decompression */
};

/* Shared by the sessions of one loop. */
struct kv_ws_loop {
    struct kv_ws_config config; /* a copy: other loops change theirs at other times */
    struct kv_workers *workers;
    struct kv_loop *loop;
    struct kv_tally *tally; /* NULL: memory is not counted */
    struct kv_keyspace_loop *keyspace;
    struct kv_access_loop *access;
    struct kv_list sessions;
    struct kv_counter n_sessions;
    struct kv_counter n_messages; /* received */
    struct kv_request_lot lot;
    struct kv_list active;
    struct kv_quanta quanta;
    struct kv_loop_stage stage;
    struct kv_buffer scratch; /* for the message being read */
    struct kv_buffer answer;  /* for the answer being written */
    struct kv_inflation inflation;
    struct kv_compression compression;
    struct kv_list held_up; /* sessions whose next message is being compressed */
    struct kv_ebb ebb;      /* while the server shuts down */
};

/* The message that is arriving. */
struct kv_incoming {
    struct kv_frame_reader frames;
    struct kv_buffer parts; /* parts received so far, if the message comes in several pieces */
    size_t n_short;         /* bytes of an incomplete frame header in the input */
    uint64_t n_taken;       /* bytes of all processed frames */
    uint64_t n_whole;       /* messages that have arrived completely */
    bool is_over; /* the peer has closed, or violated the protocol: further input is dropped */
};

/* Pongs to send. */
struct kv_pong {
    bool is_queued; /* one is queued since the last write */
    bool is_due;    /* another is due, to the newest ping, with this payload: */
    uint8_t len;
    char bytes[KV_FRAME_LONGEST_CONTROL];
};

struct kv_reading; /* a long message that a worker reads: input.c */

enum kv_session_state {
    KV_SESSION_OPEN,
    KV_SESSION_ENDING,  /* no more messages; closes when the earlier ones are answered */
    KV_SESSION_CLOSING, /* a close frame is queued, after the answers */
    KV_SESSION_SENT,    /* all is sent; waits briefly for the peer's close frame */
    KV_SESSION_SHUT,    /* all is sent, and the sending side is shut down */
};

struct kv_session {
    struct kv_list in_loop;
    struct kv_list in_active;
    struct kv_list in_held_up;
    struct kv_ws_loop *here;
    struct kv_connection *connection;
    struct kv_client *client;
    enum kv_session_state state;
    uint8_t window_bits; /* of permessage-deflate; 0: messages are not compressed */
    uint16_t
        farewell; /* the code to close with after the answers; 0: no close frame will be sent */
    bool is_half_closed; /* the peer sends no more */
    bool is_leaving;     /* the server is shutting down, and ends this session */
    struct kv_incoming incoming;
    struct kv_quantum quantum;
    struct kv_reading *reading; /* NULL: none */
    struct kv_pong pong;
    struct kv_leases leases;
    struct kv_outbound out;
    struct kv_timer timer;
    struct kv_timer identity_timer;
    int64_t auth_by_ms; /* deadline for a valid token, while it has no rights */
    bool was_warned;    /* of the expiry of its token */
    int64_t heard_ms;   /* when input was last read */
    struct kv_taking taking;
    struct kv_sending sending; /* of the message that is arriving */
    uint64_t n_before;         /* number of messages before that */
};

static inline const struct kv_ws_config *kv_session_config(const struct kv_session *session)
{
    return &session->here->config;
}

/* Whether commands of the peer are under way, or a long message is being read. */
static inline bool kv_session_is_busy(const struct kv_session *session)
{
    return session->client->n_commands != 0 || session->reading != NULL;
}

/* Whether answers and changes may still be sent. */
static inline bool kv_session_talks(const struct kv_session *session)
{
    return session->state == KV_SESSION_OPEN || session->state == KV_SESSION_ENDING;
}

/* Has the stage process the session. */
void kv_session_activate(struct kv_session *session);

/* The peer has closed, or violated the protocol: closes when its earlier messages are answered. */
void kv_session_end(struct kv_session *session);

/* Stops taking messages: closes when everything queued is sent. */
void kv_session_begin_closing(struct kv_session *session);

/* Starts the closing handshake. */
void kv_session_close(struct kv_session *session, uint16_t code, const char *reason);

/* Whether more messages may be read now. */
static inline bool kv_session_may_read(const struct kv_session *session)
{
    if (session->state == KV_SESSION_CLOSING || session->state == KV_SESSION_SENT)
        return true; /* until the peer's close has come */
    return session->state == KV_SESSION_OPEN && !session->is_leaving && session->reading == NULL &&
           session->client->n_commands < kv_session_config(session)->max_pending &&
           kv_client_takes_more(session->client);
}

#endif
