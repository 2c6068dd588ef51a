#include "options.h"

#include <curl/curl.h>

#include "signature.h"

const struct kv_option webhook_options[N_OPTIONS] = {
    [OPTION_URL] = {.name = "url",
                    .type = KV_OPTION_STRING,
                    .flags = KV_OPTION_REQUIRED | KV_OPTION_URL},
    [OPTION_SECRET] = {.name = "secret",
                       .type = KV_OPTION_STRING,
                       .flags = KV_OPTION_SECRET,
                       .doc = "whsec_ and base64, or any text; none: requests are not signed"},
    [OPTION_PREVIOUS_SECRET] = {.name = "previous_secret",
                                .type = KV_OPTION_STRING,
                                .flags = KV_OPTION_SECRET,
                                .doc = "signs as well, while receivers change to a new one"},
    [OPTION_HEADERS] = {.name = "headers",
                        .type = KV_OPTION_MAP,
                        .flags = KV_OPTION_SECRET,
                        .doc = "further ones"},
    [OPTION_BATCH] = {.name = "batch",
                      .type = KV_OPTION_INT,
                      .fallback = "1",
                      .min = 1,
                      .max = 1000,
                      .doc = "1: a request is one event; more: a list of up to so many"},
    [OPTION_ATTEMPTS] = {.name = "attempts",
                         .type = KV_OPTION_INT,
                         .fallback = "20",
                         .max = 1000000,
                         .doc = "then the events are given up; 0: never"},
    [OPTION_DEAD_LETTER] = {.name = "dead_letter",
                            .type = KV_OPTION_PATH,
                            .flags = KV_OPTION_WRITES,
                            .doc = "a file for the events that were given up"},
    [OPTION_TIMEOUT] = {.name = "timeout",
                        .type = KV_OPTION_DURATION,
                        .fallback = "10s",
                        .min = 100,
                        .max = 600000},
    [OPTION_CONNECT_TIMEOUT] = {.name = "connect_timeout",
                                .type = KV_OPTION_DURATION,
                                .fallback = "5s",
                                .min = 100,
                                .max = 600000},
    [OPTION_CA_FILE] = {.name = "ca_file",
                        .type = KV_OPTION_PATH,
                        .flags = KV_OPTION_READS,
                        .doc = "certificates to trust in place of the system's"},
};

/* No message shows the URL, which may be secret. */
static void check_url(struct kv_slice url, const struct kv_faults *faults)
{
    CURLU *parts = curl_url();
    CURLUcode code = curl_url_set(parts, CURLUPART_URL, url.bytes, 0);
    if (!kv_slice_has_prefix(url, KV_SLICE("http://")) &&
        !kv_slice_has_prefix(url, KV_SLICE("https://")))
        faults->add(faults, "url", "it begins with neither http:// nor https://");
    else if (code != CURLUE_OK)
        faults->add(faults, "url", "this is no URL: %s", curl_url_strerror(code));
    curl_url_cleanup(parts);
}

static void check_secret(const struct kv_option_value *options, int option,
                         const struct kv_faults *faults)
{
    struct kv_webhook_secret secret;
    struct kv_error error;
    if (kv_webhook_secret_read(options[option].string, &secret, &error) != 0)
        faults->add(faults, webhook_options[option].name, "%s", error.text);
}

/* Whether it is a token (RFC 9110, 5.6.2). */
static bool is_header_name(const char *name)
{
    static const char letters[] = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
                                  "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    return *name != '\0' && name[strspn(name, letters)] == '\0';
}

static void check_header(const char *name, const char *value, const struct kv_faults *faults)
{
    char option[WEBHOOK_LONGEST_HEADER];
    snprintf(option, sizeof(option), "headers.%s", name);
    if (!is_header_name(name))
        faults->add(faults, option, "this is no name of a header");
    else if (strpbrk(value, "\r\n") != NULL)
        faults->add(faults, option, "it has more than one line");
    else if (strlen(name) + strlen(value) + 3 > WEBHOOK_LONGEST_HEADER)
        faults->add(faults, option, "it is longer than %d bytes", WEBHOOK_LONGEST_HEADER);
}

void webhook_check(const struct kv_option_value *options, const struct kv_faults *faults)
{
    const struct kv_option_value *headers = &options[OPTION_HEADERS];
    check_url(options[OPTION_URL].string, faults);
    check_secret(options, OPTION_SECRET, faults);
    check_secret(options, OPTION_PREVIOUS_SECRET, faults);
    if (options[OPTION_PREVIOUS_SECRET].string.len != 0 && options[OPTION_SECRET].string.len == 0)
        faults->add(faults, "previous_secret", "it signs beside `secret`, which is not given");
    for (size_t i = 0; i + 1 < headers->list.n; i += 2)
        check_header(headers->list.items[i].string.bytes, headers->list.items[i + 1].string.bytes,
                     faults);
}
