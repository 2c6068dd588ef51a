#include "base/log_lines.h"

#include <stdarg.h>
#include <string.h>

#include "base/log.h"

void kv_log_lines_add(struct kv_log_lines *lines, enum kv_log_level level, const char *subject,
                      const char *format, ...)
{
    va_list args;
    kv_buffer_append_char(&lines->text, (char)level);
    kv_buffer_append(&lines->text, (struct kv_slice){subject, strlen(subject) + 1});
    va_start(args, format);
    kv_buffer_vprintf(&lines->text, format, args);
    va_end(args);
    kv_buffer_append_char(&lines->text, '\0');
}

void kv_log_lines_write(const struct kv_log_lines *lines)
{
    for (size_t at = 0; at < lines->text.len;) {
        const char *line = lines->text.bytes + at, *subject = line + 1;
        const char *message = subject + strlen(subject) + 1;
        kv_log((enum kv_log_level)line[0], subject, "%s", message);
        at += (size_t)(message - line) + strlen(message) + 1;
    }
}

void kv_log_lines_fini(struct kv_log_lines *lines)
{
    kv_buffer_fini(&lines->text);
}
