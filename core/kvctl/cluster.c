#include "kvctl/cluster.h"

#include "kvctl/objects.h"

static const struct kv_ctl_column columns[] = {
    {"PARTITION", {"partition", 9}, KV_CTL_CELL_NUMBER},
    {"CONNECTED", {"connected", 9}, KV_CTL_CELL_FLAG},
    {"NODE", {"node", 4}, KV_CTL_CELL_TEXT},
    {"REVISION", {"revision", 8}, KV_CTL_CELL_NUMBER},
    {"LAG", {"lag", 3}, KV_CTL_CELL_NUMBER},
    {"WAITING", {"waiting", 7}, KV_CTL_CELL_NUMBER},
    {"SENT", {"sent", 4}, KV_CTL_CELL_NUMBER},
    {"HELD", {"held", 4}, KV_CTL_CELL_NUMBER},
    {"LEASE", {"lease", 5}, KV_CTL_CELL_TEXT},
    {"HOLDER", {"holder", 6}, KV_CTL_CELL_TEXT},
    {"BEHIND", {"behind", 6}, KV_CTL_CELL_NUMBER},
    {"RECONNECTS", {"reconnects", 10}, KV_CTL_CELL_NUMBER},
    {"RESYNCS", {"resyncs", 7}, KV_CTL_CELL_NUMBER},
    {"FAULT", {"fault", 5}, KV_CTL_CELL_TEXT},
};

int kv_ctl_cluster_run(struct kv_ctl_call *call)
{
    static const struct kv_ctl_objects partitions = {.path = "/admin/cluster",
                                                     .name = {"partitions", 10},
                                                     .columns = columns,
                                                     .n_columns =
                                                         sizeof(columns) / sizeof(columns[0])};
    return kv_ctl_objects_run(call, &partitions);
}
