/*
 * An exchange: one request and its answer, between a carrier, which converts bytes to requests and
 * answers to bytes, and a resource, which knows neither bytes nor connections. There are two
 * carriers: libh2o (h2o_carrier.h), and the fast path (fast.h) for plain requests.
 *
 * A carrier passes every request to kv_http_serve() (serve.h); a resource answers it once,
 * immediately or later on the same loop. If its connection is lost before, an exchange ends without
 * an answer.
 */
#ifndef KV_HTTP_EXCHANGE_H
#define KV_HTTP_EXCHANGE_H

#include "http/answer.h"
#include "http/context.h"
#include "http/request.h"
#include "wire/query.h"

struct kv_exchange;

/* Takes a connection over from its carrier. Created by a resource. */
struct kv_handover {
    struct kv_list link; /* the carrier's */
    /* The head of the answer has been sent. client: of the request, for kv_client_succeed(); lent
     * during the call. Both are NULL if the connection was lost. Called once; frees the handover.
     */
    void (*open)(struct kv_handover *self, struct kv_connection *connection,
                 struct kv_client *client);
};

/* Values of the Sec-WebSocket- headers in the answer to an upgrade. Lent. */
struct kv_upgrade_answer {
    struct kv_slice accept;
    struct kv_slice protocol;   /* one of those offered; empty: none */
    struct kv_slice extensions; /* used by the connection; empty: none */
};

/* The functions of a carrier. Constant. */
struct kv_carrier {
    /* Sends the answer; takes its item over. May free the exchange. */
    void (*answer)(struct kv_exchange *exchange, struct kv_answer *answer);
    /* Allocates memory that lives as long as the exchange. NULL: the carrier only has requests that
     * need none: without headers and with short bodies. */
    void *(*keep)(struct kv_exchange *exchange, size_t size, void (*dispose)(void *memory));
    /* Answers 101, and hands the connection over. Takes the handover over. NULL: the carrier has no
     * such requests. */
    void (*upgrade)(struct kv_exchange *exchange, const struct kv_upgrade_answer *answer,
                    struct kv_handover *handover);
    /* Sends the head of an answer whose body lasts as long as the connection, and hands the
     * connection over. Takes the handover over. NULL: the carrier leaves such requests to the other
     * one (struct kv_resource.keeps). */
    void (*hand_over)(struct kv_exchange *exchange, const struct kv_answer *answer,
                      struct kv_handover *handover);
    /* Has the other carrier serve the request again. */
    void (*leave)(struct kv_exchange *exchange);
    /* The request being answered, and the turn in which it came, for the access log. Lent. Returns:
     * NULL if the answer is the outcome of a command, and the request no longer exists. */
    const struct kv_request *(*asked)(struct kv_exchange *exchange, int64_t *ret_began_ns);
};

/* The carrier's memory. It outlives its commands, unless its client has been closed. */
struct kv_exchange {
    const struct kv_carrier *carrier;
    struct kv_http_context *here;
    struct kv_client *client; /* of the connection; the request has its rights */
    void *kept;               /* from kv_exchange_keep() */
    struct kv_slice allowed_origin;
    bool takes_credentials; /* that origin's pages may send cookies */
    bool is_head;           /* the answer to a HEAD: without a body */
    bool is_counted;        /* the rates counted it when its head arrived */
};

/* Makes the answer's error its body. */
void kv_exchange_write_error(struct kv_exchange *exchange, struct kv_answer *answer);

/* Writes a line of the access log. */
void kv_exchange_log(struct kv_exchange *exchange, const struct kv_answer *answer);

/* Sends the answer. Takes its item over. */
static inline void kv_exchange_answer(struct kv_exchange *exchange, struct kv_answer *answer)
{
    if (answer->error != NULL)
        kv_exchange_write_error(exchange, answer);
    kv_counter_add(&exchange->here->counts.answers[answer->status], 1);
    if (kv_request_lot_draw(&exchange->here->lot))
        kv_exchange_log(exchange, answer);
    exchange->carrier->answer(exchange, answer);
}

/* Answers with a file, unless the conditions of the request prevent that. Takes the answer's body
 * over. */
void kv_exchange_answer_file(struct kv_exchange *exchange, struct kv_answer *answer);

/* Answers with this text as the body, JSON, without copying it. text: taken over. */
void kv_exchange_answer_with(struct kv_exchange *exchange, struct kv_answer answer,
                             struct kv_buffer *text);

/* Answers with this error, UTF-8. answer: its status, and other members. */
void kv_exchange_refuse(struct kv_exchange *exchange, struct kv_answer answer, const char *format,
                        ...) KV_PRINTF(3, 4);

/* Answers that the server is starting, or shutting down. */
void kv_exchange_refuse_unready(struct kv_exchange *exchange);

/* Begins to read a query, whose parameters are decoded into `here->decoded`. Returns: false if
 * there is no memory; then it has answered. */
bool kv_exchange_begin_query(struct kv_exchange *exchange, const struct kv_query_form *form,
                             struct kv_slice text, struct kv_query *query);

/* Sends a command on behalf of the exchange, which becomes its owner. */
void kv_exchange_send(struct kv_exchange *exchange, struct kv_command *command,
                      kv_command_finished_fn finished);

/* Memory for the resource, zeroed, which lives as long as the exchange; at most once. */
void *kv_exchange_keep(struct kv_exchange *exchange, size_t size, void (*dispose)(void *memory));

#endif
