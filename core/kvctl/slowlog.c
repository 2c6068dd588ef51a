#include "kvctl/slowlog.h"

#include "kvctl/objects.h"

static const struct kv_ctl_column columns[] = {
    {"TIME", {"time", 4}, KV_CTL_CELL_TIME},
    {"MS", {"duration", 8}, KV_CTL_CELL_NUMBER},
    {"OPERATION", {"operation", 9}, KV_CTL_CELL_TEXT},
    {"OUTCOME", {"outcome", 7}, KV_CTL_CELL_TEXT},
    {"CLIENT", {"client", 6}, KV_CTL_CELL_TEXT},
    {"ADDRESS", {"address", 7}, KV_CTL_CELL_TEXT},
    {"BYTES", {"key_length", 10}, KV_CTL_CELL_NUMBER},
    {"KEY", {"key", 3}, KV_CTL_CELL_TEXT},
};

int kv_ctl_slowlog_run(struct kv_ctl_call *call)
{
    static const struct kv_ctl_objects commands = {.path = "/admin/slowlog",
                                                   .name = {"commands", 8},
                                                   .columns = columns,
                                                   .n_columns =
                                                       sizeof(columns) / sizeof(columns[0])};
    return kv_ctl_objects_run(call, &commands);
}
