#include "kvctl/say.h"

#include "base/buffer.h"

enum {
    LONGEST = 4096
};

size_t kv_ctl_control_len(struct kv_slice text)
{
    unsigned char first = (unsigned char)text.bytes[0];
    if (first < 0x20 || first == 0x7f)
        return 1;
    /* U+0080 to U+009F, as UTF-8. */
    if (first == 0xc2 && text.len > 1 && (unsigned char)text.bytes[1] < 0xa0)
        return 2;
    return 0;
}

static void say(const char *format, va_list args)
{
    char text[LONGEST];
    struct kv_buffer line = {0};
    vsnprintf(text, sizeof(text), format, args);
    for (struct kv_slice rest = kv_slice_of(text); rest.len != 0;) {
        size_t n = kv_ctl_control_len(rest);
        kv_buffer_append_char(&line, n == 0 ? rest.bytes[0] : '?');
        n += n == 0;
        rest = (struct kv_slice){rest.bytes + n, rest.len - n};
    }
    fprintf(stderr, "kvctl: %.*s\n", (int)line.len, line.bytes);
    kv_buffer_fini(&line);
}

void kv_ctl_say(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say(format, args);
    va_end(args);
}

int kv_ctl_fail(enum kv_ctl_exit code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say(format, args);
    va_end(args);
    return code;
}
