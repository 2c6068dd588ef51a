/* `GET /admin/backup`: the whole store, while it serves. core/admin makes the backup. */
#include <stdlib.h>

#include "http/resource.h"
#include "keyspace/backup.h"

struct handover {
    struct kv_handover base;
    struct kv_http_context *here;
    bool is_head; /* send only the head */
};

static void start(const struct handover *handover, struct kv_connection *connection,
                  const struct kv_client *client)
{
    struct kv_http_context *here = handover->here;
    if (connection != NULL && !handover->is_head) {
        kv_backups_open(here->backups, here->index, connection, client->principal);
        return;
    }
    kv_backups_leave(here->backups);
    if (connection != NULL) {
        kv_connection_linger(connection);
        kv_connection_close(connection);
    }
}

static void open_backup(struct kv_handover *base, struct kv_connection *connection,
                        struct kv_client *client)
{
    struct handover *handover = KV_CONTAINER(base, struct handover, base);
    start(handover, connection, client);
    free(handover);
}

static void hand_over(struct kv_exchange *exchange)
{
    static const struct kv_answer head = {.status = 200, .content = KV_CONTENT_LINES};
    struct handover *handover = kv_alloc(sizeof(*handover));
    *handover = (struct handover){
        .base = {.open = open_backup}, .here = exchange->here, .is_head = exchange->is_head};
    exchange->carrier->hand_over(exchange, &head, &handover->base);
}

static void serve(struct kv_exchange *exchange, const struct kv_request *request)
{
    (void)request;
    if (!kv_http_is_ready(exchange->here))
        kv_exchange_refuse_unready(exchange);
    else if (!kv_backup_is_possible(exchange->here->keyspace_loop))
        kv_exchange_refuse(
            exchange, (struct kv_answer){.status = 409},
            "a backup needs the change log: `change_log` is off, or the order of the "
            "store's changes is not known");
    else if (!kv_backups_enter(exchange->here->backups))
        kv_exchange_refuse(exchange, (struct kv_answer){.status = 503, .retry_after_s = 10},
                           "%d backups are under way, and there are no more at a time",
                           KV_BACKUPS_AT_ONCE);
    else
        hand_over(exchange);
}

const struct kv_resource kv_resource_backup = {.path = {"/admin/backup", 13},
                                               .methods = KV_METHODS_READING,
                                               .keeps = true,
                                               .admin = KV_ADMIN_BACKUP,
                                               .serve = serve};
