#include "daemon/signals.h"

#include <pthread.h>
#include <time.h>
#include <unistd.h>

/* Of several pending signals Linux takes the one with the lowest number first. Revocations may
 * follow each other without an end, so they have the highest one. KEYS and PROGRESS still come
 * before SIGTERM, which is harmless: neither repeats without an end. */
static sigset_t handled(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGUSR1);  /* KV_SIGNAL_KEYS */
    sigaddset(&set, SIGUSR2);  /* KV_SIGNAL_PROGRESS */
    sigaddset(&set, SIGRTMIN); /* KV_SIGNAL_REVOCATIONS */
    return set;
}

void kv_signals_block(void)
{
    sigset_t set = handled();
    pthread_sigmask(SIG_BLOCK, &set, NULL);
}

sigset_t kv_signals_hold_back(void)
{
    sigset_t set = handled(), before;
    pthread_sigmask(SIG_BLOCK, &set, &before);
    return before;
}

void kv_signals_let_through(sigset_t before)
{
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

int kv_signals_await(int64_t wait_ms)
{
    sigset_t set = handled();
    siginfo_t info;
    struct timespec wait = {.tv_sec = wait_ms / 1000, .tv_nsec = wait_ms % 1000 * 1000000};
    int signal_number = wait_ms < 0 ? sigwaitinfo(&set, &info) : sigtimedwait(&set, &info, &wait);
    if (signal_number < 0)
        return 0;
    if (signal_number == SIGUSR1)
        return KV_SIGNAL_KEYS;
    if (signal_number == SIGUSR2)
        return KV_SIGNAL_PROGRESS;
    if (signal_number == SIGRTMIN)
        return KV_SIGNAL_REVOCATIONS;
    return info.si_code == SI_QUEUE && info.si_pid == getpid() ? KV_SIGNAL_WAKE : signal_number;
}

void kv_signals_wake(void)
{
    sigqueue(getpid(), SIGTERM, (union sigval){0});
}

void kv_signals_tell_of_keys(void)
{
    sigqueue(getpid(), SIGUSR1, (union sigval){0});
}

void kv_signals_tell_of_progress(void)
{
    sigqueue(getpid(), SIGUSR2, (union sigval){0});
}

/* sigqueue() fails for a real-time signal if the queue is full; kill() does not. */
void kv_signals_tell_of_revocations(void)
{
    kill(getpid(), SIGRTMIN);
}

bool kv_signal_is_end(int signal_number)
{
    return signal_number == SIGTERM || signal_number == SIGINT;
}

const char *kv_signal_name(int signal_number)
{
    return signal_number == SIGINT ? "SIGINT" : "SIGTERM";
}
