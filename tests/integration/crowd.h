/*
 * A crowd of connections that do not read and make the server buffer much for each of them;
 * together they exhaust its `limits.memory`.
 */
#ifndef KV_TEST_CROWD_H
#define KV_TEST_CROWD_H

#include "fixture.h"

/* Of the server's configuration. */
#define CROWD_LIMITS "limits: {memory: 128MiB, value: 16MiB, message: 17MiB}\n"

enum {
    KIB = 1 << 10,
    MIB = 1 << 20,
    CROWD_LIMIT_MIB = 128,
    CROWD = 150,
    CROWD_VALUES = 40, /* at keys that are common to all: `long-0`, … */
};

struct crowd {
    const struct kv_test_server *server;
    size_t baseline; /* bytes of resident memory before */
    struct kv_test_ws members[CROWD];
};

/* Skips the test under a sanitizer, whose own memory distorts the measurement. */
void crowd_needs_plain_memory(void);

/* state: of the group's server; is_websocket: after an upgrade. The members are paused. Owns: the
 * caller, by crowd_disperse(). */
struct crowd *crowd_gather(void **state, bool is_websocket);

/* All members send their queued data, as far as the server accepts it now. Returns: whether any
 * did. */
bool crowd_press(struct crowd *crowd);

/* Takes the present usage as the baseline. */
void crowd_begin_measuring(struct crowd *crowd);

/* Asserts that the server has used no more than the limit and a quarter. */
void crowd_expect_bound(const struct crowd *crowd);

/* Closes the crowd, and asserts that its memory is released within the time. */
void crowd_disperse(struct crowd *crowd, int64_t limit_ms);

/* A JSON string of that length. Owns: the caller, by free(). */
char *crowd_make_value(char letter, size_t len);

/* While the crowd uses all available memory, others may be refused for a moment. Returns: the time
 * until the value was stored at `long-<which>`. */
int64_t crowd_store_value(uint16_t port, int which, const char *value);
void crowd_store_values(uint16_t port, char letter, size_t len);

/* The path of a common value, for a GET. ret: room for 32 bytes. */
const char *crowd_path(int which, char *ret);

#endif
