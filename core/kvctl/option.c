#include "kvctl/option.h"

#include <stddef.h>

const struct kv_ctl_option kv_ctl_options[KV_CTL_N_OPTIONS] = {
    [KV_CTL_OUTPUT] = {"output", 'o', "FORMAT", "text json jsonl raw", false, "how to print"},
    [KV_CTL_URL] = {"url", 0, "URL", NULL, false, "the server: http://, https:// or unix:/PATH"},
    [KV_CTL_CONTEXT] = {"context", 0, "NAME", NULL, false, "the server of this context"},
    [KV_CTL_TOKEN_FILE] = {"token-file", 0, "FILE", NULL, true, "a file that holds the token"},
    [KV_CTL_CACERT] = {"cacert", 0, "FILE", NULL, true, "certificates to trust, in PEM"},
    [KV_CTL_CERT] = {"cert", 0, "FILE", NULL, true, "a certificate of the client, in PEM"},
    [KV_CTL_CERT_KEY] = {"cert-key", 0, "FILE", NULL, true, "the key of that certificate"},
    [KV_CTL_TIMEOUT] = {"timeout", 0, "TIME", NULL, false, "give up after this silence (30s)"},
    [KV_CTL_QUIET] = {"quiet", 'q', NULL, NULL, false, "show no progress and no warnings"},
    [KV_CTL_HELP] = {"help", 'h', NULL, NULL, false, "print help"},
    [KV_CTL_JSON_KEYS] = {"json-keys", 'j', NULL, NULL, false, "keys are given as JSON strings"},
    [KV_CTL_TTL] = {"ttl", 't', "TTL", NULL, false, "the time to live: 10m, 1h 30m, 2days"},
    [KV_CTL_STRING] = {"string", 's', NULL, NULL, false, "the value is a text, not JSON"},
    [KV_CTL_IF_REVISION] = {"if-revision", 0, "N", NULL, false, "only if the key has revision N"},
    [KV_CTL_IF_ABSENT] = {"if-absent", 0, NULL, NULL, false, "only if the key has no value"},
    [KV_CTL_PREFIX] = {"prefix", 'p', "PREFIX", NULL, false, "all keys that begin with PREFIX"},
    [KV_CTL_DELIMITER] = {"delimiter", 'd', "TEXT", NULL, false,
                          "fold keys after TEXT, as folders"},
    [KV_CTL_VALUES] = {"values", 'v', NULL, NULL, false, "print values, too"},
    [KV_CTL_LONG] = {"long", 'l', NULL, NULL, false, "print revisions and times to live, too"},
    [KV_CTL_COUNT] = {"count", 'c', NULL, NULL, false, "print how many keys there are"},
    [KV_CTL_LIMIT] = {"limit", 'n', "N", NULL, false, "end after N"},
    [KV_CTL_INITIAL] = {"initial", 'i', NULL, NULL, false, "begin with the present state"},
    [KV_CTL_SINCE] = {"since", 0, "REVISION", NULL, false, "begin after this revision (--epoch)"},
    [KV_CTL_EPOCH] = {"epoch", 0, "EPOCH", NULL, false, "the epoch of that revision"},
    [KV_CTL_FORCE] = {"force", 'f', NULL, NULL, false,
                      "replace a file, or write over keys, that are there"},
    [KV_CTL_LIVE] = {"live", 0, NULL, NULL, false, "write the keys while the server serves"},
    [KV_CTL_BATCH] = {"batch", 0, "N", NULL, false, "keys in one request (1000)"},
    [KV_CTL_CONNECTIONS] = {"connections", 0, "N", NULL, false, "connections (16)"},
    [KV_CTL_DURATION] = {"duration", 0, "TIME", NULL, false, "how long to measure (5s)"},
    [KV_CTL_KEYS] = {"keys", 0, "N", NULL, false, "different keys (1000)"},
    [KV_CTL_SIZE] = {"size", 0, "BYTES", NULL, false, "the length of values (40)"},
};

_Static_assert(KV_CTL_N_OPTIONS <= 32, "a verb's options are bits of 32");
