#include "syncer.h"

void syncer_init(struct syncer *syncer, struct journal *journal, struct queue *writes)
{
    *syncer = (struct syncer){.journal = journal, .writes = writes};
    pthread_mutex_init(&syncer->lock, NULL);
    pthread_cond_init(&syncer->moved, NULL);
}

static void move_to(struct syncer *syncer, enum syncer_state state)
{
    syncer->state = state;
    pthread_cond_broadcast(&syncer->moved);
}

static void *syncer_run(void *argument)
{
    struct syncer *syncer = argument;
    pthread_mutex_lock(&syncer->lock);
    while (syncer->state != SYNCER_CLOSING) {
        if (syncer->state != SYNCER_SYNCING) {
            pthread_cond_wait(&syncer->moved, &syncer->lock);
            continue;
        }
        pthread_mutex_unlock(&syncer->lock);
        enum kv_engine_status status = journal_sync(syncer->journal);
        pthread_mutex_lock(&syncer->lock);
        syncer->status = status;
        move_to(syncer, SYNCER_DONE);
        pthread_mutex_unlock(&syncer->lock);
        queue_stir(syncer->writes);
        pthread_mutex_lock(&syncer->lock);
    }
    pthread_mutex_unlock(&syncer->lock);
    return NULL;
}

int syncer_start(struct syncer *syncer)
{
    return thread_start(&syncer->thread, "store-syncer", syncer_run, syncer);
}

void syncer_fini(struct syncer *syncer)
{
    if (syncer->thread.is_there) {
        pthread_mutex_lock(&syncer->lock);
        move_to(syncer, SYNCER_CLOSING);
        pthread_mutex_unlock(&syncer->lock);
        thread_join(&syncer->thread);
    }
    pthread_cond_destroy(&syncer->moved);
    pthread_mutex_destroy(&syncer->lock);
}

void syncer_begin(struct syncer *syncer)
{
    pthread_mutex_lock(&syncer->lock);
    move_to(syncer, SYNCER_SYNCING);
    pthread_mutex_unlock(&syncer->lock);
}

/* Under the lock. */
static bool learn(struct syncer *syncer, enum kv_engine_status *ret)
{
    if (syncer->state != SYNCER_DONE)
        return false;
    syncer->state = SYNCER_IDLE;
    *ret = syncer->status;
    return true;
}

bool syncer_is_done(struct syncer *syncer, enum kv_engine_status *ret)
{
    pthread_mutex_lock(&syncer->lock);
    bool is_done = learn(syncer, ret);
    pthread_mutex_unlock(&syncer->lock);
    return is_done;
}

enum kv_engine_status syncer_wait(struct syncer *syncer)
{
    enum kv_engine_status status;
    pthread_mutex_lock(&syncer->lock);
    while (!learn(syncer, &status))
        pthread_cond_wait(&syncer->moved, &syncer->lock);
    pthread_mutex_unlock(&syncer->lock);
    return status;
}
