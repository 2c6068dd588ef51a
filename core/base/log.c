/* Formats a line in memory and hands it over as a whole, so that lines of several threads are never
 * mixed. */
#include "base/log.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "base/buffer.h"
#include "base/log_writer.h"

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

/* Writes the beginning of a line. Returns: whether the line is JSON. */
static bool begin(struct kv_buffer *line, enum kv_log_level level, const char *subject)
{
    bool is_json = atomic_load_explicit(&line_format, memory_order_relaxed) == KV_LOG_JSON;
    if (is_json)
        kv_buffer_append(line, KV_SLICE("{\"time\":\""));
    append_time(line);
    if (is_json) {
        kv_buffer_printf(line, "\",\"level\":\"%s\",\"subject\":", level_names[level]);
        append_json_string(line, subject);
    } else {
        kv_buffer_printf(line, " %-5s %s: ", level_names[level], subject);
    }
    return is_json;
}

static bool put(struct kv_buffer *line, size_t most)
{
    bool is_taken = kv_log_writer_put(kv_buffer_slice(line), most);
    kv_buffer_fini(line);
    return is_taken;
}

static bool put_message(enum kv_log_level level, const char *subject, const char *message)
{
    struct kv_buffer line = {0};
    if (begin(&line, level, subject)) {
        kv_buffer_append(&line, KV_SLICE(",\"message\":"));
        append_json_string(&line, message);
        kv_buffer_append(&line, KV_SLICE("}\n"));
    } else {
        append_one_line(&line, message);
        kv_buffer_append_char(&line, '\n');
    }
    return put(&line, KV_LOG_LARGEST_QUEUE);
}

/* Reports dropped lines, as there is room again. */
static void tell_dropped(void)
{
    char text[96];
    uint64_t n = kv_log_writer_take_dropped();
    if (n == 0)
        return;
    snprintf(text, sizeof(text),
             "%llu lines before this one were dropped: the log is not read fast enough",
             (unsigned long long)n);
    put_message(KV_LOG_WARN, "log", text);
}

void kv_vlog(enum kv_log_level level, const char *subject, const char *format, va_list args)
{
    if ((int)level < atomic_load_explicit(&least_level, memory_order_relaxed))
        return;
    char *message = NULL;
    if (vasprintf(&message, format, args) < 0)
        return;
    if (put_message(level, subject, message))
        tell_dropped();
    free(message);
}

void kv_log_members(const char *subject, struct kv_slice message, struct kv_slice members)
{
    struct kv_buffer line = {0};
    bool is_json = begin(&line, KV_LOG_INFO, subject);
    kv_buffer_append(&line, is_json ? members : message);
    kv_buffer_append(&line, is_json ? KV_SLICE("}\n") : KV_SLICE("\n"));
    if (put(&line, KV_LOG_LARGEST_QUEUE / 2))
        tell_dropped();
}
