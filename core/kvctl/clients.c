#include "kvctl/clients.h"

#include "kvctl/objects.h"

static const struct kv_ctl_column columns[] = {
    {"ID", {"id", 2}, KV_CTL_CELL_NUMBER},
    {"TRANSPORT", {"transport", 9}, KV_CTL_CELL_TEXT},
    {"TLS", {"tls", 3}, KV_CTL_CELL_FLAG},
    {"UNIX", {"unix", 4}, KV_CTL_CELL_FLAG},
    {"SECONDS", {"age", 3}, KV_CTL_CELL_SPAN},
    {"SUBSCRIPTIONS", {"subscriptions", 13}, KV_CTL_CELL_NUMBER},
    {"UNSENT", {"unsent", 6}, KV_CTL_CELL_NUMBER},
    {"ADDRESS", {"address", 7}, KV_CTL_CELL_TEXT},
    {"NAME", {"name", 4}, KV_CTL_CELL_TEXT},
};

int kv_ctl_clients_run(struct kv_ctl_call *call)
{
    static const struct kv_ctl_objects clients = {.path = "/admin/clients?limit=1000",
                                                  .name = {"clients", 7},
                                                  .columns = columns,
                                                  .n_columns =
                                                      sizeof(columns) / sizeof(columns[0])};
    return kv_ctl_objects_run(call, &clients);
}
