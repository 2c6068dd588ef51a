#include "dead_letter.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

int kv_dead_letter_append(const char *path, const struct kv_event *events, size_t n,
                          struct kv_error *reterr)
{
    FILE *file = fopen(path, "abe");
    if (file == NULL)
        return kv_error_set(reterr, "dead_letter: cannot open %s: %s", path, strerror(errno));
    for (size_t i = 0; i < n; i++) {
        fwrite(events[i].json.bytes, 1, events[i].json.len, file);
        fputc('\n', file);
    }
    bool is_written = fflush(file) == 0 && ferror(file) == 0 && fdatasync(fileno(file)) == 0;
    int failure = errno;
    if (fclose(file) != 0 || !is_written)
        return kv_error_set(reterr, "dead_letter: cannot write %s: %s", path, strerror(failure));
    return 0;
}
