/* `GET /events`: subscriptions as Server-Sent Events, as curl and browsers read them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "fixture.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))

/* The header makes libh2o serve the request, not the fast path. */
#define ODD_HEADER "X-Odd: 1\r\n"

/* ---- a reader of event streams ---- */

struct event {
    char type[16]; /* empty: a comment, or no event */
    char id[96];
    bool has_id;
    struct kv_buffer data; /* NUL-terminated */
};

/* For readers that wait until all is written, on a machine that is busy. */
#define PATIENT "timeouts: {stalled_reader: 10m}\n"

struct reader {
    struct kv_test_stream stream;
    struct event event; /* the last one */
    char last_id[96];
};

static void send_request(struct reader *reader, const char *method, const char *path,
                         const char *headers)
{
    struct kv_buffer request = {0};
    kv_test_http_write(&request, method, kv_slice_of(path), headers, (struct kv_slice){0});
    kv_test_stream_put(&reader->stream, kv_buffer_slice(&request));
    kv_test_stream_flush(&reader->stream);
    kv_buffer_fini(&request);
}

/* The text up to an empty line, which is used up with it. Returns: false at the end. */
static bool take_block(struct reader *reader, const char *end, struct kv_buffer *ret)
{
    for (;;) {
        struct kv_slice unread = kv_test_stream_unread(&reader->stream);
        const char *found =
            unread.len == 0 ? NULL : memmem(unread.bytes, unread.len, end, strlen(end));
        if (found != NULL) {
            size_t len = (size_t)(found - unread.bytes) + strlen(end);
            ret->len = 0;
            kv_buffer_append(ret, (struct kv_slice){unread.bytes, len});
            kv_buffer_append_char(ret, '\0');
            kv_test_stream_use(&reader->stream, len);
            return true;
        }
        if (!kv_test_stream_await(&reader->stream, unread.len + 1))
            return false;
    }
}

static void take_head(struct reader *reader, struct kv_buffer *head)
{
    assert_true(take_block(reader, "\r\n\r\n", head));
    kv_test_expect_part(head->bytes, "HTTP/1.1 200 OK\r\n");
    kv_test_expect_part(head->bytes, "content-type: text/event-stream\r\n");
    kv_test_expect_part(head->bytes, "cache-control: no-store\r\n");
    kv_test_expect_part(head->bytes, "x-accel-buffering: no\r\n");
    kv_test_expect_part(head->bytes, "Connection: close\r\n");
    assert_null(strcasestr(head->bytes, "content-length"));
    assert_null(strcasestr(head->bytes, "transfer-encoding"));
}

static void read_line(struct event *event, const char *line)
{
    if (strncmp(line, "event: ", 7) == 0) {
        snprintf(event->type, sizeof(event->type), "%s", line + 7);
    } else if (strncmp(line, "id:", 3) == 0) {
        event->has_id = true;
        snprintf(event->id, sizeof(event->id), "%s", line[3] == ' ' ? line + 4 : line + 3);
    } else if (strncmp(line, "data: ", 6) == 0) {
        if (event->data.len != 0)
            kv_buffer_append_char(&event->data, '\n');
        kv_buffer_append(&event->data, kv_slice_of(line + 6));
    } else if (line[0] != ':' && strcmp(line, "retry: 1000") != 0) {
        fail_msg("no line of an event: %s", line);
    }
}

/* Reads the next event, comments included. Returns: false at the end. */
static bool next_block(struct reader *reader)
{
    struct event *event = &reader->event;
    struct kv_buffer block = {0};
    bool is_there = take_block(reader, "\n\n", &block);
    event->type[0] = event->id[0] = '\0';
    event->has_id = false;
    event->data.len = 0;
    if (is_there)
        for (char *rest = block.bytes, *line; (line = strsep(&rest, "\n")) != NULL;)
            if (line[0] != '\0')
                read_line(event, line);
    kv_buffer_append_char(&event->data, '\0');
    kv_buffer_fini(&block);
    if (event->has_id)
        snprintf(reader->last_id, sizeof(reader->last_id), "%s", event->id);
    return is_there;
}

static void next(struct reader *reader)
{
    do
        if (!next_block(reader))
            fail_msg("the stream has ended");
    while (reader->event.type[0] == '\0');
}

static void expect(struct reader *reader, const char *type, const char *data)
{
    next(reader);
    assert_string_equal(reader->event.type, type);
    assert_string_equal(reader->event.data.bytes, data);
}

/* A `synced` or `reset` of that subject. */
static void expect_mark(struct reader *reader, const char *type, const char *subject)
{
    next(reader);
    assert_string_equal(reader->event.type, type);
    assert_ptr_equal(strstr(reader->event.data.bytes, subject), reader->event.data.bytes);
    kv_test_expect_part(reader->event.data.bytes, "\"epoch\":\"");
}

static void begin(struct reader *reader)
{
    struct kv_buffer head = {0};
    take_head(reader, &head);
    assert_true(next_block(reader)); /* retry */
    assert_string_equal(reader->event.type, "");
    kv_buffer_fini(&head);
}

static void open_with(struct reader *reader, uint16_t port, const char *path, const char *headers)
{
    *reader = (struct reader){.last_id = ""};
    kv_test_stream_open(&reader->stream, port);
    send_request(reader, "GET", path, headers);
    begin(reader);
}

/* The subscriptions are in force when this returns: the loop took them up in the turn in which it
 * sent the head, or the next one, and what this writes comes after that. */
static void open(struct reader *reader, uint16_t port, const char *path)
{
    open_with(reader, port, path, NULL);
}

static void open_synced(struct reader *reader, uint16_t port, const char *path)
{
    open(reader, port, path);
    do
        next(reader);
    while (strcmp(reader->event.type, "synced") != 0);
}

static void shut(struct reader *reader)
{
    kv_test_stream_close(&reader->stream);
    kv_buffer_fini(&reader->event.data);
}

static void delete_key(uint16_t port, const char *path)
{
    char full[128];
    snprintf(full, sizeof(full), "/storage/%s", path);
    assert_int_equal(kv_test_http_status(port, "DELETE", full, NULL, NULL), 200);
}

static char *resume_header(const struct reader *reader)
{
    static char header[160];
    snprintf(header, sizeof(header), "Last-Event-ID: %s\r\n", reader->last_id);
    return header;
}

/* ---- changes ---- */

static void changes_come_as_events_with_ids_to_resume_from(void **state)
{
    struct reader reader;
    uint16_t port = kv_test_port(state);
    open_synced(&reader, port, "/events?key=a&initial=true");
    kv_test_store(port, "a", "1");
    kv_test_store(port, "a", "1"); /* no change */
    kv_test_store(port, "a", "\"two\"");
    delete_key(port, "a");
    expect(&reader, "value", "{\"key\":\"a\",\"value\":1}");
    assert_true(reader.event.has_id);
    expect(&reader, "value", "{\"key\":\"a\",\"value\":\"two\"}");
    expect(&reader, "no-value", "{\"key\":\"a\"}");
    assert_true(reader.event.has_id);
    shut(&reader);
}

static void several_keys_and_prefixes_share_a_stream_each_change_once(void **state)
{
    struct reader reader;
    uint16_t port = kv_test_port(state);
    open(&reader, port, "/events?key=s/x&prefix=s/&prefix=s/x&key=t+u&initial=true");
    for (int i = 0; i < 6; i++) /* two keys that are missing, and four times `synced` */
        next(&reader);
    kv_test_store(port, "s/x", "1");
    kv_test_store(port, "t%20u", "2");
    kv_test_store(port, "other", "3");
    kv_test_store(port, "s/y", "4");
    expect(&reader, "value", "{\"key\":\"s/x\",\"value\":1}");
    expect(&reader, "value", "{\"key\":\"t u\",\"value\":2}");
    expect(&reader, "value", "{\"key\":\"s/y\",\"value\":4}");
    shut(&reader);
}

static void meta_adds_revision_epoch_reason_and_ttl(void **state)
{
    struct reader reader;
    struct kv_test_stream writer;
    struct kv_test_response response = {0};
    uint16_t port = kv_test_port(state);
    open_synced(&reader, port, "/events?key=m&meta=true&initial=true");
    kv_test_stream_open(&writer, port);
    kv_test_http_ask(&writer, "PUT", "/storage/m", NULL, "{\"value\":1,\"ttl\":\"1h\"}", &response);
    next(&reader);
    const char *data = reader.event.data.bytes;
    kv_test_expect_part(data, "{\"key\":\"m\",\"revision\":");
    kv_test_expect_part(data, ",\"epoch\":\"");
    kv_test_expect_part(data, ",\"reason\":\"set\",\"ttl\":3");
    kv_test_expect_part(data, ",\"value\":1}");
    delete_key(port, "m");
    next(&reader);
    kv_test_expect_part(reader.event.data.bytes, "\"reason\":\"delete\"}");
    kv_test_response_fini(&response);
    kv_test_stream_close(&writer);
    shut(&reader);
}

static void line_feeds_of_a_value_come_back_and_carriage_returns_are_spaces(void **state)
{
    struct reader reader;
    uint16_t port = kv_test_port(state);
    open_synced(&reader, port, "/events?key=lines&initial=true");
    kv_test_store(port, "lines", "[1,\n\n\t2,\r\n3\r]");
    expect(&reader, "value", "{\"key\":\"lines\",\"value\":[1,\n\n\t2, \n3 ]}");
    shut(&reader);
}

static void long_values_arrive_whole(void **state)
{
    enum {
        LEN = 1 << 20
    };
    struct reader reader;
    uint16_t port = kv_test_port(state);
    char *letters = kv_test_letters('x', LEN);
    letters[0] = letters[LEN - 1] = '"';
    open_synced(&reader, port, "/events?key=long&initial=true");
    kv_test_store(port, "long", letters);
    next(&reader);
    assert_int_equal(reader.event.data.len, strlen("{\"key\":\"long\",\"value\":}") + LEN + 1);
    kv_test_expect_part(reader.event.data.bytes, letters);
    free(letters);
    shut(&reader);
}

/* ---- the beginning ---- */

static void the_present_state_comes_first_and_is_no_mark(void **state)
{
    struct reader reader;
    uint16_t port = kv_test_port(state);
    kv_test_store(port, "i/1", "1");
    kv_test_store(port, "i/2", "2");
    open(&reader, port, "/events?prefix=i/&initial=true");
    for (int i = 0; i < 2; i++) {
        next(&reader);
        assert_string_equal(reader.event.type, "value");
        assert_false(reader.event.has_id);
    }
    expect_mark(&reader, "synced", "{\"prefix\":\"i/\",\"revision\":");
    assert_true(reader.event.has_id);
    kv_test_store(port, "i/1", "3");
    expect(&reader, "value", "{\"key\":\"i/1\",\"value\":3}");
    shut(&reader);
}

static void a_missing_key_is_shown_as_no_value(void **state)
{
    struct reader reader;
    uint16_t port = kv_test_port(state);
    open(&reader, port, "/events?key=missing&initial=true");
    expect(&reader, "no-value", "{\"key\":\"missing\"}");
    expect_mark(&reader, "synced", "{\"key\":\"missing\",\"revision\":");
    shut(&reader);
}

/* ---- resuming ---- */

static void a_reconnect_continues_after_the_last_event(void **state)
{
    struct reader reader;
    char header[160], data[64];
    uint16_t port = kv_test_port(state);
    open_synced(&reader, port, "/events?prefix=r/&initial=true");
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < 20; i++) {
            snprintf(data, sizeof(data), "%d", round * 100 + i);
            kv_test_store(port, i % 2 == 0 ? "r/even" : "r/odd", data);
            if (i == 9) { /* the rest is missed, and comes later */
                for (int k = 0; k < 10; k++)
                    next(&reader);
                shut(&reader);
            }
        }
        snprintf(header, sizeof(header), "%s", resume_header(&reader));
        open_with(&reader, port, "/events?prefix=r/&initial=true", header);
        for (int i = 10; i < 20; i++) {
            snprintf(data, sizeof(data), "{\"key\":\"r/%s\",\"value\":%d}",
                     i % 2 == 0 ? "even" : "odd", round * 100 + i);
            expect(&reader, "value", data);
        }
        expect_mark(&reader, "synced", "{\"prefix\":\"r/\"");
        assert_true(reader.event.has_id);
    }
    shut(&reader);
}

static void deletes_that_were_missed_are_told(void **state)
{
    struct reader reader;
    char header[160];
    uint16_t port = kv_test_port(state);
    kv_test_store(port, "gone", "1");
    open_synced(&reader, port, "/events?key=gone&initial=true");
    shut(&reader);
    delete_key(port, "gone");
    snprintf(header, sizeof(header), "%s", resume_header(&reader));
    open_with(&reader, port, "/events?key=gone", header);
    expect(&reader, "no-value", "{\"key\":\"gone\"}");
    expect_mark(&reader, "synced", "{\"key\":\"gone\"");
    shut(&reader);
}

static void since_and_epoch_continue_as_the_header_does(void **state)
{
    struct reader reader;
    char path[256];
    uint16_t port = kv_test_port(state);
    open_synced(&reader, port, "/events?key=q&initial=true");
    shut(&reader);
    char *dash = strrchr(reader.last_id, '-');
    *dash = '\0';
    kv_test_store(port, "q", "1");
    snprintf(path, sizeof(path), "/events?key=q&since=%s&epoch=%s", dash + 1, reader.last_id);
    open(&reader, port, path);
    expect(&reader, "value", "{\"key\":\"q\",\"value\":1}");
    expect_mark(&reader, "synced", "{\"key\":\"q\"");
    /* The header goes before the query: nothing is told twice. */
    char header[160];
    snprintf(header, sizeof(header), "%s", resume_header(&reader));
    shut(&reader);
    open_with(&reader, port, path, header);
    expect_mark(&reader, "synced", "{\"key\":\"q\"");
    shut(&reader);
}

/* Writers on several connections, and so on several loops, and what one reader saw of them. */
enum {
    WRITERS = 3,
    ROUNDS = 20,
    WRITES = 40 /* of each writer, twice in a round */
};

struct crowd {
    struct kv_test_ws writers[WRITERS];
    int n_written;
    int n_seen;
    uint64_t revision; /* of the last that was seen */
    bool seen[2 * ROUNDS * WRITERS * WRITES];
};

static void write_some(struct crowd *crowd)
{
    for (int i = 0; i < WRITES * WRITERS; i++)
        kv_test_ws_put_text(&crowd->writers[i % WRITERS],
                            "{\"type\":\"set\",\"payload\":{\"key\":\"c/%d\",\"value\":%d}}",
                            crowd->n_written % 11, crowd->n_written + i);
    crowd->n_written += WRITES * WRITERS;
    for (int i = 0; i < WRITERS; i++)
        kv_test_stream_flush(&crowd->writers[i].stream);
}

/* Every change, once, in the order of revisions. */
static void see(struct crowd *crowd, const struct reader *reader)
{
    const char *data = reader->event.data.bytes;
    assert_string_equal(reader->event.type, "value");
    uint64_t revision = strtoull(strstr(data, "\"revision\":") + 11, NULL, 10);
    int value = atoi(strstr(data, "\"value\":") + 8);
    assert_in_range(value, 0, N(crowd->seen) - 1);
    assert_false(crowd->seen[value]);
    assert_true(revision > crowd->revision);
    crowd->seen[value] = true;
    crowd->revision = revision;
    crowd->n_seen++;
}

static void see_until_synced(struct crowd *crowd, struct reader *reader)
{
    for (next(reader); strcmp(reader->event.type, "synced") != 0; next(reader))
        see(crowd, reader);
}

static void reconnects_amid_writers_miss_nothing_and_repeat_nothing(void **state)
{
    static const char path[] = "/events?prefix=c/&meta=true&initial=true";
    struct reader reader;
    char header[160];
    uint16_t port = kv_test_port(state);
    struct crowd *crowd = kv_calloc(1, sizeof(*crowd));
    for (int i = 0; i < WRITERS; i++)
        kv_test_ws_open(&crowd->writers[i], port);
    open_synced(&reader, port, path);
    for (int round = 0; round < ROUNDS; round++) {
        write_some(crowd);
        for (int i = 0; i < WRITES; i++) {
            next(&reader);
            see(crowd, &reader);
        }
        shut(&reader);
        write_some(crowd);
        snprintf(header, sizeof(header), "%s", resume_header(&reader));
        open_with(&reader, port, path, header);
        see_until_synced(crowd, &reader);
    }
    while (crowd->n_seen < crowd->n_written) {
        next(&reader);
        see(crowd, &reader);
    }
    for (int i = 0; i < WRITERS; i++)
        kv_test_ws_close(&crowd->writers[i]);
    free(crowd);
    shut(&reader);
}

static void ids_of_another_epoch_and_none_at_all_reset(void **state)
{
    static const char *const headers[] = {
        "Last-Event-ID: another-17\r\n",
        "Last-Event-ID: what\r\n",
        "Last-Event-ID: \r\n",
    };
    struct reader reader;
    uint16_t port = kv_test_port(state);
    kv_test_store(port, "again", "1");
    for (size_t i = 0; i < N(headers); i++) {
        open_with(&reader, port, "/events?key=again", headers[i]);
        expect_mark(&reader, "reset", "{\"key\":\"again\"");
        assert_true(reader.event.has_id);
        assert_string_equal(reader.event.id, "");
        expect(&reader, "value", "{\"key\":\"again\",\"value\":1}");
        assert_false(reader.event.has_id);
        expect_mark(&reader, "synced", "{\"key\":\"again\"");
        assert_true(reader.event.has_id);
        shut(&reader);
    }
}

static void revisions_that_were_never_given_out_reset(void **state)
{
    struct reader reader;
    char header[200];
    uint16_t port = kv_test_port(state);
    open_synced(&reader, port, "/events?key=future&initial=true");
    shut(&reader);
    *strrchr(reader.last_id, '-') = '\0';
    snprintf(header, sizeof(header), "Last-Event-ID: %s-9007199254740991\r\n", reader.last_id);
    open_with(&reader, port, "/events?key=future", header);
    expect_mark(&reader, "reset", "{\"key\":\"future\"");
    shut(&reader);
}

/* ---- requests ---- */

static void expect_refusal(uint16_t port, const char *path, int status, const char *part)
{
    struct kv_test_stream stream;
    struct kv_test_response response = {0};
    kv_test_stream_open(&stream, port);
    assert_int_equal(kv_test_http_ask(&stream, "GET", path, NULL, NULL, &response), status);
    kv_buffer_append_char(&response.body, '\0');
    kv_test_expect_part(response.body.bytes, part);
    kv_test_response_fini(&response);
    /* The connection stays usable. */
    assert_int_equal(kv_test_http_ask(&stream, "GET", "/healthz", NULL, NULL, &response), 200);
    kv_test_response_fini(&response);
    kv_test_stream_close(&stream);
}

static void what_is_wrong_is_said_before_the_stream_begins(void **state)
{
    static const char *const cases[][2] = {
        {"/events", "at least one parameter \\\"key\\\" or \\\"prefix\\\", to say what to "
                    "subscribe to: /events?key="},
        {"/events?initial=true", "at least one parameter"},
        {"/events?keys=a", "unknown parameter \\\"keys\\\""},
        {"/events?key=a&since=1", "\\\"since\\\" and \\\"epoch\\\" go together"},
        {"/events?key=a&epoch=e", "\\\"since\\\" and \\\"epoch\\\" go together"},
        {"/events?key=a&epoch=e&since=-1", "\\\"since\\\""},
        {"/events?key=a&epoch=e&since=9007199254740992", "\\\"since\\\""},
        {"/events?key=a&initial=maybe", "\\\"initial\\\""},
        {"/events?key=%ff", "UTF-8"},
    };
    uint16_t port = kv_test_port(state);
    for (size_t i = 0; i < N(cases); i++)
        expect_refusal(port, cases[i][0], 400, cases[i][1]);
}

static void limits_are_kept_before_the_stream_begins(void **state)
{
    struct kv_test_server server;
    (void)state;
    kv_test_start(&server, "limits: {key: 8, subscriptions_per_connection: 2}\n");
    expect_refusal(server.port, "/events?key=123456789", 414, "the key has 9 bytes");
    expect_refusal(server.port, "/events?prefix=123456789", 414, "the prefix has 9 bytes");
    expect_refusal(server.port, "/events?key=a&key=b&prefix=c", 400, "subscriptions");
    kv_test_server_stop_cleanly(&server);
}

static void a_head_gets_the_head_alone(void **state)
{
    struct reader reader = {.last_id = ""};
    struct kv_buffer head = {0};
    kv_test_stream_open(&reader.stream, kv_test_port(state));
    send_request(&reader, "HEAD", "/events?key=a", NULL);
    take_head(&reader, &head);
    kv_test_stream_await_end(&reader.stream);
    assert_int_equal(kv_test_stream_unread(&reader.stream).len, 0);
    kv_buffer_fini(&head);
    shut(&reader);
}

static void other_methods_are_not_allowed(void **state)
{
    uint16_t port = kv_test_port(state);
    assert_int_equal(kv_test_http_status(port, "POST", "/events?key=a", NULL, "{}"), 405);
    assert_int_equal(kv_test_http_status(port, "DELETE", "/events?key=a", NULL, NULL), 405);
}

static void an_old_client_gets_a_stream_too(void **state)
{
    struct reader reader = {.last_id = ""};
    uint16_t port = kv_test_port(state);
    kv_test_stream_open(&reader.stream, port);
    kv_test_stream_put(&reader.stream,
                       KV_SLICE("GET /events?key=old&initial=true HTTP/1.0\r\n\r\n"));
    kv_test_stream_flush(&reader.stream);
    begin(&reader);
    expect(&reader, "no-value", "{\"key\":\"old\"}");
    shut(&reader);
}

static void requests_before_it_on_the_connection_are_answered_first(void **state)
{
    static const char *const headers[] = {NULL, ODD_HEADER};
    uint16_t port = kv_test_port(state);
    kv_test_store(port, "before", "1");
    for (size_t i = 0; i < N(headers); i++) {
        struct reader reader = {.last_id = ""};
        struct kv_buffer requests = {0};
        struct kv_test_response response = {0};
        struct kv_slice none = {0};
        kv_test_stream_open(&reader.stream, port);
        for (int k = 0; k < 3; k++)
            kv_test_http_write(&requests, "GET", KV_SLICE("/storage/before"), headers[i], none);
        kv_test_http_write(&requests, "GET", KV_SLICE("/events?key=before&initial=true"),
                           headers[i], none);
        kv_test_stream_put(&reader.stream, kv_buffer_slice(&requests));
        kv_test_stream_flush(&reader.stream);
        for (int k = 0; k < 3; k++) {
            assert_true(kv_test_http_receive(&reader.stream, &response));
            assert_int_equal(response.status, 200);
        }
        begin(&reader);
        expect(&reader, "value", "{\"key\":\"before\",\"value\":1}");
        kv_test_response_fini(&response);
        kv_buffer_fini(&requests);
        shut(&reader);
    }
}

static void what_follows_the_request_is_thrown_away(void **state)
{
    struct reader reader;
    uint16_t port = kv_test_port(state);
    open_synced(&reader, port, "/events?key=noise&initial=true");
    send_request(&reader, "DELETE", "/storage/noise", NULL);
    kv_test_store(port, "noise", "1");
    expect(&reader, "value", "{\"key\":\"noise\",\"value\":1}");
    kv_test_expect_value(port, "noise", "1");
    shut(&reader);
}

static void pages_of_allowed_origins_may_read_it(void **state)
{
    struct kv_test_server server;
    struct reader reader = {.last_id = ""};
    struct kv_buffer head = {0};
    (void)state;
    kv_test_start(&server, "origins: ['https://app.example']\n");
    kv_test_stream_open(&reader.stream, server.port);
    send_request(&reader, "GET", "/events?key=a", "Origin: https://app.example\r\n");
    take_head(&reader, &head);
    kv_test_expect_part(head.bytes, "access-control-allow-origin: https://app.example\r\n");
    shut(&reader);
    kv_test_stream_open(&reader.stream, server.port);
    send_request(&reader, "GET", "/events?key=a", "Origin: https://evil.example\r\n");
    take_head(&reader, &head);
    assert_null(strstr(head.bytes, "access-control"));
    kv_buffer_fini(&head);
    shut(&reader);
    kv_test_server_stop_cleanly(&server);
}

/* ---- many, slow, and silent ones ---- */

static void many_streams_see_the_same_changes_in_the_same_order(void **state)
{
    enum {
        STREAMS = 40,
        CHANGES = 50
    };
    uint16_t port = kv_test_port(state);
    struct reader *readers = kv_calloc(STREAMS, sizeof(*readers));
    char path[32], data[64];
    for (int i = 0; i < STREAMS; i++)
        open_synced(&readers[i], port, "/events?prefix=many/&initial=true");
    for (int i = 0; i < CHANGES; i++) {
        snprintf(path, sizeof(path), "many/%d", i % 7);
        snprintf(data, sizeof(data), "%d", i);
        kv_test_store(port, path, data);
    }
    for (int i = 0; i < CHANGES; i++)
        for (int k = 0; k < STREAMS; k++) {
            snprintf(data, sizeof(data), "{\"key\":\"many/%d\",\"value\":%d}", i % 7, i);
            expect(&readers[k], "value", data);
            assert_string_equal(readers[k].event.id, readers[0].event.id);
        }
    for (int k = 0; k < STREAMS; k++)
        shut(&readers[k]);
    free(readers);
}

static void a_slow_reader_gets_the_newest_state_and_holds_nobody_up(void **state)
{
    enum {
        LEN = 100000,
        CHANGES = 300
    };
    struct kv_test_server server;
    struct reader slow = {.last_id = ""}, quick;
    char *letters = kv_test_letters('x', LEN);
    char ending[16];
    int n_seen = 0;
    (void)state;
    kv_test_start(&server, PATIENT "limits: {unsent_per_connection: 256KiB}\n");
    kv_test_stream_open_narrow(&slow.stream, server.port, 16384);
    send_request(&slow, "GET", "/events?key=big&initial=true", NULL);
    begin(&slow);
    next(&slow);
    next(&slow);
    slow.stream.is_paused = true;
    open_synced(&quick, server.port, "/events?key=big&initial=true");
    letters[0] = '"';
    for (int i = 0; i < CHANGES; i++) {
        snprintf(letters + LEN - 8, 8, "%06d\"", i);
        kv_test_store(server.port, "big", letters);
        next(&quick);
        snprintf(ending, sizeof(ending), "%06d\"}", i);
        kv_test_expect_part(quick.event.data.bytes + LEN - 16, ending);
    }
    slow.stream.is_paused = false;
    do {
        next(&slow);
        n_seen++;
    } while (strstr(slow.event.data.bytes + LEN - 16, ending) == NULL);
    assert_in_range(n_seen, 1, CHANGES - 50);
    free(letters);
    shut(&slow);
    shut(&quick);
    kv_test_server_stop_cleanly(&server);
}

/* Makes the reader fall behind, and then changes so many keys. */
static void overwhelm(uint16_t port, int n_keys)
{
    enum {
        LEN = 64 << 10,
        FILLING = 200 /* more than the kernel's buffers between the two take */
    };
    char *letters = kv_test_letters('x', LEN);
    letters[0] = letters[LEN - 1] = '"';
    for (int i = 0; i < FILLING; i++) {
        letters[1] = (char)('a' + i % 26);
        kv_test_store(port, "behind%2F0", letters);
    }
    for (int key = 0; key < n_keys; key++)
        for (int version = 0; version < 3; version++) {
            char path[32], value[8];
            snprintf(path, sizeof(path), "behind%%2F%d", key);
            snprintf(value, sizeof(value), "%d", version);
            kv_test_store(port, path, value);
        }
    free(letters);
}

static void open_paused(struct reader *reader, uint16_t port)
{
    *reader = (struct reader){.last_id = ""};
    kv_test_stream_open_narrow(&reader->stream, port, 16384);
    send_request(reader, "GET", "/events?prefix=behind/&initial=true&meta=true", NULL);
    begin(reader);
    next(reader);
    assert_string_equal(reader->event.type, "synced");
    reader->stream.is_paused = true;
}

static bool ends_with(const struct reader *reader, const char *end)
{
    const struct kv_buffer *data = &reader->event.data;
    size_t len = strlen(end);
    return data->len > len && strcmp(data->bytes + data->len - 1 - len, end) == 0;
}

static void collapsed_states_are_no_marks(void **state)
{
    enum {
        KEYS = 60
    };
    struct kv_test_server server;
    struct reader reader;
    (void)state;
    kv_test_start(&server, PATIENT "limits: {unsent_per_connection: 64KiB, "
                                   "subscriptions_per_connection: 200}\n");
    open_paused(&reader, server.port);
    overwhelm(server.port, KEYS);
    reader.stream.is_paused = false;
    for (int n_newest = 0; n_newest < KEYS;) {
        next(&reader);
        bool is_collapsed = strstr(reader.event.data.bytes, "\"collapsed\":true") != NULL;
        assert_int_equal(reader.event.has_id, !is_collapsed);
        n_newest += ends_with(&reader, "\"value\":2}");
    }
    kv_test_store(server.port, "behind%2F0", "\"last\"");
    next(&reader);
    assert_true(reader.event.has_id && ends_with(&reader, "\"value\":\"last\"}"));
    shut(&reader);
    kv_test_server_stop_cleanly(&server);
}

static void a_stream_with_too_many_changed_keys_is_reset(void **state)
{
    enum {
        KEYS = 260
    };
    struct kv_test_server server;
    struct reader reader;
    (void)state;
    kv_test_start(&server, PATIENT "limits: {unsent_per_connection: 64KiB, "
                                   "subscriptions_per_connection: 200}\n");
    open_paused(&reader, server.port);
    overwhelm(server.port, KEYS);
    reader.stream.is_paused = false;
    do
        next(&reader);
    while (strcmp(reader.event.type, "reset") != 0);
    assert_true(reader.event.has_id);
    assert_string_equal(reader.event.id, "");
    int n_states = 0;
    for (next(&reader); strcmp(reader.event.type, "synced") != 0; next(&reader), n_states++) {
        assert_false(reader.event.has_id);
        assert_true(ends_with(&reader, "\"value\":2}"));
    }
    assert_int_equal(n_states, KEYS);
    assert_true(reader.event.has_id);
    shut(&reader);
    kv_test_server_stop_cleanly(&server);
}

static void a_stream_that_the_store_fails_ends(void **state)
{
    struct kv_test_server server;
    struct reader reader;
    (void)state;
    if (strcmp(getenv("KV_TEST_STORE"), "late") != 0)
        skip(); /* the others do not fail */
    setenv("KV_TEST_STORE_OPTIONS", "failing_key: broken", 1);
    kv_test_start(&server, "");
    unsetenv("KV_TEST_STORE_OPTIONS");
    open(&reader, server.port, "/events?key=broken&initial=true");
    assert_false(next_block(&reader));
    shut(&reader);
    open_synced(&reader, server.port, "/events?key=broken&initial=true");
    shut(&reader);
    kv_test_server_stop_cleanly(&server);
}

static void a_reader_that_takes_nothing_is_cut_off(void **state)
{
    enum {
        LEN = 4 << 20
    };
    struct kv_test_server server;
    struct reader slow = {.last_id = ""};
    char *letters = kv_test_letters('x', LEN);
    (void)state;
    letters[0] = letters[LEN - 1] = '"';
    kv_test_start(&server, "timeouts: {stalled_reader: 300ms}\nlimits: {unsent_per_connection: "
                           "256KiB}\n");
    kv_test_stream_open_narrow(&slow.stream, server.port, 16384);
    send_request(&slow, "GET", "/events?key=big&initial=true", NULL);
    begin(&slow);
    next(&slow);
    next(&slow);
    slow.stream.is_paused = true;
    for (int i = 0; i < 4; i++) {
        letters[1] = (char)('a' + i);
        kv_test_store(server.port, "big", letters);
    }
    kv_test_sleep_ms(1500); /* this is about time itself */
    slow.stream.is_paused = false;
    kv_test_stream_await_end(&slow.stream);
    free(letters);
    shut(&slow);
    kv_test_server_stop_cleanly(&server);
}

static void silence_is_filled_with_comments(void **state)
{
    struct kv_test_server server;
    struct reader reader;
    (void)state;
    kv_test_start(&server, "timeouts: {websocket_ping: 50ms, idle: 200ms}\n");
    open_synced(&reader, server.port, "/events?key=quiet&initial=true");
    for (int i = 0; i < 10; i++) { /* for longer than other connections may be silent */
        assert_true(next_block(&reader));
        assert_string_equal(reader.event.type, "");
        assert_false(reader.event.has_id);
    }
    kv_test_store(server.port, "quiet", "1");
    expect(&reader, "value", "{\"key\":\"quiet\",\"value\":1}");
    shut(&reader);
    kv_test_server_stop_cleanly(&server);
}

static void shutdown_ends_the_streams(void **state)
{
    enum {
        PROMPTLY_MS = 5000
    };
    struct kv_test_server server;
    struct reader reader;
    (void)state;
    kv_test_start(&server, "");
    open_synced(&reader, server.port, "/events?key=a&initial=true");
    kv_test_store(server.port, "a", "1");
    kv_test_settle(server.port);
    int64_t began_ms = kv_test_now_ms();
    kv_test_server_terminate(&server);
    expect(&reader, "value", "{\"key\":\"a\",\"value\":1}");
    kv_test_stream_await_end(&reader.stream);
    kv_test_server_stop_cleanly(&server);
    assert_true(kv_test_now_ms() - began_ms < PROMPTLY_MS);
    shut(&reader);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(changes_come_as_events_with_ids_to_resume_from),
        cmocka_unit_test(several_keys_and_prefixes_share_a_stream_each_change_once),
        cmocka_unit_test(meta_adds_revision_epoch_reason_and_ttl),
        cmocka_unit_test(line_feeds_of_a_value_come_back_and_carriage_returns_are_spaces),
        cmocka_unit_test(long_values_arrive_whole),
        cmocka_unit_test(the_present_state_comes_first_and_is_no_mark),
        cmocka_unit_test(a_missing_key_is_shown_as_no_value),
        cmocka_unit_test(a_reconnect_continues_after_the_last_event),
        cmocka_unit_test(deletes_that_were_missed_are_told),
        cmocka_unit_test(since_and_epoch_continue_as_the_header_does),
        cmocka_unit_test(reconnects_amid_writers_miss_nothing_and_repeat_nothing),
        cmocka_unit_test(ids_of_another_epoch_and_none_at_all_reset),
        cmocka_unit_test(revisions_that_were_never_given_out_reset),
        cmocka_unit_test(what_is_wrong_is_said_before_the_stream_begins),
        cmocka_unit_test(limits_are_kept_before_the_stream_begins),
        cmocka_unit_test(a_head_gets_the_head_alone),
        cmocka_unit_test(other_methods_are_not_allowed),
        cmocka_unit_test(an_old_client_gets_a_stream_too),
        cmocka_unit_test(requests_before_it_on_the_connection_are_answered_first),
        cmocka_unit_test(what_follows_the_request_is_thrown_away),
        cmocka_unit_test(pages_of_allowed_origins_may_read_it),
        cmocka_unit_test(many_streams_see_the_same_changes_in_the_same_order),
        cmocka_unit_test(a_slow_reader_gets_the_newest_state_and_holds_nobody_up),
        cmocka_unit_test(collapsed_states_are_no_marks),
        cmocka_unit_test(a_stream_with_too_many_changed_keys_is_reset),
        cmocka_unit_test(a_stream_that_the_store_fails_ends),
        cmocka_unit_test(a_reader_that_takes_nothing_is_cut_off),
        cmocka_unit_test(silence_is_filled_with_comments),
        cmocka_unit_test(shutdown_ends_the_streams),
    };
    return cmocka_run_group_tests(tests, kv_test_group_start, kv_test_group_stop);
}
