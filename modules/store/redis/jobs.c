#include "jobs.h"

#include <assert.h>
#include <stdlib.h>

enum {
    FIRST_CAPACITY = 64
};

static size_t place_of(const struct jobs *jobs, size_t i)
{
    return (jobs->first + i) & (jobs->capacity - 1);
}

struct job *jobs_at(const struct jobs *jobs, size_t i)
{
    return &jobs->slots[place_of(jobs, i)];
}

bool jobs_reserve(struct jobs *jobs, size_t n)
{
    size_t capacity = jobs->capacity == 0 ? FIRST_CAPACITY : jobs->capacity;
    while (capacity - jobs->n < n)
        capacity *= 2;
    if (capacity == jobs->capacity)
        return true;
    struct job *slots = calloc(capacity, sizeof(*slots));
    if (slots == NULL)
        return false;
    for (size_t i = 0; i < jobs->n; i++)
        slots[i] = *jobs_at(jobs, i);
    free(jobs->slots);
    *jobs = (struct jobs){.slots = slots, .n = jobs->n, .capacity = capacity};
    return true;
}

void jobs_append(struct jobs *jobs, const struct job *job)
{
    assert(jobs->n < jobs->capacity);
    jobs->n++;
    *jobs_at(jobs, jobs->n - 1) = *job;
}

void jobs_prepend(struct jobs *jobs, const struct job *job)
{
    assert(jobs->n < jobs->capacity);
    jobs->first = place_of(jobs, jobs->capacity - 1);
    jobs->n++;
    *jobs_at(jobs, 0) = *job;
}

struct job jobs_take_first(struct jobs *jobs)
{
    struct job job = *jobs_at(jobs, 0);
    jobs->first = place_of(jobs, 1);
    jobs->n--;
    return job;
}

struct job jobs_take_last(struct jobs *jobs)
{
    jobs->n--;
    return *jobs_at(jobs, jobs->n);
}

void jobs_clear(struct jobs *jobs)
{
    free(jobs->slots);
    *jobs = (struct jobs){0};
}
