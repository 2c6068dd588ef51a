/* Reads a file whole, one byte more than is allowed at most, so that /dev/zero ends as well. */
#include "conf/conf.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/buffer.h"
#include "conf/parse.h"

static int read_all(int file, struct kv_buffer *out)
{
    while (out->len <= KV_CONF_MAX_BYTES) {
        size_t room = KV_CONF_MAX_BYTES + 1 - out->len;
        if (room > 65536)
            room = 65536;
        ssize_t n = read(file, kv_buffer_reserve(out, room), room);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return (int)n;
        out->len += (size_t)n;
    }
    return 0;
}

int kv_conf_load(const char *path, struct kv_conf **ret_conf, struct kv_error *reterr)
{
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (file < 0)
        return kv_error_set(reterr, "%s: cannot be opened: %s", path, strerror(errno));
    struct kv_buffer text = {0};
    int status;
    if (read_all(file, &text) != 0)
        status = kv_error_set(reterr, "%s: cannot be read: %s", path, strerror(errno));
    else
        status = kv_conf_parse(path, kv_buffer_slice(&text), ret_conf, reterr);
    kv_buffer_fini(&text);
    close(file);
    return status;
}
