/* Formats a line into memory and writes it with one write(2), so that lines of threads don't mix.
 */
#include "base/log.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/buffer.h"

static _Atomic int least_level = KV_LOG_INFO; /* enum kv_log_level */
static _Atomic int line_format = KV_LOG_TEXT; /* enum kv_log_format */

static const char *const level_names[] = {"debug", "info", "warn", "error"};

void kv_log_configure(enum kv_log_level level, enum kv_log_format format)
{
    atomic_store(&least_level, (int)level);
    atomic_store(&line_format, (int)format);
}

void kv_log(enum kv_log_level level, const char *subject, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    kv_vlog(level, subject, format, args);
    va_end(args);
}

static void append_time(struct kv_buffer *line)
{
    struct timespec now;
    struct tm utc;
    char text[32];
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &utc);
    kv_buffer_printf(line, "%s.%03dZ", text, (int)(now.tv_nsec / 1000000));
}

static void append_json_string(struct kv_buffer *line, const char *text)
{
    kv_buffer_append_char(line, '"');
    for (; *text != '\0'; text++) {
        unsigned char byte = (unsigned char)*text;
        if (byte == '"' || byte == '\\')
            kv_buffer_printf(line, "\\%c", byte);
        else if (byte < 0x20)
            kv_buffer_printf(line, "\\u%04x", byte);
        else
            kv_buffer_append_char(line, (char)byte);
    }
    kv_buffer_append_char(line, '"');
}

static void append_one_line(struct kv_buffer *line, const char *text)
{
    for (; *text != '\0'; text++)
        kv_buffer_append_char(line, (unsigned char)*text < 0x20 ? ' ' : *text);
}

void kv_vlog(enum kv_log_level level, const char *subject, const char *format, va_list args)
{
    if ((int)level < atomic_load_explicit(&least_level, memory_order_relaxed))
        return;
    char *message = NULL;
    if (vasprintf(&message, format, args) < 0)
        return;
    struct kv_buffer line = {0};
    if (atomic_load_explicit(&line_format, memory_order_relaxed) == KV_LOG_JSON) {
        kv_buffer_append(&line, KV_SLICE("{\"time\":\""));
        append_time(&line);
        kv_buffer_printf(&line, "\",\"level\":\"%s\",\"subject\":", level_names[level]);
        append_json_string(&line, subject);
        kv_buffer_append(&line, KV_SLICE(",\"message\":"));
        append_json_string(&line, message);
        kv_buffer_append(&line, KV_SLICE("}\n"));
    } else {
        append_time(&line);
        kv_buffer_printf(&line, " %-5s %s: ", level_names[level], subject);
        append_one_line(&line, message);
        kv_buffer_append_char(&line, '\n');
    }
    ssize_t written = write(STDERR_FILENO, line.bytes, line.len);
    (void)written; /* there is nowhere to complain */
    kv_buffer_fini(&line);
    free(message);
}
