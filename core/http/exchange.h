/*
 * An exchange: one request and its answer, between a carrier, which turns bytes into requests and
 * answers into bytes, and a resource, which knows of neither bytes nor connections. There are two
 * carriers: libh2o (h2o_carrier.h), and the fast path (fast.h) for plain requests.
 *
 * A carrier gives every request to kv_http_serve() (serve.h); a resource answers it once, at once
 * or later on the same loop. An exchange whose connection is lost meanwhile is gone without an
 * answer.
 */
#ifndef KV_HTTP_EXCHANGE_H
#define KV_HTTP_EXCHANGE_H

#include "http/answer.h"
#include "http/context.h"
#include "http/request.h"

struct kv_exchange;

/* Takes a connection over from its carrier. Made by a resource. */
struct kv_handover {
    struct kv_list link; /* the carrier's */
    /* The head of the answer has been sent; NULL: the connection was lost. Called once; frees the
     * handover. */
    void (*open)(struct kv_handover *self, struct kv_connection *connection);
};

/* What the answer to an upgrade says: values of Sec-WebSocket- headers. Lent. */
struct kv_upgrade_answer {
    struct kv_slice accept;
    struct kv_slice protocol;   /* of those offered; empty: none */
    struct kv_slice extensions; /* that the connection uses; empty: none */
};

/* Constant. */
struct kv_carrier {
    /* Sends the answer; takes its item over. The exchange may be freed with it. */
    void (*answer)(struct kv_exchange *exchange, struct kv_answer *answer);
    /* Memory that lives as long as the exchange; NULL: it carries only requests that need none,
     * without headers and with short bodies. */
    void *(*keep)(struct kv_exchange *exchange, size_t size, void (*dispose)(void *memory));
    /* Answers 101, and hands the connection over. Takes the handover over. NULL: it carries no such
     * requests. */
    void (*upgrade)(struct kv_exchange *exchange, const struct kv_upgrade_answer *answer,
                    struct kv_handover *handover);
    /* Sends the head of an answer whose body lasts as long as the connection, and hands that over.
     * Takes the handover over. NULL: it hands nothing over, but leaves such requests to the
     * carrier that does (struct kv_resource.keeps): */
    void (*hand_over)(struct kv_exchange *exchange, const struct kv_answer *answer,
                      struct kv_handover *handover);
    /* Has the request served again, by the other carrier. */
    void (*leave)(struct kv_exchange *exchange);
    /* What is being answered, and the turn in which it came, for the access log. Lent. Returns:
     * NULL where the answer is the outcome of a command, and the request has gone. */
    const struct kv_request *(*asked)(struct kv_exchange *exchange, int64_t *ret_began_ns);
};

/* The carrier's memory. It outlives its commands, or its client has been closed. */
struct kv_exchange {
    const struct kv_carrier *carrier;
    struct kv_http_context *here;
    struct kv_client *client; /* of the connection; as whom the request comes */
    void *kept;               /* by kv_exchange_keep() */
    struct kv_slice allowed_origin;
    bool takes_credentials; /* that origin's pages may send cookies */
    bool is_head;           /* to a HEAD: the answer has no body */
    bool is_counted;        /* by the rates, when its head came */
};

/* Makes the answer's error its body. */
void kv_exchange_write_error(struct kv_exchange *exchange, struct kv_answer *answer);

/* Writes a line of the access log. */
void kv_exchange_log(struct kv_exchange *exchange, const struct kv_answer *answer);

/* Gives the answer. Takes its item over. */
static inline void kv_exchange_answer(struct kv_exchange *exchange, struct kv_answer *answer)
{
    if (answer->error != NULL)
        kv_exchange_write_error(exchange, answer);
    kv_counter_add(&exchange->here->counts.answers[answer->status], 1);
    if (kv_request_lot_draw(&exchange->here->lot))
        kv_exchange_log(exchange, answer);
    exchange->carrier->answer(exchange, answer);
}

/* Gives the answer about a file: the file, unless the conditions of the request say otherwise.
 * Takes its body over. */
void kv_exchange_answer_file(struct kv_exchange *exchange, struct kv_answer *answer);

/* Gives an answer with this text as its body, JSON, without a copy. text: taken over. */
void kv_exchange_answer_with(struct kv_exchange *exchange, struct kv_answer answer,
                             struct kv_buffer *text);

/* Gives an answer with this error, UTF-8. answer: its status, and what it says besides. */
void kv_exchange_refuse(struct kv_exchange *exchange, struct kv_answer answer, const char *format,
                        ...) KV_PRINTF(3, 4);

/* Says that the server is starting, or shutting down. */
void kv_exchange_refuse_unready(struct kv_exchange *exchange);

/* Sends a command for the exchange, which is its owner. */
void kv_exchange_send(struct kv_exchange *exchange, struct kv_command *command,
                      kv_command_finished_fn finished);

/* Memory for the resource, as long as the exchange lives; once. It is zero. */
void *kv_exchange_keep(struct kv_exchange *exchange, size_t size, void (*dispose)(void *memory));

#endif
