/*
 * `/storage`: keys in pages. The command of a listing has all of its state; the answer is written
 * at once, into the loop's text.
 */
#include <inttypes.h>

#include "http/resource.h"
#include "wire/base64url.h"
#include "wire/json_string.h"
#include "wire/query.h"

enum {
    USUAL_LIMIT = 100,
    MOST_BYTES = 16 << 20, /* of a page (PROTOCOL B1) */
    ENTRY_TEXT = 128,      /* of an entry besides key and value, at most */
    LONGEST_ESCAPE = 6     /* of a byte of a key */
};

enum {
    PREFIX,
    LIMIT,
    CURSOR,
    VALUES,
    DELIMITER,
    COUNT,
    N_PARAMETERS
};

static const struct kv_slice names[N_PARAMETERS] = {
    [PREFIX] = {"prefix", 6}, [LIMIT] = {"limit", 5},         [CURSOR] = {"cursor", 6},
    [VALUES] = {"values", 6}, [DELIMITER] = {"delimiter", 9}, [COUNT] = {"count", 5},
};
static const struct kv_query_form form = {.names = names, .n_names = N_PARAMETERS};

/* ---- the request ---- */

/* Slices of the loop's decoded text. */
struct listing {
    struct kv_slice prefix;
    struct kv_slice delimiter;
    struct kv_slice cursor; /* as received */
    uint64_t limit;
    bool has_values;
    bool counts;
    uint32_t given; /* a bit for each parameter */
};

static int read_delimiter(struct kv_slice value, struct listing *listing, struct kv_error *reterr)
{
    if (value.len == 0)
        return kv_error_set(reterr, "the parameter \"delimiter\" must not be empty");
    listing->delimiter = value;
    return 0;
}

static int read_parameter(int which, struct kv_slice value, struct listing *listing,
                          struct kv_error *reterr)
{
    listing->given |= 1u << which;
    switch (which) {
    case PREFIX:
        listing->prefix = value;
        return 0;
    case LIMIT:
        return kv_query_read_number(names[LIMIT], value, 1, KV_PAGE_MOST_KEYS, &listing->limit,
                                    reterr);
    case CURSOR:
        listing->cursor = value;
        return 0;
    case VALUES:
        return kv_query_read_bool(names[VALUES], value, &listing->has_values, reterr);
    case DELIMITER:
        return read_delimiter(value, listing, reterr);
    default:
        return kv_query_read_bool(names[COUNT], value, &listing->counts, reterr);
    }
}

/* Returns: 0, or -1 and *reterr. */
static int read_listing(struct kv_query *query, struct listing *ret, struct kv_error *reterr)
{
    struct kv_slice value;
    int which;
    *ret = (struct listing){.limit = USUAL_LIMIT};
    while ((which = kv_query_next(query, &value, reterr)) >= 0)
        if (read_parameter(which, value, ret, reterr) != 0)
            return -1;
    if (which == KV_QUERY_END && ret->counts && (ret->given & ~(1u << PREFIX | 1u << COUNT)) != 0)
        return kv_error_set(reterr, "\"count\" goes with \"prefix\" alone");
    return which == KV_QUERY_END ? 0 : -1;
}

/* Returns: KV_OK, or the status that ends the command. */
static int fill_in(struct kv_command *command, const struct listing *listing,
                   struct kv_buffer *scratch)
{
    size_t cursor_len = kv_base64url_decoded_len(listing->cursor.len);
    if (kv_buffer_try_reserve(scratch, cursor_len + 1) == NULL)
        return KV_FULL;
    if (!kv_base64url_decode(listing->cursor, scratch->bytes))
        return KV_BAD_CURSOR;
    command->key = listing->prefix;
    command->value = listing->delimiter;
    command->argument = (struct kv_slice){scratch->bytes, cursor_len};
    command->page->max_keys = (uint32_t)listing->limit;
    command->page->max_bytes = MOST_BYTES;
    command->page->wants_values = listing->has_values;
    command->page->wants_count = listing->counts;
    return kv_command_keep(command) == 0 ? KV_OK : KV_FULL;
}

/* ---- the answer ---- */

static void put_entry(struct kv_buffer *out, const struct kv_keyspace *keyspace,
                      const struct kv_page *page, const struct kv_scan_entry *entry)
{
    const struct kv_item *item = &entry->item;
    kv_buffer_append(out, KV_SLICE("{\"key\":"));
    kv_json_append_string(out, entry->key);
    kv_buffer_append(out, KV_SLICE(",\"revision\":"));
    kv_buffer_append_u64(out, item->revision);
    if (item->deadline_ms != KV_NEVER) {
        kv_buffer_append(out, KV_SLICE(",\"ttl\":"));
        kv_buffer_append_u64(out, (uint64_t)kv_keyspace_ttl_left_ms(keyspace, item->deadline_ms));
    }
    if (page->wants_values) {
        kv_buffer_append(out, KV_SLICE(",\"value\":"));
        kv_buffer_append(out, item->value);
    }
    kv_buffer_append_char(out, '}');
}

static void put_keys(struct kv_buffer *out, const struct kv_keyspace *keyspace,
                     const struct kv_page *page)
{
    kv_buffer_append(out, KV_SLICE("{\"keys\":["));
    for (uint32_t i = 0; i < page->n; i++) {
        if (i != 0)
            kv_buffer_append_char(out, ',');
        put_entry(out, keyspace, page, &page->entries[i]);
    }
    kv_buffer_append_char(out, ']');
}

static void put_prefixes(struct kv_buffer *out, const struct kv_page *page)
{
    kv_buffer_append(out, KV_SLICE(",\"prefixes\":["));
    for (uint32_t i = 0; i < page->n_prefixes; i++) {
        if (i != 0)
            kv_buffer_append_char(out, ',');
        kv_json_append_string(out, page->prefixes[i].key);
    }
    kv_buffer_append_char(out, ']');
}

static void put_cursor(struct kv_buffer *out, const struct kv_page *page)
{
    kv_buffer_append(out, KV_SLICE(",\"cursor\":\""));
    kv_base64url_append(out, kv_buffer_slice(&page->cursor));
    kv_buffer_append_char(out, '"');
}

static void put_page(struct kv_buffer *out, const struct kv_keyspace *keyspace,
                     const struct kv_command *command)
{
    const struct kv_page *page = command->page;
    put_keys(out, keyspace, page);
    if (command->value.len != 0)
        put_prefixes(out, page);
    if (page->cursor.len != 0)
        put_cursor(out, page);
    kv_buffer_append_char(out, '}');
}

/* An upper limit. */
static size_t text_size(const struct kv_page *page)
{
    size_t size = ENTRY_TEXT + 2 * page->cursor.len;
    for (uint32_t i = 0; i < page->n; i++)
        size += ENTRY_TEXT + LONGEST_ESCAPE * page->entries[i].key.len +
                (page->wants_values ? page->entries[i].item.value.len : 0);
    for (uint32_t i = 0; i < page->n_prefixes; i++)
        size += ENTRY_TEXT + LONGEST_ESCAPE * page->prefixes[i].key.len;
    return size;
}

/* Returns: false if there is no memory. */
static bool write_answer(struct kv_exchange *exchange, const struct kv_command *command,
                         struct kv_buffer *out)
{
    const struct kv_page *page = command->page;
    if (kv_buffer_try_reserve(out, text_size(page)) == NULL)
        return false;
    if (page->wants_count)
        kv_buffer_printf(out, "{\"count\":%" PRIu64 "}", page->count);
    else
        put_page(out, exchange->here->keyspace, command);
    return true;
}

static void answer_failure(struct kv_exchange *exchange, const struct kv_command *command,
                           int status)
{
    struct kv_answer answer = kv_answer_of_failure(status);
    if (command->refusal != NULL)
        answer.error = command->refusal;
    answer.is_of_now = true;
    answer.command = command;
    kv_exchange_answer(exchange, &answer);
}

static void on_page(struct kv_command *command)
{
    struct kv_exchange *exchange = command->owner;
    struct kv_buffer text = {0};
    int status = command->status;
    if (status == KV_OK && !write_answer(exchange, command, &text))
        status = KV_FULL;
    if (status != KV_OK)
        answer_failure(exchange, command, status);
    else
        kv_exchange_answer_with(
            exchange, (struct kv_answer){.status = 200, .is_of_now = true, .command = command},
            &text);
}

/* ---- serving ---- */

static void send_listing(struct kv_exchange *exchange, const struct listing *listing)
{
    struct kv_command *command = kv_command_create(exchange->here->keyspace_loop, KV_COMMAND_SCAN);
    int status = fill_in(command, listing, &exchange->here->text);
    if (status == KV_OK) {
        kv_exchange_send(exchange, command, on_page);
        return;
    }
    answer_failure(exchange, command, status);
    kv_command_free(command);
}

static void serve(struct kv_exchange *exchange, const struct kv_request *request)
{
    size_t most = exchange->here->config->limits.max_key_bytes;
    struct kv_query query;
    struct listing listing;
    struct kv_error error;
    if (!kv_exchange_begin_query(exchange, &form, request->query, &query))
        return;
    if (read_listing(&query, &listing, &error) != 0)
        kv_exchange_refuse(exchange, (struct kv_answer){.status = 400, .is_of_now = true}, "%s",
                           error.text);
    else if (listing.prefix.len > most || listing.delimiter.len > most)
        kv_exchange_refuse(exchange, (struct kv_answer){.status = 414, .is_of_now = true},
                           "the prefix has %zu bytes and the delimiter %zu, the limit is %zu",
                           listing.prefix.len, listing.delimiter.len, most);
    else
        send_listing(exchange, &listing);
}

const struct kv_resource kv_resource_list = {
    .path = {"/storage", 8},
    .methods = KV_METHODS_READING,
    .serve = serve,
};
