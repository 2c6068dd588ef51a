#include "support/client/watcher.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"

static const char *part_of(const char *message, const char *name)
{
    const char *at = strstr(message, name);
    return at == NULL ? NULL : at + strlen(name);
}

static int number_of(const char *digits)
{
    return digits == NULL ? 0 : atoi(digits);
}

/* ---- messages ---- */

static void note_change(struct kv_test_watcher *watcher, uint64_t revision, const char *text)
{
    if (watcher->n == watcher->capacity) {
        watcher->capacity = watcher->capacity == 0 ? 1024 : 2 * watcher->capacity;
        watcher->history =
            kv_realloc(watcher->history, watcher->capacity * sizeof(*watcher->history));
    }
    struct kv_test_change *change = &watcher->history[watcher->n++];
    change->revision = revision;
    snprintf(change->text, sizeof(change->text), "%s", text);
}

static void see_change(struct kv_test_watcher *watcher, const char *message, uint64_t revision)
{
    char text[56];
    int key = number_of(part_of(message, watcher->prefix));
    const char *reason = part_of(message, "\"reason\":\"");
    assert_null(strstr(message, "collapsed"));
    snprintf(text, sizeof(text), "%d %.3s %d", key, reason,
             number_of(part_of(message, "\"value\":")));
    if (watcher->n != 0) /* of all keys */
        assert_true(revision > watcher->history[watcher->n - 1].revision);
    note_change(watcher, revision, text);
    if (watcher->is_synced)
        watcher->mark = revision;
}

static void see_value(struct kv_test_watcher *watcher, const char *message)
{
    int key = number_of(part_of(message, watcher->prefix));
    int value = number_of(part_of(message, "\"value\":"));
    assert_true(key >= 0 && (size_t)key < watcher->n_values);
    assert_true(value > watcher->values[key]); /* neither older nor repeated */
    watcher->values[key] = value;
}

static void see_state(struct kv_test_watcher *watcher, const char *message)
{
    watcher->n_states++;
    if (watcher->values != NULL)
        see_value(watcher, message);
}

static void see_synced(struct kv_test_watcher *watcher, const char *message, uint64_t revision)
{
    assert_true(revision >= watcher->mark);
    if (watcher->base == 0)
        watcher->base = revision;
    watcher->mark = revision;
    watcher->is_synced = true;
    assert_int_equal(sscanf(part_of(message, "\"epoch\":\""), "%63[^\"]", watcher->epoch), 1);
}

static void forget(struct kv_test_watcher *watcher)
{
    watcher->n = 0;
    watcher->base = watcher->mark = 0;
    watcher->is_synced = false;
    if (watcher->values != NULL)
        memset(watcher->values, 0, watcher->n_values * sizeof(int));
}

static void see_message(struct kv_test_watcher *watcher, const char *message)
{
    const char *number = part_of(message, "\"revision\":");
    uint64_t revision = number == NULL ? 0 : strtoull(number, NULL, 10);
    if (strstr(message, "{\"type\":\"synced\"") == message) {
        see_synced(watcher, message, revision);
    } else if (strstr(message, "{\"type\":\"reset\"") == message) {
        watcher->n_resets++;
        forget(watcher);
    } else if (strstr(message, "\"reason\"") == NULL) {
        see_state(watcher, message);
    } else if (watcher->has_values_only) {
        see_value(watcher, message);
    } else {
        see_change(watcher, message, revision);
    }
}

void kv_test_watcher_see(struct kv_test_watcher *watcher)
{
    struct kv_test_frame frame;
    char message[512];
    while (kv_test_ws_take(&watcher->ws, &frame)) {
        if (frame.opcode != KV_TEST_WS_TEXT)
            continue; /* a ping */
        assert_true(frame.payload.len < sizeof(message));
        memcpy(message, frame.payload.bytes, frame.payload.len);
        message[frame.payload.len] = '\0';
        see_message(watcher, message);
    }
}

/* ---- subscribing ---- */

static void subscribe_anew(struct kv_test_watcher *watcher)
{
    kv_test_ws_put_text(
        &watcher->ws,
        "{\"type\":\"subscribe\",\"payload\":{\"prefix\":\"%s\",\"initial\":true,\"meta\":true}}",
        watcher->prefix);
}

static void subscribe_since(struct kv_test_watcher *watcher)
{
    kv_test_ws_put_text(&watcher->ws,
                        "{\"type\":\"subscribe\",\"payload\":{\"prefix\":\"%s\",\"since\":%llu,"
                        "\"epoch\":\"%s\",\"meta\":true}}",
                        watcher->prefix, (unsigned long long)watcher->mark, watcher->epoch);
}

void kv_test_watcher_begin(struct kv_test_watcher *watcher, uint16_t port, const char *prefix)
{
    *watcher = (struct kv_test_watcher){.prefix = prefix};
    kv_test_ws_open(&watcher->ws, port);
    subscribe_anew(watcher);
}

void kv_test_watcher_keep_values(struct kv_test_watcher *watcher, size_t n_values)
{
    watcher->values = kv_calloc(n_values, sizeof(int));
    watcher->n_values = n_values;
}

void kv_test_watcher_resume(struct kv_test_watcher *watcher, uint16_t port)
{
    kv_test_ws_close(&watcher->ws);
    while (watcher->n != 0 && watcher->history[watcher->n - 1].revision > watcher->mark)
        watcher->n--;
    watcher->is_synced = false;
    kv_test_ws_open(&watcher->ws, port);
    if (watcher->mark != 0) {
        subscribe_since(watcher);
    } else {
        forget(watcher);
        subscribe_anew(watcher);
    }
}

void kv_test_watcher_end(struct kv_test_watcher *watcher)
{
    kv_test_ws_close(&watcher->ws);
    free(watcher->history);
    free(watcher->values);
}
