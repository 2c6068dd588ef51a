#include "kvctl/given.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/utf8.h"
#include "kvctl/interrupt.h"
#include "wire/json.h"
#include "wire/json_string.h"

enum {
    PIECE = 64 << 10
};

/* Returns: 0, or -1 and errno. */
static int read_all(int fd, struct kv_buffer *out)
{
    for (;;) {
        char *to = kv_buffer_try_reserve(out, PIECE);
        if (to == NULL) {
            errno = ENOMEM;
            return -1;
        }
        ssize_t n = read(fd, to, PIECE);
        if (n < 0 && errno == EINTR && !kv_ctl_is_interrupted())
            continue;
        if (n <= 0)
            return (int)n;
        out->len += (size_t)n;
    }
}

static int read_file(const char *path, struct kv_buffer *out, struct kv_error *reterr)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return kv_error_set(reterr, "%s: %s", path, strerror(errno));
    int result = read_all(fd, out);
    if (result != 0)
        kv_error_set(reterr, "%s: %s", path, strerror(errno));
    close(fd);
    return result;
}

/* Reads a value: the argument itself, all of standard input (`-`) or a file (`@FILE`). Returns: 0,
 * or -1 and *reterr. */
static int read_value(const char *argument, struct kv_buffer *out, struct kv_error *reterr)
{
    if (argument[0] == '@')
        return read_file(argument + 1, out, reterr);
    if (strcmp(argument, "-") != 0) {
        kv_buffer_append(out, kv_slice_of(argument));
        return 0;
    }
    if (read_all(STDIN_FILENO, out) != 0)
        return kv_error_set(reterr, "standard input: %s", strerror(errno));
    return 0;
}

static int make_string(struct kv_buffer *given, struct kv_buffer *out, struct kv_error *reterr)
{
    struct kv_slice text = kv_buffer_slice(given);
    size_t n_valid = kv_utf8_valid_len(text);
    if (n_valid != text.len)
        return kv_error_set(reterr, "the value is not UTF-8 at byte %zu", n_valid);
    kv_json_append_string(out, text);
    return 0;
}

static int check(const struct kv_buffer *given, struct kv_buffer *out, struct kv_error *reterr)
{
    struct kv_json_error error;
    struct kv_slice value;
    if (kv_json_check(kv_buffer_slice(given), KV_JSON_MAX_DEPTH, &value, &error) != 0)
        return kv_error_set(reterr, "the value is not JSON: byte %zu: %s (--string takes a text)",
                            error.offset, error.what);
    kv_buffer_append(out, value);
    return 0;
}

int kv_ctl_given_value(const struct kv_ctl_call *call, const char *argument, struct kv_buffer *out,
                       struct kv_error *reterr)
{
    struct kv_buffer given = {0};
    int result = read_value(argument, &given, reterr);
    if (result == 0)
        result = kv_ctl_has(call, KV_CTL_STRING) ? make_string(&given, out, reterr)
                                                 : check(&given, out, reterr);
    kv_buffer_fini(&given);
    return result;
}

int kv_ctl_given_key(const struct kv_ctl_call *call, const char *argument, struct kv_buffer *out,
                     struct kv_error *reterr)
{
    struct kv_json_error error;
    struct kv_slice text = kv_slice_of(argument), string;
    out->len = 0;
    if (!kv_ctl_has(call, KV_CTL_JSON_KEYS)) {
        kv_buffer_append(out, text);
        return 0;
    }
    if (kv_json_check(text, 1, &string, &error) != 0 || kv_json_type_of(string) != KV_JSON_STRING ||
        kv_json_unescape(string, out) != 0)
        return kv_error_set(reterr, "the key is not a JSON string: %s", argument);
    return 0;
}
