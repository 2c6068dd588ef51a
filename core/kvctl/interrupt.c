#include "kvctl/interrupt.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

static volatile sig_atomic_t noted;
static int wake_fd = -1;

static void note(int number)
{
    uint64_t one = 1;
    int before = errno;
    noted = number;
    ssize_t written = write(wake_fd, &one, sizeof(one));
    (void)written; /* it fails only if the counter is full, and then the descriptor is readable */
    errno = before;
}

void kv_ctl_interrupt_catch(void)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction action = {.sa_handler = note};
    struct sigaction before;
    wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (wake_fd < 0)
        return;
    sigemptyset(&action.sa_mask);
    /* Signals that are ignored, for example by nohup, stay ignored. */
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        if (sigaction(numbers[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN)
            sigaction(numbers[i], &action, NULL);
}

bool kv_ctl_is_interrupted(void)
{
    return noted != 0;
}

int kv_ctl_interrupt_fd(void)
{
    return wake_fd;
}

void kv_ctl_interrupt_obey(void)
{
    if (noted == 0)
        return;
    fflush(NULL);
    signal(noted, SIG_DFL);
    raise(noted);
}
