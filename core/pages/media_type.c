#include "pages/media_type.h"

#include <strings.h>

static const struct {
    const char *extension;
    const char *type;
} known[] = {
    {"html", "text/html; charset=utf-8"},
    {"htm", "text/html; charset=utf-8"},
    {"css", "text/css; charset=utf-8"},
    {"js", "text/javascript; charset=utf-8"},
    {"mjs", "text/javascript; charset=utf-8"},
    {"json", "application/json"},
    {"map", "application/json"},
    {"webmanifest", "application/manifest+json"},
    {"txt", "text/plain; charset=utf-8"},
    {"md", "text/markdown; charset=utf-8"},
    {"csv", "text/csv; charset=utf-8"},
    {"xml", "application/xml"},
    {"yaml", "application/yaml"},
    {"yml", "application/yaml"},
    {"svg", "image/svg+xml"},
    {"png", "image/png"},
    {"jpg", "image/jpeg"},
    {"jpeg", "image/jpeg"},
    {"gif", "image/gif"},
    {"webp", "image/webp"},
    {"avif", "image/avif"},
    {"ico", "image/vnd.microsoft.icon"},
    {"woff2", "font/woff2"},
    {"woff", "font/woff"},
    {"ttf", "font/ttf"},
    {"otf", "font/otf"},
    {"wasm", "application/wasm"},
    {"pdf", "application/pdf"},
    {"zip", "application/zip"},
    {"gz", "application/gzip"},
    {"mp3", "audio/mpeg"},
    {"m4a", "audio/mp4"},
    {"ogg", "audio/ogg"},
    {"opus", "audio/ogg"},
    {"wav", "audio/wav"},
    {"mp4", "video/mp4"},
    {"webm", "video/webm"},
    {"vtt", "text/vtt; charset=utf-8"},
};

/* The part after the last dot of the name; empty if it has none. */
static struct kv_slice extension_of(struct kv_slice path)
{
    for (size_t i = path.len; i > 0 && path.bytes[i - 1] != '/'; i--)
        if (path.bytes[i - 1] == '.')
            return (struct kv_slice){path.bytes + i, path.len - i};
    return (struct kv_slice){"", 0};
}

struct kv_slice kv_media_type_of(struct kv_slice path)
{
    struct kv_slice extension = extension_of(path);
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (strlen(known[i].extension) == extension.len &&
            strncasecmp(known[i].extension, extension.bytes, extension.len) == 0)
            return kv_slice_of(known[i].type);
    return KV_SLICE("application/octet-stream");
}
