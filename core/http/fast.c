/*
 * The requests in a read are taken one by one and given to the resources, whose commands go to the
 * keyspace in the client's order; answers come back in that order, and the stage writes all answers
 * of a turn at once. Commands borrow the key and the value from the input, so it is consumed only
 * in the stage, after the keyspace's.
 *
 * Exchanges keep only whether the answer has a body; so a connection has two of them for all its
 * requests. An answer that a resource gives at once, while earlier requests are under way, waits
 * for its place as a note among the commands.
 *
 * A connection leaves the fast path only in the stage, when everything before is answered and sent:
 * it goes to libh2o with the remaining input, or is closed. Before that it may be held up: while it
 * has too many commands under way or too much unsent, it is not read. When it has used up its
 * quantum of the turn, its input waits for the next turn.
 */
#include "http/fast.h"

#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"
#include "http/fast_answer.h"
#include "http/fast_request.h"
#include "http/h2o_answer.h"
#include "http/serve.h"

enum {
    LARGEST_KEPT = 4096 /* of the loop's buffers, from one turn to the next */
};

/* A connection only moves downwards through these states. */
enum state {
    SERVING,
    LEAVING, /* later requests are libh2o's */
    ENDING,  /* nothing more arrives, or is answered: closes when all is sent */
    BROKEN,  /* closes at once */
};

struct fast {
    struct kv_fast_loop *loop;
    struct kv_connection *connection;
    struct kv_list in_loop;
    struct kv_list in_active;
    struct kv_client *client; /* NULL until the first request */
    enum state state;
    bool has_partial; /* the input ends within a request; the next read must complete it */
    bool is_held_up;  /* input is left because of a limit, or for another turn */
    const struct kv_request *serving; /* the request being passed to a resource; NULL: none */
    size_t n_lent;                    /* bytes of the input that commands of this turn borrow */
    struct kv_quantum quantum;
    struct kv_head_memory heads;
    struct kv_exchange exchange;
    struct kv_exchange head_exchange; /* for HEAD */
    struct kv_outbound out;
};

static struct kv_http_context *context_of(const struct fast *fast)
{
    return fast->loop->here;
}

static struct kv_channel *channel_of(const struct fast *fast)
{
    return &fast->connection->channel;
}

static struct fast *fast_of(struct kv_exchange *exchange)
{
    return exchange->is_head ? KV_CONTAINER(exchange, struct fast, head_exchange)
                             : KV_CONTAINER(exchange, struct fast, exchange);
}

static void activate(struct fast *fast)
{
    if (kv_list_is_empty(&fast->in_active))
        kv_list_append(&fast->loop->active, &fast->in_active);
}

static void turn_to(struct fast *fast, enum state state)
{
    if (fast->state < state)
        fast->state = state;
}

static bool has_commands(const struct fast *fast)
{
    return fast->client != NULL && fast->client->n_commands != 0;
}

static bool is_busy(const void *user)
{
    const struct fast *fast = user;
    return has_commands(fast) || fast->out.bytes != 0;
}

static size_t holds(const void *user)
{
    const struct fast *fast = user;
    return fast->client == NULL ? fast->out.bytes : kv_client_holds(fast->client);
}

static void account(const void *user, struct kv_connection_account *ret)
{
    const struct fast *fast = user;
    ret->unsent = fast->out.bytes;
    if (fast->client != NULL)
        ret->name = fast->client->principal->name;
}

/* The input that has not been taken. */
static struct kv_slice input_of(const struct fast *fast)
{
    size_t len;
    const char *bytes = kv_channel_input(channel_of(fast), &len);
    if (len == fast->n_lent)
        return KV_SLICE("");
    return (struct kv_slice){bytes + fast->n_lent, len - fast->n_lent};
}

/* ---- answers ---- */

/* While service ends, a connection's last answer is the one after which no request waits. */
static bool is_last(const struct fast *fast, const struct kv_answer *answer)
{
    return answer->is_last || (kv_http_is_draining(context_of(fast)) && !has_commands(fast) &&
                               input_of(fast).len == 0);
}

static void write_answer(struct fast *fast, struct kv_answer *answer, bool is_head)
{
    struct kv_keyspace *keyspace = context_of(fast)->keyspace;
    if (fast->state == BROKEN) {
        kv_keyspace_release(keyspace, &answer->item);
        return;
    }
    const struct kv_fast_sending sending = {.date = kv_h2o_date(&fast->loop->h2o->context),
                                            .is_head = is_head,
                                            .is_last = is_last(fast, answer)};
    if (sending.is_last) {
        turn_to(fast, ENDING);
        kv_connection_linger(fast->connection);
    }
    kv_quantum_charge(&fast->quantum, &fast->loop->quanta, kv_answer_body_len(answer));
    kv_fast_answer_write(&fast->out, keyspace, answer, &sending);
}

/* A noted answer: the struct, followed by its text. */
static void on_note_finished(struct kv_command *note)
{
    struct kv_exchange *exchange = note->owner;
    struct kv_answer answer;
    memcpy(&answer, note->note.bytes, sizeof(answer));
    answer.text.bytes = note->note.bytes + sizeof(answer);
    activate(fast_of(exchange));
    write_answer(fast_of(exchange), &answer, exchange->is_head);
}

static void note_answer(struct kv_exchange *exchange, const struct kv_answer *answer)
{
    struct fast *fast = fast_of(exchange);
    struct kv_command *note = kv_command_create(context_of(fast)->keyspace_loop, KV_COMMAND_NOTE);
    struct kv_buffer bytes = {0};
    assert(answer->item.revision == 0 && answer->file == NULL && answer->location.len == 0);
    kv_buffer_append(&bytes, (struct kv_slice){(const char *)answer, sizeof(*answer)});
    kv_buffer_append(&bytes, answer->text);
    note->note = kv_buffer_slice(&bytes);
    bool is_kept = kv_command_keep(note) == 0;
    kv_buffer_fini(&bytes);
    if (is_kept) {
        kv_exchange_send(exchange, note, on_note_finished);
    } else {
        kv_command_free(note);
        turn_to(fast, BROKEN);
    }
}

static void answer(struct kv_exchange *exchange, struct kv_answer *to_send)
{
    struct fast *fast = fast_of(exchange);
    activate(fast);
    if (fast->serving != NULL && has_commands(fast))
        note_answer(exchange, to_send);
    else
        write_answer(fast, to_send, exchange->is_head);
}

/* The request stays in the input, and the connection leaves when everything before is answered. */
static void leave_request(struct kv_exchange *exchange)
{
    turn_to(fast_of(exchange), LEAVING);
}

static const struct kv_request *asked(struct kv_exchange *exchange, int64_t *ret_began_ns)
{
    const struct fast *fast = fast_of(exchange);
    *ret_began_ns = *kv_loop_began_ns(context_of(fast)->loop);
    return fast->serving;
}

static const struct kv_carrier carrier = {.answer = answer, .leave = leave_request, .asked = asked};

/* ---- requests ---- */

static struct kv_exchange create_exchange(const struct fast *fast, bool is_head)
{
    return (struct kv_exchange){
        .carrier = &carrier, .here = context_of(fast), .client = fast->client, .is_head = is_head};
}

static struct kv_address address_of(const void *owner)
{
    const struct fast *fast = owner;
    return kv_connection_address(fast->connection);
}

static void prepare(struct fast *fast)
{
    if (fast->client != NULL)
        return;
    fast->client = kv_client_create(context_of(fast)->keyspace_loop, fast, NULL, 0);
    kv_client_tell_address(fast->client, address_of);
    kv_client_limit(fast->client, &fast->out.bytes,
                    context_of(fast)->config->limits.max_unsent_bytes);
    fast->exchange = create_exchange(fast, false);
    fast->head_exchange = create_exchange(fast, true);
}

static void serve(struct fast *fast, struct kv_request *request)
{
    bool is_head = request->method == KV_METHOD_HEAD;
    prepare(fast);
    fast->serving = request;
    kv_http_serve(is_head ? &fast->head_exchange : &fast->exchange, request);
    fast->serving = NULL;
}

static bool may_take(const struct fast *fast)
{
    const struct kv_http_config *config = context_of(fast)->config;
    if (fast->client == NULL)
        return fast->out.bytes < config->limits.max_unsent_bytes;
    return fast->client->n_commands < config->limits.max_pending &&
           kv_client_takes_more(fast->client);
}

static enum kv_fast_verdict read_request(struct fast *fast, struct kv_slice input,
                                         struct kv_request *request, size_t *ret_len)
{
    if (fast->client != NULL)
        kv_head_memory_use_token(&fast->heads, fast->client->principal->token);
    return kv_fast_request_read(input, &fast->heads, request, ret_len);
}

/* Takes one request. Returns: its length; 0 if there is none to take. */
static size_t take_request(struct fast *fast, struct kv_slice input)
{
    struct kv_request request;
    size_t len;
    enum kv_fast_verdict verdict = read_request(fast, input, &request, &len);
    if (verdict == KV_FAST_PARTIAL && !fast->has_partial) {
        fast->has_partial = true;
        return 0;
    }
    fast->has_partial = false;
    if (verdict != KV_FAST_PLAIN) {
        turn_to(fast, LEAVING);
        return 0;
    }
    request.is_unix = fast->connection->is_unix;
    request.certificate = kv_connection_certificate(fast->connection);
    serve(fast, &request);
    return fast->state == LEAVING ? 0 : len;
}

static void take_input(struct fast *fast)
{
    struct kv_slice input = input_of(fast);
    fast->is_held_up = false;
    kv_head_memory_begin(&fast->heads);
    if (input.len != 0 && kv_http_is_draining(context_of(fast)))
        turn_to(fast, LEAVING);
    while (input.len != 0 && fast->state == SERVING) {
        fast->is_held_up = kv_quantum_is_used_up(&fast->quantum) || !may_take(fast);
        size_t taken = fast->is_held_up ? 0 : take_request(fast, input);
        if (taken == 0)
            return;
        fast->n_lent += taken;
        kv_quantum_charge(&fast->quantum, &fast->loop->quanta, KV_QUANTUM_MESSAGE + taken);
        input = (struct kv_slice){input.bytes + taken, input.len - taken};
    }
}

/* ---- the channel ---- */

static void on_read(void *user, enum kv_channel_event event)
{
    struct fast *fast = user;
    activate(fast);
    if (event != KV_CHANNEL_READY) {
        turn_to(fast, event == KV_CHANNEL_ENDED ? ENDING : BROKEN);
        kv_channel_read(channel_of(fast), false);
        return;
    }
    assert(fast->n_lent == 0); /* or reading would move the borrowed bytes */
    kv_connection_touch(fast->connection);
    kv_quantum_grant(&fast->quantum, &fast->loop->quanta);
    take_input(fast);
}

/* Input is processed before more is read: so it stays bounded, and the end of the connection is not
 * seen before the last request. */
static void watch_input(struct fast *fast)
{
    kv_channel_read(channel_of(fast), fast->state == SERVING && !fast->is_held_up);
}

static void on_written(void *user, enum kv_channel_event event)
{
    struct fast *fast = user;
    activate(fast);
    if (event != KV_CHANNEL_READY)
        turn_to(fast, BROKEN);
    else
        kv_outbound_written(&fast->out);
}

/* The keyspace copies what it still needs of the input. */
static void consume_input(struct fast *fast)
{
    if (fast->n_lent != 0 && has_commands(fast))
        kv_client_keep(fast->client);
    kv_channel_consume(channel_of(fast), fast->n_lent);
    fast->n_lent = 0;
}

/* The input taken is lent until the next turn's stage. */
static void take_held_up(struct kv_quantum *quantum)
{
    struct fast *fast = KV_CONTAINER(quantum, struct fast, quantum);
    activate(fast);
    take_input(fast);
}

static bool is_through(const struct fast *fast)
{
    return fast->state == BROKEN || (fast->state != SERVING && !is_busy(fast));
}

static void destroy(struct fast *fast)
{
    kv_quantum_fini(&fast->quantum);
    kv_list_remove(&fast->in_active);
    kv_list_remove(&fast->in_loop);
    if (fast->client != NULL)
        kv_client_close(fast->client);
    kv_outbound_fini(&fast->out);
    free(fast);
}

static void leave(struct fast *fast)
{
    if (fast->state == LEAVING)
        kv_h2o_open(fast->loop->h2o, fast->connection, fast->client);
    else
        kv_connection_close(fast->connection);
    destroy(fast);
}

static void write_all(struct fast *fast)
{
    kv_outbound_write(&fast->out, channel_of(fast));
    if (fast->client != NULL)
        kv_client_make_room(fast->client);
}

/* Input that is held up is checked last: either it may be taken in the next turn, or something is
 * under way or in flight whose end will activate the connection again. */
static void go_on(struct fast *fast)
{
    consume_input(fast);
    kv_list_remove(&fast->in_active);
    if (fast->state != BROKEN)
        write_all(fast);
    if (fast->is_held_up && may_take(fast))
        kv_quantum_wait(&fast->quantum, &fast->loop->quanta);
    if (is_through(fast))
        leave(fast);
    else
        watch_input(fast);
}

/* ---- the loop ---- */

static void run_stage(struct kv_loop_stage *stage)
{
    struct kv_fast_loop *loop = KV_CONTAINER(stage, struct kv_fast_loop, stage);
    KV_LIST_EACH(&loop->active, link, after)
    go_on(KV_CONTAINER(link, struct fast, in_active));
    kv_quanta_end_turn(&loop->quanta, take_held_up);
    kv_buffer_trim(&loop->here->decoded, LARGEST_KEPT);
    kv_buffer_trim(&loop->here->text, LARGEST_KEPT);
}

static int64_t stage_wake_at(struct kv_loop_stage *stage)
{
    struct kv_fast_loop *loop = KV_CONTAINER(stage, struct kv_fast_loop, stage);
    bool has_work = !kv_list_is_empty(&loop->active) || kv_quanta_are_waited_for(&loop->quanta);
    return has_work ? INT64_MIN : INT64_MAX;
}

/* The fast path must not drop a header that a resource reads. */
static void assert_nothing_is_hidden(void)
{
    for (enum kv_header_id id = 0; id < KV_HEADER_CONTENT_TYPE; id++)
        assert(!kv_fast_request_hides(kv_header_name(id)));
}

void kv_fast_loop_init(struct kv_fast_loop *loop, struct kv_http_context *here,
                       struct kv_h2o_loop *h2o)
{
    assert_nothing_is_hidden();
    loop->here = here;
    loop->h2o = h2o;
    kv_fast_revise(loop);
    loop->stage.run = run_stage;
    loop->stage.wake_at = stage_wake_at;
    kv_list_init(&loop->all);
    kv_list_init(&loop->active);
    kv_quanta_init(&loop->quanta);
    kv_loop_add_stage(here->loop, &loop->stage);
}

void kv_fast_revise(struct kv_fast_loop *loop)
{
    kv_known_heads_forget(&loop->known_heads);
    loop->known_heads.reads_cookies = loop->here->access->rules->cookie.len != 0;
}

void kv_fast_open(struct kv_fast_loop *loop, struct kv_connection *connection)
{
    static const struct kv_protocol protocol = {.transport = KV_TRANSPORT_HTTP,
                                                .account = account,
                                                .on_read = on_read,
                                                .on_written = on_written,
                                                .is_busy = is_busy,
                                                .holds = holds,
                                                .is_always_ready = true};
    struct fast *fast = kv_calloc(1, sizeof(*fast));
    fast->loop = loop;
    fast->connection = connection;
    kv_list_append(&loop->all, &fast->in_loop);
    kv_list_init(&fast->in_active);
    kv_outbound_init(&fast->out, &connection->among->chunks);
    kv_quantum_init(&fast->quantum);
    fast->heads = kv_head_memory_of(&loop->known_heads);
    kv_connection_serve(connection, &protocol, fast);
    kv_channel_read(&connection->channel, true);
    if (input_of(fast).len != 0) /* it came before the service began */
        on_read(fast, KV_CHANNEL_READY);
}

void kv_fast_take_limits(struct kv_fast_loop *loop)
{
    KV_LIST_EACH(&loop->all, link, after)
    {
        struct fast *fast = KV_CONTAINER(link, struct fast, in_loop);
        if (fast->client != NULL)
            kv_client_change_limit(fast->client, context_of(fast)->config->limits.max_unsent_bytes);
        activate(fast); /* the limits may allow more now */
    }
}

void kv_fast_drain(struct kv_fast_loop *loop)
{
    KV_LIST_EACH(&loop->all, link, after)
    {
        struct fast *fast = KV_CONTAINER(link, struct fast, in_loop);
        if (input_of(fast).len != 0)
            turn_to(fast, LEAVING);
        activate(fast);
    }
}
