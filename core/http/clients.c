/*
 * `GET /admin/clients`: the connections of all loops, in the order of their ids, in pages. A post
 * visits each loop and gathers candidates for the page; back on the loop of the request, the
 * smallest ids make up the page. The request may have ended meanwhile.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "http/resource.h"
#include "wire/json_string.h"
#include "wire/query.h"

enum {
    USUAL_LIMIT = 100,
    MOST = 1000, /* connections in a page */
    LONGEST_NAME = 256,
    BYTES_OF_ONE = 512, /* of memory for a connection, seldom more */
};

enum {
    LIMIT,
    CURSOR,
    N_PARAMETERS
};

static const struct kv_slice names[N_PARAMETERS] = {
    [LIMIT] = {"limit", 5}, [CURSOR] = {"cursor", 6}};
static const struct kv_query_form form = {.names = names, .n_names = N_PARAMETERS};

/* A connection, and the place of its text. */
struct entry {
    uint64_t id;
    size_t at, len;
};

/* Belongs to the exchange; to the post while that is under way. */
struct gathering {
    struct kv_post post;
    struct kv_http_context *here;
    struct kv_exchange *exchange; /* NULL: it has ended */
    uint32_t next;                /* loop to visit */
    uint64_t after;               /* only ids above this one */
    uint64_t limit;
    size_t n_here; /* found on the current loop */
    bool has_more;
    struct kv_charge charge; /* for the text, the entries, and the page */
    struct kv_buffer text;
    struct entry *entries;
    size_t n, capacity;
};

/* ---- on each loop ---- */

static void put_name(struct kv_buffer *out, struct kv_slice name)
{
    if (name.len == 0)
        return;
    if (name.len > LONGEST_NAME)
        name.len = kv_utf8_valid_len((struct kv_slice){name.bytes, LONGEST_NAME});
    kv_buffer_append(out, KV_SLICE(",\"name\":"));
    kv_json_append_string(out, name);
}

static void put_connection(struct kv_buffer *out, const struct kv_connection *connection)
{
    struct kv_connection_account account;
    char address[64];
    kv_connection_account(connection, &account);
    kv_buffer_printf(out, "{\"id\":%" PRIu64 ",\"transport\":\"%s\"", connection->id,
                     kv_transport_name(account.transport));
    struct kv_address peer = kv_connection_address(connection);
    if (kv_address_print(&peer, address, sizeof(address)))
        kv_buffer_printf(out, ",\"address\":\"%s\"", address);
    put_name(out, account.name);
    kv_buffer_printf(
        out,
        ",\"tls\":%s,\"unix\":%s,\"age\":%" PRId64 ",\"subscriptions\":%" PRIu64 ",\"unsent\":%zu}",
        connection->tls != NULL ? "true" : "false", connection->is_unix ? "true" : "false",
        kv_loop_now_ms(connection->among->loop) - connection->opened_ms, account.n_subscriptions,
        account.unsent);
}

static void add(struct gathering *gathering, const struct kv_connection *connection)
{
    if (gathering->n == gathering->capacity) {
        gathering->capacity = gathering->capacity == 0 ? 16 : 2 * gathering->capacity;
        gathering->entries =
            kv_realloc(gathering->entries, gathering->capacity * sizeof(struct entry));
    }
    size_t at = gathering->text.len;
    put_connection(&gathering->text, connection);
    gathering->entries[gathering->n++] =
        (struct entry){connection->id, at, gathering->text.len - at};
    gathering->n_here++;
}

static bool visit(void *context, const struct kv_connection *connection)
{
    struct gathering *gathering = context;
    if (connection->id <= gathering->after)
        return true;
    bool has_room = gathering->n_here < gathering->limit;
    if (has_room)
        add(gathering, connection);
    gathering->has_more |= !has_room;
    return has_room;
}

/* ---- the answer ---- */

static uint64_t least_of(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static int by_id(const void *a, const void *b)
{
    uint64_t left = ((const struct entry *)a)->id, right = ((const struct entry *)b)->id;
    return left < right ? -1 : left > right;
}

static void put_page(struct kv_buffer *out, struct gathering *gathering)
{
    size_t n = (size_t)least_of(gathering->n, gathering->limit);
    if (gathering->n != 0)
        qsort(gathering->entries, gathering->n, sizeof(struct entry), by_id);
    kv_buffer_append(out, KV_SLICE("{\"clients\":["));
    for (size_t i = 0; i < n; i++) {
        const struct entry *entry = &gathering->entries[i];
        if (i != 0)
            kv_buffer_append_char(out, ',');
        kv_buffer_append(out, (struct kv_slice){gathering->text.bytes + entry->at, entry->len});
    }
    kv_buffer_append_char(out, ']');
    if (n != 0 && (gathering->has_more || n < gathering->n))
        kv_buffer_printf(out, ",\"cursor\":\"%" PRIu64 "\"", gathering->entries[n - 1].id);
    kv_buffer_append_char(out, '}');
}

/* Counts the memory in advance: the loops that are visited cannot, as the tally is of the request's
 * loop. Returns: false if there is not that much. */
static bool reserve(struct gathering *gathering)
{
    struct kv_http_context *here = gathering->here;
    struct kv_tally *tally = kv_keyspace_tally(here->keyspace_loop);
    uint64_t n_open = kv_net_n_connections(here->net);
    uint64_t most_found = least_of(n_open, here->n_loops * gathering->limit);
    size_t bytes = BYTES_OF_ONE * (size_t)(most_found + least_of(n_open, gathering->limit));
    if (!kv_tally_try_add(tally, bytes))
        return false;
    gathering->charge = (struct kv_charge){tally, bytes};
    return true;
}

static void destroy(struct gathering *gathering)
{
    kv_charge_set(&gathering->charge, 0);
    kv_buffer_fini(&gathering->text);
    free(gathering->entries);
    free(gathering);
}

/* The exchange's memory: the gathering that it waits for. */
struct waiting {
    struct gathering *gathering; /* NULL: it has been answered */
};

static void forget(void *memory)
{
    struct waiting *waiting = memory;
    if (waiting->gathering != NULL)
        waiting->gathering->exchange = NULL;
}

static void answer(struct gathering *gathering)
{
    struct kv_exchange *exchange = gathering->exchange;
    struct kv_buffer text = {0};
    ((struct waiting *)exchange->kept)->gathering = NULL;
    put_page(&text, gathering);
    kv_exchange_answer_with(exchange, (struct kv_answer){.status = 200, .is_of_now = true}, &text);
}

static void run(struct kv_post *post)
{
    struct gathering *gathering = KV_CONTAINER(post, struct gathering, post);
    struct kv_http_context *here = gathering->here;
    if (gathering->next == here->n_loops) { /* back on the first loop */
        if (gathering->exchange != NULL)
            answer(gathering);
        destroy(gathering);
        return;
    }
    gathering->n_here = 0;
    kv_net_visit(here->net, gathering->next, visit, gathering);
    gathering->next++;
    uint32_t to = gathering->next == here->n_loops ? here->index : gathering->next;
    kv_loop_post(here->loops[to], &gathering->post);
}

/* ---- the request ---- */

static int read_parameter(int which, struct kv_slice value, struct gathering *gathering,
                          struct kv_error *reterr)
{
    if (which == LIMIT)
        return kv_query_read_number(names[LIMIT], value, 1, MOST, &gathering->limit, reterr);
    return kv_query_read_number(names[CURSOR], value, 0, UINT64_C(1) << 62, &gathering->after,
                                reterr);
}

static int read_query(struct kv_query *query, struct gathering *gathering, struct kv_error *reterr)
{
    struct kv_slice value;
    int which;
    while ((which = kv_query_next(query, &value, reterr)) >= 0)
        if (read_parameter(which, value, gathering, reterr) != 0)
            return -1;
    return which == KV_QUERY_END ? 0 : -1;
}

static void serve(struct kv_exchange *exchange, const struct kv_request *request)
{
    struct kv_query query;
    struct kv_error error;
    if (!kv_exchange_begin_query(exchange, &form, request->query, &query))
        return;
    struct gathering *gathering = kv_calloc(1, sizeof(*gathering));
    gathering->here = exchange->here;
    gathering->limit = USUAL_LIMIT;
    if (read_query(&query, gathering, &error) != 0) {
        kv_exchange_refuse(exchange, (struct kv_answer){.status = 400}, "%s", error.text);
        destroy(gathering);
        return;
    }
    if (!reserve(gathering)) {
        kv_exchange_refuse(exchange, (struct kv_answer){.status = 507},
                           "there is no memory for the list");
        destroy(gathering);
        return;
    }
    struct waiting *waiting = kv_exchange_keep(exchange, sizeof(*waiting), forget);
    waiting->gathering = gathering;
    gathering->exchange = exchange;
    gathering->post.run = run;
    kv_loop_post(exchange->here->loops[0], &gathering->post);
}

const struct kv_resource kv_resource_clients = {.path = {"/admin/clients", 14},
                                                .methods = KV_METHODS_READING,
                                                .keeps = true,
                                                .admin = KV_ADMIN_CLIENTS,
                                                .serve = serve};
