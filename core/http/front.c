/*
 * A connection in front: what a read has brought is taken request by request and sent to the
 * keyspace, in its client's order; answers come back in that order, and the stage writes all of a
 * turn at once. Commands borrow the key and the value from the input, which is therefore given back
 * in the stage, behind the keyspace's, and not before.
 *
 * A connection leaves the front in the stage only, when all that it was asked is answered and sent:
 * to libh2o with the input that the front did not take, or closed. Before that it may be held up:
 * while it has too many commands under way or too much unsent, it is not read on.
 */
#include "http/front.h"

#include <assert.h>
#include <stdlib.h>

#include "http/body.h"
#include "http/front_answer.h"
#include "http/front_request.h"
#include "http/impl.h"
#include "wire/key_path.h"

enum {
    LARGEST_KEPT = 4096 /* of the memory for a decoded key */
};

/* A connection goes through these downwards only. */
enum state {
    SERVING,
    LEAVING, /* what comes next is libh2o's */
    ENDING,  /* nothing comes any more, or nothing more is answered: closes when all is sent */
    BROKEN,  /* closes at once */
};

struct kv_front {
    struct kv_http_loop *here;
    struct kv_connection *connection;
    struct kv_list in_loop;
    struct kv_list in_active;
    struct kv_client *client; /* NULL until the first request */
    enum state state;
    bool has_partial; /* the input ends within a request; the next read must complete it */
    bool is_held_up;  /* input is left because of a limit */
    size_t n_lent;    /* bytes of the input that commands of this turn borrow */
    struct kv_outbound out;
};

static struct kv_channel *channel_of(const struct kv_front *front)
{
    return &front->connection->channel;
}

static void activate(struct kv_front *front)
{
    if (kv_list_is_empty(&front->in_active))
        kv_list_append(&front->here->front.active, &front->in_active);
}

static void turn_to(struct kv_front *front, enum state state)
{
    if (front->state < state)
        front->state = state;
}

static bool has_commands(const struct kv_front *front)
{
    return front->client != NULL && front->client->n_commands != 0;
}

static bool is_busy(const void *user)
{
    const struct kv_front *front = user;
    return has_commands(front) || front->out.bytes != 0;
}

/* The input that has not been taken. */
static struct kv_slice input_of(const struct kv_front *front)
{
    size_t len;
    const char *bytes = kv_channel_input(channel_of(front), &len);
    if (len == front->n_lent)
        return KV_SLICE("");
    return (struct kv_slice){bytes + front->n_lent, len - front->n_lent};
}

/* Answers. */

static struct kv_slice date_of(struct kv_http_loop *here)
{
    h2o_get_timestamp(&here->context, NULL, NULL); /* brings the cache up to date */
    return (struct kv_slice){here->context._timestamp_cache.value->rfc1123,
                             H2O_TIMESTR_RFC1123_LEN};
}

/* While service ends, the answer behind which nothing waits is the connection's last. */
static bool is_last(const struct kv_front *front)
{
    return kv_http_is_draining(front->here) && !has_commands(front) && input_of(front).len == 0;
}

static void answer(struct kv_front *front, struct kv_command *command, bool is_head)
{
    struct kv_http_loop *here = front->here;
    activate(front);
    if (front->state == BROKEN)
        return;
    struct kv_http_answer to_send = kv_http_answer_to(command);
    const struct kv_front_sending sending = {
        .date = date_of(here), .is_head = is_head, .is_last = is_last(front)};
    if (sending.is_last) {
        turn_to(front, ENDING);
        kv_connection_linger(front->connection);
    }
    kv_front_answer_write(&front->out, here->http->keyspace, &to_send, &sending);
}

static void on_finished(struct kv_command *command)
{
    answer(command->owner, command, false);
}

static void on_head_finished(struct kv_command *command)
{
    answer(command->owner, command, true);
}

/* Requests. */

static struct kv_client *client_of(struct kv_front *front)
{
    if (front->client == NULL)
        front->client = kv_client_create(front->here->keyspace, front, 0, NULL);
    return front->client;
}

/* Returns: false where something is wrong with the key. */
static bool read_key(struct kv_http_loop *here, struct kv_slice escaped, struct kv_slice *ret_key)
{
    const char *what;
    size_t offset;
    return kv_key_path_read(escaped, &here->front.decoded, ret_key, &what, &offset) == 0 &&
           ret_key->len <= here->http->config.max_key_bytes;
}

static bool read_body(const struct kv_http_loop *here, struct kv_slice text,
                      struct kv_http_body *ret_body)
{
    const struct kv_http_config *config = &here->http->config;
    struct kv_error error;
    return kv_http_body_read(text, config->max_depth, ret_body, &error) == 0 &&
           ret_body->value.len <= config->max_value_bytes;
}

/* Returns: false where it is a request that libh2o's way refuses. */
static bool serve(struct kv_front *front, const struct kv_front_request *request)
{
    struct kv_http_loop *here = front->here;
    struct kv_http_body body = {0};
    struct kv_slice key;
    if (!read_key(here, request->escaped_key, &key) ||
        (request->kind == KV_COMMAND_SET && !read_body(here, request->body, &body)))
        return false;
    struct kv_command *command = kv_command_create(here->keyspace, request->kind);
    command->key = key;
    command->owner = front;
    command->finished = request->is_head ? on_head_finished : on_finished;
    kv_http_body_apply(&body, command);
    bool is_decoded = key.bytes != request->escaped_key.bytes;
    if (is_decoded && kv_command_keep_key(command) != 0) {
        kv_command_free(command);
        return false;
    }
    kv_client_send(client_of(front), command);
    return true;
}

static bool may_take(const struct kv_front *front)
{
    const struct kv_http_config *config = &front->here->http->config;
    return (front->client == NULL || front->client->n_commands < config->max_pending) &&
           front->out.bytes < config->max_unsent_bytes;
}

/* Takes one request. Returns: its length; 0 where there is none to take. */
static size_t take_request(struct kv_front *front, struct kv_slice input)
{
    struct kv_front_request request;
    enum kv_front_verdict verdict = kv_front_request_read(input, &request);
    if (verdict == KV_FRONT_PARTIAL && !front->has_partial) {
        front->has_partial = true;
        return 0;
    }
    front->has_partial = false;
    if (verdict == KV_FRONT_SIMPLE && serve(front, &request))
        return request.len;
    turn_to(front, LEAVING);
    return 0;
}

static void take_input(struct kv_front *front)
{
    struct kv_slice input = input_of(front);
    front->is_held_up = false;
    if (input.len != 0 && kv_http_is_draining(front->here))
        turn_to(front, LEAVING);
    while (input.len != 0 && front->state == SERVING) {
        front->is_held_up = !may_take(front);
        size_t taken = front->is_held_up ? 0 : take_request(front, input);
        if (taken == 0)
            return;
        front->n_lent += taken;
        input = (struct kv_slice){input.bytes + taken, input.len - taken};
    }
}

/* The socket. */

static void on_read(void *user, enum kv_channel_event event)
{
    struct kv_front *front = user;
    activate(front);
    if (event != KV_CHANNEL_READY) {
        turn_to(front, event == KV_CHANNEL_ENDED ? ENDING : BROKEN);
        kv_channel_read(channel_of(front), false);
        return;
    }
    assert(front->n_lent == 0); /* or reading would have moved what is lent */
    kv_connection_touch(front->connection);
    take_input(front);
}

/* What has been read is worked off before more is read: so input stays bounded, and the end of the
 * connection is not seen before the last request. */
static void watch_input(struct kv_front *front)
{
    kv_channel_read(channel_of(front), front->state == SERVING && !front->is_held_up);
}

static void on_written(void *user, enum kv_channel_event event)
{
    struct kv_front *front = user;
    activate(front);
    if (event != KV_CHANNEL_READY)
        turn_to(front, BROKEN);
    else
        kv_outbound_written(&front->out);
}

/* The keyspace has what it needs of the input by now. */
static void give_input_back(struct kv_front *front)
{
    kv_channel_consume(channel_of(front), front->n_lent);
    front->n_lent = 0;
}

static void take_held_up(struct kv_front *front)
{
    take_input(front);
    kv_keyspace_submit_now(front->here->keyspace); /* its stage has run */
    give_input_back(front);
}

static bool is_through(const struct kv_front *front)
{
    return front->state == BROKEN || (front->state != SERVING && !is_busy(front));
}

static void destroy(struct kv_front *front)
{
    kv_list_remove(&front->in_active);
    kv_list_remove(&front->in_loop);
    if (front->client != NULL)
        kv_client_close(front->client);
    kv_outbound_fini(&front->out);
    free(front);
}

static void leave(struct kv_front *front)
{
    if (front->state == LEAVING)
        kv_http_give_to_library(front->here, front->connection);
    else
        kv_connection_close(front->connection);
    destroy(front);
}

/* What is held up is looked at last: either it may be taken now, or something is under way or in
 * flight whose end will bring the connection here again. */
static void go_on(struct kv_front *front)
{
    give_input_back(front);
    kv_list_remove(&front->in_active);
    if (front->state != BROKEN)
        kv_outbound_write(&front->out, channel_of(front));
    if (front->is_held_up && may_take(front))
        take_held_up(front);
    if (is_through(front))
        leave(front);
    else
        watch_input(front);
}

/* The loop. */

static void run_stage(struct kv_loop_stage *stage)
{
    struct kv_front_loop *loop = KV_CONTAINER(stage, struct kv_front_loop, stage);
    KV_LIST_EACH(&loop->active, link, after)
    go_on(KV_CONTAINER(link, struct kv_front, in_active));
    kv_buffer_trim(&loop->decoded, LARGEST_KEPT);
}

static int64_t stage_wake_at(struct kv_loop_stage *stage)
{
    struct kv_front_loop *loop = KV_CONTAINER(stage, struct kv_front_loop, stage);
    return kv_list_is_empty(&loop->active) ? INT64_MAX : INT64_MIN;
}

void kv_front_init(struct kv_http_loop *here)
{
    here->front.stage.run = run_stage;
    here->front.stage.wake_at = stage_wake_at;
    kv_list_init(&here->front.all);
    kv_list_init(&here->front.active);
    kv_loop_add_stage(here->loop, &here->front.stage);
}

void kv_front_fini(struct kv_http_loop *here)
{
    kv_buffer_fini(&here->front.decoded);
}

void kv_front_open(struct kv_http_loop *here, struct kv_connection *connection)
{
    static const struct kv_protocol protocol = {
        .on_read = on_read, .on_written = on_written, .is_busy = is_busy};
    struct kv_front *front = kv_calloc(1, sizeof(*front));
    front->here = here;
    front->connection = connection;
    kv_list_append(&here->front.all, &front->in_loop);
    kv_list_init(&front->in_active);
    kv_outbound_init(&front->out);
    kv_connection_serve(connection, &protocol, front);
    kv_channel_read(&connection->channel, true);
}

void kv_front_drain(struct kv_http_loop *here)
{
    KV_LIST_EACH(&here->front.all, link, after)
    {
        struct kv_front *front = KV_CONTAINER(link, struct kv_front, in_loop);
        if (input_of(front).len != 0)
            turn_to(front, LEAVING);
        activate(front);
    }
}
