/* Reads a whole file, but at most one byte more than is allowed, so that reading /dev/zero ends. */
#include "conf/load.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "conf/fault.h"
#include "conf/file_path.h"
#include "conf/memory.h"
#include "conf/parse.h"
#include "conf/tree.h"

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

static int load(struct kv_conf *conf, int file, const char *path)
{
    struct kv_buffer text = {0};
    int status;
    if (read_all(file, &text) != 0) {
        status = kv_conf_fault(conf, NULL, "cannot be read: %s", strerror(errno));
    } else {
        conf->folder = kv_file_path_folder(file, path);
        status = kv_conf_read(conf, kv_buffer_slice(&text), &kv_conf_env_process);
    }
    kv_buffer_fini(&text);
    return status;
}

int kv_conf_load(const char *path, struct kv_conf **ret_conf)
{
    struct kv_conf *conf = *ret_conf = kv_conf_create(path);
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (file < 0)
        return kv_conf_fault(conf, NULL, "cannot be opened: %s", strerror(errno));
    int status = load(conf, file, path);
    close(file);
    return status;
}
