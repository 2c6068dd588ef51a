#include "base/log_lines.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

static void append(struct kv_buffer *buffer, const char *text)
{
    kv_buffer_append(buffer, (struct kv_slice){text, strlen(text) + 1});
}

void kv_log_lines_add(struct kv_log_lines *lines, enum kv_log_level level, const char *subject,
                      const char *format, ...)
{
    char *message = NULL;
    va_list args;
    va_start(args, format);
    int len = vasprintf(&message, format, args);
    va_end(args);
    if (len < 0)
        return;
    kv_buffer_append_char(&lines->text, (char)level);
    append(&lines->text, subject);
    append(&lines->text, message);
    free(message);
}

void kv_log_lines_write(const struct kv_log_lines *lines)
{
    for (size_t at = 0; at < lines->text.len;) {
        const char *line = lines->text.bytes + at, *subject = line + 1;
        const char *message = subject + strlen(subject) + 1;
        kv_log((enum kv_log_level) * line, subject, "%s", message);
        at += (size_t)(message - line) + strlen(message) + 1;
    }
}

void kv_log_lines_fini(struct kv_log_lines *lines)
{
    kv_buffer_fini(&lines->text);
}
