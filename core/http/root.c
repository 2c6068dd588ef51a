/* `GET /`: introduces the server to people who do not know it yet. */
#include "http/resource.h"

static const char page[] =
    "This is KvServer, a key-value server with subscriptions.\n"
    "\n"
    "  /storage/KEY  a key: GET, HEAD, POST or PUT {\"value\": any, \"ttl\"?: \"10 minutes\"}, "
    "PATCH, DELETE\n"
    "  /storage      the keys below ?prefix=\n"
    "  /batch        several commands in one POST\n"
    "  /events       changes of ?key= and ?prefix= as Server-Sent Events\n"
    "  /ws           all of that as a WebSocket of JSON messages\n"
    "  /client.js    a client for pages: import { connect } from \"/client.js\"\n"
    "  /console/     what is in here, live (unless switched off)\n"
    "  /openapi.yaml, /asyncapi.yaml  all of it, for tools that read OpenAPI and AsyncAPI\n"
    "  /llms.txt     the documentation, for programs that read Markdown, and for people\n"
    "  /metrics      figures for Prometheus\n"
    "  /healthz      whether the server lives\n"
    "  /readyz       whether it serves\n";

static void serve(struct kv_exchange *exchange, const struct kv_request *request)
{
    (void)request;
    kv_exchange_answer(exchange, &(struct kv_answer){.status = 200,
                                                     .content = KV_CONTENT_PLAIN,
                                                     .text = {page, sizeof(page) - 1}});
}

const struct kv_resource kv_resource_root = {
    .path = {"/", 1}, .methods = KV_METHODS_READING, .is_open = true, .serve = serve};
