/* The backup is checked as it arrives, and the file gets its name only once it is complete and on
 * the disk. */
#include "kvctl/backup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "kvctl/ask.h"
#include "kvctl/interrupt.h"
#include "kvctl/meter.h"
#include "kvctl/output.h"
#include "kvctl/say.h"
#include "kvctl/whole.h"

enum {
    FILE_MODE = 0600
};

struct backup {
    FILE *file; /* NULL: write to standard output */
    struct kv_ctl_whole whole;
    struct kv_ctl_meter meter;
    int write_error; /* errno; 0: none */
};

static bool take(void *context, struct kv_slice part)
{
    struct backup *backup = context;
    if (backup->file == NULL)
        kv_ctl_put(part);
    else if (fwrite(part.bytes, 1, part.len, backup->file) != part.len)
        backup->write_error = errno;
    kv_ctl_meter_add(&backup->meter, kv_ctl_whole_take(&backup->whole, part), part.len);
    return backup->write_error == 0;
}

/* Returns: the exit code; failures have been reported. KV_CTL_DONE if the backup is complete. */
static int fetch(struct kv_ctl_call *call, struct backup *backup)
{
    struct kv_ctl_answer answer = {0};
    struct kv_error error;
    struct kv_ctl_request request = {
        .method = "GET", .path = KV_SLICE("/admin/backup"), .on_body = take, .context = backup};
    kv_ctl_meter_start(&backup->meter, call, "backed up");
    int code = kv_ctl_ask(call, &request, "backup", 0, &answer);
    kv_ctl_meter_erase(&backup->meter);
    if (backup->write_error != 0)
        code =
            kv_ctl_fail(KV_CTL_USAGE, "cannot write the backup: %s", strerror(backup->write_error));
    else if (code == KV_CTL_DONE && kv_ctl_whole_end(&backup->whole, &error) != 0)
        code = kv_ctl_fail(KV_CTL_NO_SERVER, "%s", error.text);
    else if (code == KV_CTL_DONE)
        kv_ctl_meter_finish(&backup->meter);
    kv_ctl_answer_fini(&answer);
    return code;
}

/* Returns: 0, or -1 and errno. */
static int close_well(FILE *file)
{
    bool is_written = fflush(file) == 0 && fsync(fileno(file)) == 0;
    return fclose(file) == 0 && is_written ? 0 : -1;
}

/* Does not replace a file that was created meanwhile, unless --force is given. Returns: 0, or -1
 * and errno. */
static int give_name(const struct kv_ctl_call *call, const char *partial, const char *path)
{
    if (kv_ctl_has(call, KV_CTL_FORCE))
        return rename(partial, path);
    return link(partial, path) == 0 ? unlink(partial) : -1;
}

static int fetch_into(struct kv_ctl_call *call, struct backup *backup, const char *partial,
                      const char *path)
{
    int fd = open(partial, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, FILE_MODE);
    backup->file = fd < 0 ? NULL : fdopen(fd, "w");
    if (backup->file == NULL)
        return kv_ctl_fail(KV_CTL_USAGE, "%s: %s", partial, strerror(errno));
    int code = fetch(call, backup);
    bool is_closed = close_well(backup->file) == 0;
    if (code == KV_CTL_DONE && (!is_closed || give_name(call, partial, path) != 0))
        code = kv_ctl_fail(KV_CTL_USAGE, "%s: %s", path, strerror(errno));
    if (code != KV_CTL_DONE)
        unlink(partial);
    return code;
}

static int fetch_into_file(struct kv_ctl_call *call, struct backup *backup, const char *path)
{
    struct kv_buffer partial = {0};
    if (!kv_ctl_has(call, KV_CTL_FORCE) && access(path, F_OK) == 0)
        return kv_ctl_fail(KV_CTL_USAGE, "%s: it is there already (--force replaces it)", path);
    kv_buffer_printf(&partial, "%s.partial", path);
    kv_buffer_append_char(&partial, '\0');
    int code = fetch_into(call, backup, partial.bytes, path);
    kv_buffer_fini(&partial);
    return code;
}

int kv_ctl_backup_run(struct kv_ctl_call *call)
{
    const char *path = call->arguments.operands[0];
    struct backup backup = {0};
    kv_ctl_interrupt_catch();
    kv_ctl_whole_init(&backup.whole);
    int code = strcmp(path, "-") == 0 ? fetch(call, &backup) : fetch_into_file(call, &backup, path);
    kv_ctl_whole_fini(&backup.whole);
    return code;
}
