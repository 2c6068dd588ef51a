/*
 * `/ws`: the upgrade to a WebSocket (RFC 6455, section 4.2). A refusal is an ordinary answer, and
 * the connection remains usable, unless the handshake is malformed, as frames may follow.
 */
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdlib.h>

#include "base/mem.h"
#include "http/resource.h"
#include "wire/deflate_offer.h"
#include "wire/http_text.h"

static const char GUID[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

enum {
    KEY_LEN = 24,
    ACCEPT_LEN = 28
};

/* 16 bytes in canonical base64: 21 digits, one whose last four bits are zero, and `==`. */
static bool is_key(struct kv_slice key)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    if (key.len != KEY_LEN || memcmp(key.bytes + KEY_LEN - 2, "==", 2) != 0)
        return false;
    for (size_t i = 0; i < KEY_LEN - 2; i++)
        if (key.bytes[i] == '\0' || strchr(digits, key.bytes[i]) == NULL)
            return false;
    return strchr("AQgw", key.bytes[KEY_LEN - 3]) != NULL;
}

static void write_accept(char accept[ACCEPT_LEN + 1], struct kv_slice key)
{
    unsigned char digest[SHA_DIGEST_LENGTH];
    char text[KEY_LEN + sizeof(GUID) - 1];
    memcpy(text, key.bytes, KEY_LEN);
    memcpy(text + KEY_LEN, GUID, sizeof(GUID) - 1);
    SHA1((const unsigned char *)text, sizeof(text), digest);
    EVP_EncodeBlock((unsigned char *)accept, digest, sizeof(digest));
}

static void demand_websocket(struct kv_exchange *exchange, const char *why)
{
    kv_exchange_refuse(exchange, (struct kv_answer){.status = 426, .demands_websocket = true}, "%s",
                       why);
}

/* Returns: NULL, or what is ambiguous or malformed in the handshake. */
static const char *fault_of(const struct kv_request *request)
{
    size_t n_keys = kv_request_count_header(request, KV_HEADER_WEBSOCKET_KEY);
    if (n_keys > 1)
        return "there is more than one Sec-WebSocket-Key";
    if (kv_request_count_header(request, KV_HEADER_WEBSOCKET_VERSION) > 1)
        return "there is more than one Sec-WebSocket-Version";
    if (n_keys == 1 && !is_key(kv_request_header(request, KV_HEADER_WEBSOCKET_KEY)))
        return "Sec-WebSocket-Key must be 16 bytes in base64";
    return NULL;
}

/* Returns: the server's protocol if the client offers it; a browser fails if none of its offers is
 * accepted. */
static struct kv_slice choose_protocol(const struct kv_request *request)
{
    struct kv_slice ours = KV_SLICE("kvserver.v1"), offered, list;
    for (size_t at = 0; kv_request_next_header(request, KV_HEADER_WEBSOCKET_PROTOCOL, &at, &list);)
        while (kv_http_list_next(&list, &offered))
            if (kv_slice_equals(offered, ours))
                return ours;
    return (struct kv_slice){0};
}

/* Returns: false if a line of offers is malformed. */
static bool negotiate(const struct kv_exchange *exchange, const struct kv_request *request,
                      struct kv_deflate_terms *ret)
{
    struct kv_slice line;
    size_t at = 0;
    *ret = (struct kv_deflate_terms){0};
    while (exchange->here->config->has_deflate &&
           kv_request_next_header(request, KV_HEADER_WEBSOCKET_EXTENSIONS, &at, &line))
        if (kv_deflate_offer_read(line, ret) != 0)
            return false;
    return true;
}

/* Hands the connection to the WebSocket service. */
struct handover {
    struct kv_handover base;
    struct kv_http_context *here;
    uint8_t window_bits;
};

static void open_websocket(struct kv_handover *base, struct kv_connection *connection,
                           struct kv_client *client)
{
    struct handover *handover = KV_CONTAINER(base, struct handover, base);
    struct kv_http_context *here = handover->here;
    if (connection != NULL)
        here->upgrade->open(here->upgrade, here->index, connection, client, handover->window_bits);
    free(handover);
}

static void upgrade(struct kv_exchange *exchange, const struct kv_request *request,
                    const struct kv_deflate_terms *terms)
{
    char accept[ACCEPT_LEN + 1], extensions[KV_DEFLATE_LONGEST_ANSWER];
    struct handover *handover = kv_alloc(sizeof(*handover));
    *handover = (struct handover){.base = {.open = open_websocket},
                                  .here = exchange->here,
                                  .window_bits = terms->window_bits};
    write_accept(accept, kv_request_header(request, KV_HEADER_WEBSOCKET_KEY));
    const struct kv_upgrade_answer answer = {
        .accept = {accept, ACCEPT_LEN},
        .protocol = choose_protocol(request),
        .extensions = kv_deflate_offer_answer(terms, extensions),
    };
    exchange->carrier->upgrade(exchange, &answer, &handover->base);
}

static void check_and_upgrade(struct kv_exchange *exchange, const struct kv_request *request)
{
    struct kv_slice version = kv_request_header(request, KV_HEADER_WEBSOCKET_VERSION);
    const char *fault = fault_of(request);
    struct kv_deflate_terms terms;
    if (fault != NULL)
        kv_exchange_refuse(exchange, (struct kv_answer){.status = 400, .is_last = true}, "%s",
                           fault);
    else if (!kv_slice_equals(version, KV_SLICE("13")))
        demand_websocket(exchange, "this server speaks version 13 of the WebSocket protocol");
    else if (kv_request_count_header(request, KV_HEADER_WEBSOCKET_KEY) == 0)
        kv_exchange_refuse(exchange, (struct kv_answer){.status = 400},
                           "an upgrade has a Sec-WebSocket-Key");
    else if (request->body.len != 0)
        kv_exchange_refuse(exchange, (struct kv_answer){.status = 400}, "an upgrade has no body");
    else if (!negotiate(exchange, request, &terms))
        kv_exchange_refuse(exchange, (struct kv_answer){.status = 400},
                           "Sec-WebSocket-Extensions is no list of extensions");
    else
        upgrade(exchange, request, &terms);
}

static void serve(struct kv_exchange *exchange, const struct kv_request *request)
{
    if (exchange->carrier->upgrade == NULL || !kv_request_asks_for_websocket(request))
        demand_websocket(exchange, "this path takes WebSocket connections");
    else if (!kv_http_is_ready(exchange->here))
        kv_exchange_refuse_unready(exchange);
    else
        check_and_upgrade(exchange, request);
}

const struct kv_resource kv_resource_websocket = {
    .path = {"/ws", 3}, .methods = KV_METHODS_READING, .upgrades = true, .serve = serve};
