#include "kvctl/output.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "kvctl/say.h"
#include "wire/json_string.h"
#include "wire/line.h"

void kv_ctl_output_begin(void)
{
    signal(SIGPIPE, SIG_IGN);
}

static _Noreturn void give_up(void)
{
    if (errno == EPIPE) {
        signal(SIGPIPE, SIG_DFL);
        raise(SIGPIPE);
    }
    kv_ctl_say("cannot write to the standard output: %s", strerror(errno));
    _exit(KV_CTL_USAGE);
}

void kv_ctl_put(struct kv_slice bytes)
{
    if (bytes.len != 0 && fwrite(bytes.bytes, 1, bytes.len, stdout) != bytes.len)
        give_up();
}

void kv_ctl_putf(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vprintf(format, args);
    va_end(args);
    if (n < 0)
        give_up();
}

void kv_ctl_output_flush(void)
{
    if (fflush(stdout) != 0 || ferror(stdout))
        give_up();
}

static bool is_terminal(void)
{
    static int known = -1;
    if (known < 0)
        known = isatty(STDOUT_FILENO);
    return known == 1;
}

/* JSON itself allows no C0 control characters except white space; DEL and C1 may occur in
 * strings. */
static size_t append_escaped(struct kv_buffer *out, struct kv_slice rest)
{
    size_t n = kv_ctl_control_len(rest);
    if (n == 0 || strchr("\t\n\r", rest.bytes[0]) != NULL)
        return 0;
    unsigned code = (unsigned char)rest.bytes[n - 1];
    kv_buffer_printf(out, "\\u%04x", code);
    return n;
}

static void append_json_text(struct kv_buffer *out, struct kv_slice json)
{
    while (json.len != 0) {
        size_t n = append_escaped(out, json);
        if (n == 0)
            kv_buffer_append(out, (struct kv_slice){json.bytes, n = 1});
        json = (struct kv_slice){json.bytes + n, json.len - n};
    }
}

void kv_ctl_put_json_text(struct kv_slice json)
{
    struct kv_buffer text = {0};
    if (!is_terminal()) {
        kv_ctl_put(json);
        return;
    }
    append_json_text(&text, json);
    kv_ctl_put(kv_buffer_slice(&text));
    kv_buffer_fini(&text);
}

void kv_ctl_put_json_line(struct kv_slice json)
{
    while (json.len != 0) {
        size_t n = kv_line_value_run(json);
        kv_ctl_put_json_text((struct kv_slice){json.bytes, n});
        if (n == json.len)
            break;
        kv_ctl_put(KV_SLICE(" "));
        json = (struct kv_slice){json.bytes + n + 1, json.len - n - 1};
    }
}

static bool is_plain(struct kv_slice key)
{
    for (size_t i = 0; i < key.len; i++)
        if (kv_ctl_control_len((struct kv_slice){key.bytes + i, key.len - i}) != 0)
            return false;
    return key.len != 0 && key.bytes[0] != '"';
}

void kv_ctl_put_json_string(struct kv_slice utf8)
{
    struct kv_buffer text = {0};
    kv_json_append_string(&text, utf8);
    kv_ctl_put(kv_buffer_slice(&text));
    kv_buffer_fini(&text);
}

void kv_ctl_append_key_text(struct kv_buffer *out, struct kv_slice key)
{
    struct kv_buffer json = {0};
    if (is_plain(key)) {
        kv_buffer_append(out, key);
        return;
    }
    kv_json_append_string(&json, key);
    append_json_text(out, kv_buffer_slice(&json));
    kv_buffer_fini(&json);
}

void kv_ctl_put_key_text(struct kv_slice key)
{
    struct kv_buffer text = {0};
    kv_ctl_append_key_text(&text, key);
    kv_ctl_put(kv_buffer_slice(&text));
    kv_buffer_fini(&text);
}
