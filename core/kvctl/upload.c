#include "kvctl/upload.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/mem.h"
#include "kvctl/ask.h"
#include "kvctl/interrupt.h"
#include "kvctl/meter.h"
#include "kvctl/say.h"

enum {
    PART_BYTES = 256 << 10,
    LONGEST_CHECK_MS = 3600 * 1000 /* for the server to check the whole backup */
};

#define PATH "/admin/restore"

struct upload {
    struct kv_ctl_call *call;
    FILE *file;
    const char *path;
    uint64_t offset;
    struct kv_ctl_meter meter;
    struct kv_ctl_answer answer;
};

static uint64_t lines_of(struct kv_slice part)
{
    uint64_t n = 0;
    for (const char *at = part.bytes, *end = at + part.len;
         (at = memchr(at, '\n', (size_t)(end - at))) != NULL; at++)
        n++;
    return n;
}

static int send_part(struct upload *upload, struct kv_slice part)
{
    char path[64];
    snprintf(path, sizeof(path), PATH "?offset=%" PRIu64, upload->offset);
    const struct kv_ctl_request request = {
        .method = "PUT", .path = kv_slice_of(path), .body = part};
    int code = kv_ctl_ask(upload->call, &request, upload->path, 0, &upload->answer);
    if (code == KV_CTL_DONE) {
        upload->offset += part.len;
        kv_ctl_meter_add(&upload->meter, lines_of(part), part.len);
    }
    return code;
}

static int send_parts(struct upload *upload)
{
    char *bytes = kv_alloc(PART_BYTES);
    int code = KV_CTL_DONE;
    size_t len;
    while (code == KV_CTL_DONE && !kv_ctl_is_interrupted() &&
           (len = fread(bytes, 1, PART_BYTES, upload->file)) != 0)
        code = send_part(upload, (struct kv_slice){bytes, len});
    free(bytes);
    if (ferror(upload->file))
        code = kv_ctl_fail(KV_CTL_USAGE, "%s: %s", upload->path, strerror(errno));
    return code;
}

static int finish(struct upload *upload)
{
    static const struct kv_ctl_request request = {
        .method = "POST", .path = {PATH, sizeof(PATH) - 1}, .least_silence_ms = LONGEST_CHECK_MS};
    int code = kv_ctl_ask(upload->call, &request, upload->path, 0, &upload->answer);
    if (code == KV_CTL_DONE)
        kv_ctl_say("%s waits at the server: it replaces the store when the server starts next",
                   upload->path);
    return code;
}

int kv_ctl_upload(struct kv_ctl_call *call, FILE *file, const char *path)
{
    struct upload upload = {.call = call, .file = file, .path = path};
    kv_ctl_meter_start(&upload.meter, call, "uploaded");
    int code = send_parts(&upload);
    kv_ctl_meter_erase(&upload.meter);
    if (code == KV_CTL_DONE && !kv_ctl_is_interrupted())
        code = finish(&upload);
    kv_ctl_answer_fini(&upload.answer);
    return code;
}
