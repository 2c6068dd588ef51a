/*
 * `/events`: subscriptions as Server-Sent Events. Invalid requests are refused before the stream
 * begins; core/events runs the stream.
 */
#include <stdlib.h>

#include "http/identify.h"
#include "http/resource.h"
#include "keyspace/admission.h"
#include "wire/event_text.h"
#include "wire/query.h"

enum {
    LONGEST_PREFIXES_TOLD = 512 /* bytes of a refusal */
};

enum {
    KEY,
    PREFIX,
    INITIAL,
    META,
    SINCE,
    EPOCH,
    N_PARAMETERS
};

static const struct kv_slice names[N_PARAMETERS] = {
    [KEY] = {"key", 3},   [PREFIX] = {"prefix", 6}, [INITIAL] = {"initial", 7},
    [META] = {"meta", 4}, [SINCE] = {"since", 5},   [EPOCH] = {"epoch", 5},
};
static const struct kv_query_form form = {
    .names = names, .n_names = N_PARAMETERS, .repeatable = 1u << KEY | 1u << PREFIX};

/* ---- the request ---- */

/* The subscriptions that a request asks for, or its fault. */
struct reading {
    struct kv_wish wish;
    uint64_t cost;  /* of its subscriptions */
    uint32_t given; /* a bit for each parameter */
    int status;     /* of the refusal */
    struct kv_error error;
};

static int read_subject(struct reading *reading, const struct kv_http_context *here,
                        struct kv_slice text, bool is_prefix)
{
    size_t most_bytes = here->config->limits.max_key_bytes;
    if (text.len > most_bytes) {
        reading->status = 414;
        return kv_error_set(&reading->error, "the %s has %zu bytes, the limit is %zu",
                            is_prefix ? "prefix" : "key", text.len, most_bytes);
    }
    reading->cost += kv_subscription_cost(text);
    if (!kv_events_have_room(here->events, here->index, reading->cost))
        return kv_error_set(&reading->error, "%s", kv_command_status_text(KV_TOO_MANY_TOPICS));
    kv_wish_add(&reading->wish, text, is_prefix);
    return 0;
}

static int read_parameter(struct reading *reading, const struct kv_http_context *here, int which,
                          struct kv_slice value)
{
    struct kv_wish *wish = &reading->wish;
    reading->given |= 1u << which;
    switch (which) {
    case KEY:
    case PREFIX:
        return read_subject(reading, here, value, which == PREFIX);
    case INITIAL:
        return kv_query_read_bool(names[INITIAL], value, &wish->initial, &reading->error);
    case META:
        return kv_query_read_bool(names[META], value, &wish->meta, &reading->error);
    case SINCE:
        return kv_query_read_number(names[SINCE], value, 0, KV_REVISION_MAX, &wish->since,
                                    &reading->error);
    default:
        wish->epoch = value;
        return 0;
    }
}

static int check(struct reading *reading)
{
    uint32_t place = reading->given & (1u << SINCE | 1u << EPOCH);
    if (reading->wish.n == 0)
        return kv_error_set(&reading->error,
                            "it takes at least one parameter \"key\" or \"prefix\", to say what to "
                            "subscribe to: /events?key=a, /events?prefix=room/");
    if (place != 0 && place != (1u << SINCE | 1u << EPOCH))
        return kv_error_set(&reading->error, "\"since\" and \"epoch\" go together");
    reading->wish.has_since = place != 0;
    return 0;
}

/* Returns: 0, or -1 and the fault in the reading. */
static int read_query(struct reading *reading, const struct kv_http_context *here,
                      struct kv_query *query)
{
    struct kv_slice value;
    int which;
    reading->status = 400;
    while ((which = kv_query_next(query, &value, &reading->error)) >= 0)
        if (read_parameter(reading, here, which, value) != 0)
            return -1;
    return which == KV_QUERY_END ? check(reading) : -1;
}

/* The header takes precedence over the query, which browsers repeat. An id that is not the server's
 * has an epoch that never matches. */
static void read_last_event_id(struct kv_wish *wish, const struct kv_request *request)
{
    struct kv_slice id;
    size_t at = 0;
    if (!kv_request_next_header(request, KV_HEADER_LAST_EVENT_ID, &at, &id))
        return;
    wish->has_since = true;
    if (!kv_event_read_id(id, &wish->epoch, &wish->since))
        wish->epoch = (struct kv_slice){0};
}

/* ---- the answer ---- */

struct handover {
    struct kv_handover base;
    struct kv_http_context *here;
    struct kv_wish wish;
    bool is_head; /* send only the head */
};

static void open_stream(struct kv_handover *base, struct kv_connection *connection,
                        struct kv_client *client)
{
    struct handover *handover = KV_CONTAINER(base, struct handover, base);
    struct kv_http_context *here = handover->here;
    if (connection != NULL && handover->is_head) {
        kv_connection_linger(connection);
        kv_connection_close(connection);
    } else if (connection != NULL) {
        kv_events_open(here->events, here->index, connection, &handover->wish, client);
    }
    kv_wish_fini(&handover->wish);
    free(handover);
}

/* Takes the wish over. */
static void stream(struct kv_exchange *exchange, struct kv_wish *wish)
{
    static const struct kv_answer head = {.status = 200, .content = KV_CONTENT_EVENTS};
    struct handover *handover = kv_alloc(sizeof(*handover));
    *handover = (struct handover){.base = {.open = open_stream},
                                  .here = exchange->here,
                                  .wish = *wish,
                                  .is_head = exchange->is_head};
    *wish = (struct kv_wish){0};
    exchange->carrier->hand_over(exchange, &head, &handover->base);
}

static void dispose_wish(void *wish)
{
    kv_wish_fini(wish);
}

static void on_caught_up(struct kv_command *command)
{
    struct kv_exchange *exchange = command->owner;
    stream(exchange, exchange->kept);
}

/* Takes the wish over. The head says that the subscriptions are in force: so what they would have
 * to wait for is waited for ahead of it. */
static void stream_in_time(struct kv_exchange *exchange, struct kv_wish *wish)
{
    struct kv_http_context *here = exchange->here;
    if (!kv_keyspace_catches_up(kv_keyspace_of(here->keyspace_loop))) {
        stream(exchange, wish);
        return;
    }
    struct kv_wish *kept = kv_exchange_keep(exchange, sizeof(*kept), dispose_wish);
    *kept = *wish;
    *wish = (struct kv_wish){0};
    kv_exchange_send(exchange, kv_command_create(here->keyspace_loop, KV_COMMAND_CATCH_UP),
                     on_caught_up);
}

/* The stream could only end at once: who may not have it is told so. */
static bool is_granted(const struct kv_exchange *exchange, const struct kv_wish *wish)
{
    for (size_t i = 0; i < wish->n; i++)
        if (!kv_admission_allows_subscription(exchange->client->principal, wish->wished[i].text)) {
            const struct kv_principal *principal = exchange->client->principal;
            enum kv_denial cause =
                kv_principal_is_identified(principal) ? KV_DENIED_NO_RIGHT : KV_DENIED_NO_TOKEN;
            struct kv_address_text address;
            bool has_address = kv_client_address(exchange->client, &address);
            const struct kv_denied denied = {principal, has_address ? address.text : NULL};
            kv_denials_log(exchange->here->access->denials, cause, &denied, "subscribe to",
                           wish->wished[i].text,
                           cause == KV_DENIED_NO_TOKEN ? kv_command_status_text(KV_UNIDENTIFIED)
                                                       : "the right `read` is not granted for it");
            return false;
        }
    return true;
}

static void refuse_wish(struct kv_exchange *exchange)
{
    struct kv_buffer text = {0};
    kv_buffer_append(&text, KV_SLICE("keys and prefixes must lie within what is granted: "));
    kv_prefixes_print(&exchange->client->principal->grants->read, LONGEST_PREFIXES_TOLD, &text);
    if (exchange->client->principal->grants->read.n == 0)
        kv_buffer_append(&text, KV_SLICE("nothing"));
    kv_buffer_append_char(&text, '\0');
    kv_http_refuse_right(exchange, text.bytes);
    kv_buffer_fini(&text);
}

static void serve_wish(struct kv_exchange *exchange, const struct kv_request *request,
                       struct kv_wish *wish)
{
    read_last_event_id(wish, request);
    if (!is_granted(exchange, wish))
        refuse_wish(exchange);
    else if (!kv_http_is_ready(exchange->here))
        kv_exchange_refuse_unready(exchange);
    else if (kv_wish_keep(wish) != 0)
        kv_exchange_refuse(exchange, (struct kv_answer){.status = 507},
                           "there is no memory for the subscriptions");
    else
        stream_in_time(exchange, wish);
}

static void serve(struct kv_exchange *exchange, const struct kv_request *request)
{
    struct reading reading = {.status = 0};
    struct kv_query query;
    if (!kv_exchange_begin_query(exchange, &form, request->query, &query))
        return;
    if (read_query(&reading, exchange->here, &query) != 0)
        kv_exchange_refuse(exchange, (struct kv_answer){.status = reading.status}, "%s",
                           reading.error.text);
    else
        serve_wish(exchange, request, &reading.wish);
    kv_wish_fini(&reading.wish);
}

const struct kv_resource kv_resource_events = {
    .path = {"/events", 7}, .methods = KV_METHODS_READING, .keeps = true, .serve = serve};
