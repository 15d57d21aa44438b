/* Signal handlers that only set flags. */
#include "tweedie/signals.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

static atomic_bool stop, save;
static atomic_llong
    terminated; /* nanoseconds of the first SIGTERM on the monotonic clock, 0 before */

/* Launchers may deliver one request twice (to the process group, and by name), so only a second one
 * that is a second later means it. */
static void terminate_now_if_repeated(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    long long ns = now.tv_sec * 1000000000LL + now.tv_nsec, first = 0;
    if (atomic_compare_exchange_strong(&terminated, &first, ns)) return;
    if (ns - first < 1000000000LL) return;
    signal(SIGTERM, SIG_DFL);
    raise(SIGTERM);
}

static void handle(int number)
{
    int saved = errno;
    if (number == SIGUSR2)
        atomic_store(&save, true);
    else
        atomic_store(&stop, true);
    if (number == SIGTERM) terminate_now_if_repeated();
    errno = saved;
}

tw_status tw_signals_install(void)
{
    tw_status st = TW_OK;
    static const int numbers[] = {SIGUSR1, SIGUSR2, SIGTERM};
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = handle;
    action.sa_flags = SA_RESTART; /* a save that is being written goes on */
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        TW_CHECK(sigaction(numbers[i], &action, NULL) == 0, TW_EINTERNAL,
                 "the handler of signal %d cannot be installed: %s", numbers[i], strerror(errno));
    /* a log whose reader is gone, and a file that may grow no further, are errors of the call that
     * writes: no reason to die without a save */
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
done:
    return st;
}

bool tw_signals_stop(void)
{
    return atomic_load(&stop);
}

bool tw_signals_take_save(void)
{
    return atomic_exchange(&save, false);
}
