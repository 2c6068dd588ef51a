#include "drift.h"

#include <inttypes.h>

enum {
    LOOK_MS = 1000,
    WORTH_LOGGING_MS = 1000, /* or what part of the timeout is shorter: */
    LOGGED_PART = 4,
    LOG_AGAIN_MS = 60000,
};

void drift_measure(const struct cluster *cluster, struct drift *ret)
{
    int64_t least_ahead_ms = INT64_MIN, most_behind_ms = INT64_MAX;
    *ret = (struct drift){0};
    for (uint32_t i = 0; i < cluster->n_shards; i++) {
        const struct report *report = &cluster->shards[i].store->report;
        if (!report->knows_clock)
            continue;
        int64_t least_ms = report->least_ahead_ms, most_ms = report->most_ahead_ms;
        if (least_ms > least_ahead_ms) {
            least_ahead_ms = least_ms;
            ret->ahead = i;
        }
        if (most_ms < most_behind_ms) {
            most_behind_ms = most_ms;
            ret->behind = i;
        }
    }
    if (least_ahead_ms > most_behind_ms)
        ret->apart_ms = least_ahead_ms - most_behind_ms;
}

static void name_node(struct kv_store *part, char ret[REPORTED_NODE])
{
    pthread_mutex_lock(&part->report.lock);
    memcpy(ret, part->report.node, REPORTED_NODE);
    pthread_mutex_unlock(&part->report.lock);
}

void drift_describe(const struct cluster *cluster, const struct drift *drift,
                    char text[LONGEST_LINE])
{
    char ahead[REPORTED_NODE], behind[REPORTED_NODE];
    name_node(cluster->shards[drift->ahead].store, ahead);
    name_node(cluster->shards[drift->behind].store, behind);
    snprintf(text, LONGEST_LINE,
             "Redis Cluster: the clock at %.120s is %" PRId64
             " ms ahead of that at %.120s, and all "
             "writes wait for it; at `timeout` (%" PRId64 " ms) they end with 504",
             ahead, drift->apart_ms, behind, cluster->timeout_ms);
}

static bool is_worth_logging(const struct cluster *cluster, const struct drift *drift)
{
    int64_t part_ms = cluster->timeout_ms / LOGGED_PART;
    return drift->apart_ms >= (part_ms < WORTH_LOGGING_MS ? part_ms : WORTH_LOGGING_MS);
}

/* Under the lock. */
static bool is_time(int64_t *at_ms, int64_t pause_ms)
{
    int64_t now_ms = link_clock_ms();
    if (now_ms < *at_ms)
        return false;
    *at_ms = now_ms + pause_ms;
    return true;
}

bool drift_watch(struct cluster *cluster)
{
    const struct kv_host *host = &cluster->host->base;
    struct drift drift;
    char text[LONGEST_LINE];
    pthread_mutex_lock(&cluster->lock);
    bool is_due = cluster->is_open && is_time(&cluster->drift_look_ms, LOOK_MS);
    pthread_mutex_unlock(&cluster->lock);
    if (!is_due)
        return false;
    drift_measure(cluster, &drift);
    drift_describe(cluster, &drift, text);
    pthread_mutex_lock(&cluster->lock);
    bool is_too_much = drift.apart_ms >= cluster->timeout_ms;
    bool is_news = is_too_much != (cluster->drift_text[0] != '\0');
    bool is_to_log =
        is_worth_logging(cluster, &drift) && is_time(&cluster->drift_log_ms, LOG_AGAIN_MS);
    snprintf(cluster->drift_text, LONGEST_LINE, "%s", is_too_much ? text : "");
    pthread_mutex_unlock(&cluster->lock);
    if (is_to_log)
        host->log(host, KV_LOG_WARN, "%s", text);
    return is_news;
}
