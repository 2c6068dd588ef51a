#include "script/budget.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum {
    LONGEST_INTERVAL = 1024,   /* instructions */
    SMALL_STATE = 128 * 1024,  /* bytes: above this, the interval is shorter */
    LARGE_STATE = 1024 * 1024, /* bytes: above this, the clock is read from the beginning */
    WORK_A_LOOK = 256 * 1024,  /* bytes between two readings of the clock */
    WORK_AN_INSTRUCTION = 64,  /* bytes that count as one instruction */
    WORK_A_MICROSECOND = 1000  /* bytes, as an estimate of work in advance */
};

/* The error for a spent budget: raising it needs no memory. */
static char spent;

/* ---- time ---- */

static int64_t read_us(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* Most hooks are so short that this is never called for them. */
static void start_clocks(struct kv_script_budget *budget)
{
    budget->since_us = read_us(CLOCK_MONOTONIC);
    budget->since_cpu_us = read_us(CLOCK_THREAD_CPUTIME_ID);
}

static void add_cpu_time(struct kv_script_budget *budget)
{
    budget->used_us += read_us(CLOCK_THREAD_CPUTIME_ID) - budget->since_cpu_us;
}

/* The processor time used. If the elapsed time, which can be read without a system call, is no more
 * than `most_us`, returns that as an upper bound. */
static int64_t time_used(struct kv_script_budget *budget, int64_t most_us)
{
    if (budget->since_us == 0)
        start_clocks(budget);
    int64_t bound_us = budget->used_us + read_us(CLOCK_MONOTONIC) - budget->since_us;
    if (bound_us <= most_us)
        return bound_us;
    add_cpu_time(budget);
    start_clocks(budget);
    return budget->used_us;
}

/* ---- stopping ---- */

static void count(lua_State *lua, lua_Debug *step);

static void set_interval(struct kv_script_meter *meter, int interval)
{
    if (meter->interval == interval && lua_gethookcount(meter->lua) == interval)
        return;
    meter->interval = interval;
    lua_sethook(meter->lua, count, LUA_MASKCOUNT, interval);
}

/* Writes the innermost line of the script, as `file:line: `. Allocates nothing, as the allocator
 * may call it. */
static int write_place(lua_State *lua, char *to, size_t size)
{
    lua_Debug at;
    for (int level = 0; lua_getstack(lua, level, &at) != 0; level++) {
        lua_getinfo(lua, "Sl", &at);
        if (at.currentline > 0)
            return snprintf(to, size, "%s:%d: ", at.short_src, at.currentline);
    }
    return 0;
}

/* From now on every instruction raises an error. If there is a unit, `why` is followed by the
 * limit.
 * Returns: false. */
static bool stop(struct kv_script_meter *meter, const char *why, int64_t most, const char *unit)
{
    size_t size = sizeof(meter->reason);
    size_t len = (size_t)write_place(meter->lua, meter->reason, size);
    if (len >= size)
        len = 0;
    if (unit == NULL)
        snprintf(meter->reason + len, size - len, "stopped: %s", why);
    else
        snprintf(meter->reason + len, size - len, "stopped: %s the limit of %lld %s", why,
                 (long long)most, unit);
    meter->budget->is_spent = true;
    set_interval(meter, 1);
    return false;
}

static int interval_for(size_t bytes)
{
    int interval = LONGEST_INTERVAL;
    for (size_t most = SMALL_STATE; bytes > most && interval > 1; most *= 2)
        interval /= 2;
    return interval;
}

/* Returns: whether the script may continue, and do the work that it is about to do. */
static bool look(struct kv_script_meter *meter)
{
    struct kv_script_budget *budget = meter->budget;
    const struct kv_script_limits *limits = &meter->limits;
    int64_t ahead_us = (int64_t)(meter->work / WORK_A_MICROSECOND);
    meter->work = 0;
    if (budget->is_spent)
        return false;
    if (budget->n_instructions > limits->instructions)
        return stop(meter, "exceeded", limits->instructions,
                    "instructions (handling bytes counts, too)");
    int64_t used_us = time_used(budget, limits->time_us - ahead_us);
    if (used_us > limits->time_us)
        return stop(meter, "exceeded", limits->time_us / 1000, "ms of processor time");
    if (used_us + ahead_us > limits->time_us)
        return stop(meter, "would exceed", limits->time_us / 1000, "ms of processor time");
    if (meter->is_ending != NULL && atomic_load_explicit(meter->is_ending, memory_order_relaxed))
        return stop(meter, "the server is ending", 0, NULL);
    set_interval(meter, interval_for(meter->bytes));
    return true;
}

/* Returns: as look(). */
static bool take(struct kv_script_meter *meter, size_t work)
{
    meter->work += work;
    if (meter->work < WORK_A_LOOK || meter->budget == NULL)
        return true;
    meter->budget->n_instructions += (int64_t)(meter->work / WORK_AN_INSTRUCTION);
    return look(meter);
}

static void raise_spent(lua_State *lua)
{
    lua_pushlightuserdata(lua, &spent);
    lua_error(lua);
}

/* Called by Lua. */
static void count(lua_State *lua, lua_Debug *step)
{
    struct kv_script_meter *meter = kv_meter_of(lua);
    (void)step;
    if (meter->budget == NULL)
        return;
    meter->budget->n_instructions += meter->interval;
    if (!look(meter))
        raise_spent(lua);
}

/* ---- memory ---- */

/* If this fails, Lua collects all garbage and tries again: that time is charged, too. */
static bool may_grow(struct kv_script_meter *meter, size_t more)
{
    if (meter->bytes + more <= meter->limits.memory)
        return take(meter, more);
    meter->work += WORK_A_LOOK;
    return false;
}

void *kv_meter_allocate(void *user, void *block, size_t old_size, size_t new_size)
{
    struct kv_script_meter *meter = user;
    if (block == NULL)
        old_size = 0; /* in this case it is a type */
    if (new_size == 0) {
        free(block);
        meter->bytes -= old_size;
        return NULL;
    }
    if (new_size > old_size && !may_grow(meter, new_size - old_size))
        return NULL;
    void *moved = realloc(block, new_size);
    if (moved == NULL)
        return new_size <= old_size ? block : NULL; /* Lua requires that shrinking succeeds */
    meter->bytes += new_size - old_size;
    return moved;
}

/* ---- the meter ---- */

void kv_meter_init(struct kv_script_meter *meter, const struct kv_script_limits *limits,
                   const atomic_bool *is_ending)
{
    *meter = (struct kv_script_meter){
        .limits = *limits, .is_ending = is_ending, .interval = LONGEST_INTERVAL};
}

void kv_meter_attach(struct kv_script_meter *meter, lua_State *lua)
{
    *(struct kv_script_meter **)lua_getextraspace(lua) = meter;
    lua_sethook(lua, count, LUA_MASKCOUNT, meter->interval);
}

void kv_budget_begin(struct kv_script_meter *meter, lua_State *lua, struct kv_script_budget *budget)
{
    meter->budget = budget;
    meter->lua = lua;
    meter->work = 0;
    budget->since_us = 0;
    if (meter->bytes > LARGE_STATE)
        start_clocks(budget);
    set_interval(meter, interval_for(meter->bytes));
}

void kv_budget_end(struct kv_script_meter *meter)
{
    struct kv_script_budget *budget = meter->budget;
    if (budget->since_us != 0)
        add_cpu_time(budget);
    meter->budget = NULL;
    meter->lua = NULL;
}

void kv_budget_charge(lua_State *lua, size_t work)
{
    struct kv_script_meter *meter = kv_meter_of(lua);
    if (!take(meter, work))
        raise_spent(lua);
    kv_budget_pass_on(lua);
}

void kv_budget_charge_call(lua_State *lua)
{
    kv_budget_charge(lua, WORK_A_LOOK / (size_t)kv_meter_of(lua)->interval);
}

void kv_budget_pass_on(lua_State *lua)
{
    const struct kv_script_budget *budget = kv_meter_of(lua)->budget;
    if (budget != NULL && budget->is_spent)
        raise_spent(lua);
}
