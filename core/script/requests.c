#include "script/requests.h"

#include "script/counter.h"
#include "script/origin.h"
#include "script/script.h"
#include "script/updater.h"

enum {
    PAGE_BYTES = 256 * 1024 /* of a scan; a longer value is returned alone */
};

static void finished(struct kv_command *command)
{
    struct kv_script_call *call = command->owner;
    struct kv_scripts *scripts = call->here->script->scripts;
    struct kv_outcome outcome = {.command = command};
    if (call->origin != NULL)
        kv_origins_end(scripts->origins, call->origin,
                       command->status == KV_OK ? command->revision : 0);
    call->origin = NULL;
    if (kv_script_is_ending(call->here))
        call->give_up(call);
    else
        call->resume(call, &outcome);
}

static void set_condition(struct kv_command *command, const struct kv_request *request)
{
    command->cond = request->cond;
    if ((request->cond & KV_COND_REVISION) == 0)
        return;
    command->if_revision = request->if_revision;
    command->if_revisions = &command->if_revision;
    command->n_if_revisions = 1;
}

static void set_page(struct kv_command *command, const struct kv_request *request)
{
    command->argument = request->cursor;
    command->page->max_keys = request->max_keys;
    command->page->max_bytes = PAGE_BYTES;
    command->page->wants_values = request->wants_values;
}

/* Key, value and cursor are stable while the coroutine waits. */
static void send_command(struct kv_script_call *call, enum kv_command_kind kind)
{
    const struct kv_request *request = &call->request;
    struct kv_command *command = kv_command_create(call->here->keyspace_loop, kind);
    command->key = request->key;
    command->depth = call->depth + 1;
    command->script = call->here->script->config->name;
    command->owner = call;
    command->finished = finished;
    set_condition(command, request);
    if (kind == KV_COMMAND_SET) {
        command->value = kv_buffer_slice(&call->text);
        command->ttl_is_given = request->ttl_is_given;
        command->ttl_ms = request->ttl_ms;
    }
    if (kind == KV_COMMAND_SCAN)
        set_page(command, request);
    if (command->traits->is_write)
        call->origin =
            kv_origins_begin(call->here->script->scripts->origins, request->key, command->depth);
    kv_keyspace_send(command);
}

void kv_request_send(struct kv_script_call *call)
{
    switch (call->request.kind) {
    case KV_REQUEST_GET:
        send_command(call, KV_COMMAND_GET);
        break;
    case KV_REQUEST_SET:
        send_command(call, KV_COMMAND_SET);
        break;
    case KV_REQUEST_DELETE:
        send_command(call, KV_COMMAND_DELETE);
        break;
    case KV_REQUEST_SCAN:
        send_command(call, KV_COMMAND_SCAN);
        break;
    case KV_REQUEST_INCR:
        kv_counter_take_up(call);
        break;
    case KV_REQUEST_UPDATE:
        kv_updater_add(call);
        break;
    case KV_REQUEST_ANSWER:
        kv_updater_answer(call);
        break;
    }
}
