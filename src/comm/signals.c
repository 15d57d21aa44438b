/* Signal handlers that only set flags. */
#include "tweedie/signals.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static atomic_bool stop, save;
/* Nanoseconds of the first one on the monotonic clock, 0 before. */
static atomic_llong terminated, interrupted;

/* Launchers may deliver one request twice (to the process group, and by name), so only a second one
 * that comes `apart` nanoseconds later means it. @return whether this is the first */
static bool end_if_repeated(int number, atomic_llong *since, long long apart)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    long long ns = now.tv_sec * 1000000000LL + now.tv_nsec, first = 0;
    if (atomic_compare_exchange_strong(since, &first, ns)) return true;
    if (ns - first < apart) return false;
    signal(number, SIG_DFL);
    raise(number);
    return false;
}

/* From a terminal: whoever waits there learns why the program goes on. */
static void interrupt(void)
{
    static const char text[] =
        "tweedie: interrupted: stopping at the end of the step, saved; a second interrupt ends it "
        "at once\n";
    if (end_if_repeated(SIGINT, &interrupted, 200000000LL) &&
        write(STDERR_FILENO, text, sizeof text - 1) < 0)
        return;
}

static void handle(int number)
{
    int saved = errno;
    if (number == SIGUSR2)
        atomic_store(&save, true);
    else
        atomic_store(&stop, true);
    if (number == SIGTERM) (void)end_if_repeated(SIGTERM, &terminated, 1000000000LL);
    if (number == SIGINT) interrupt();
    errno = saved;
}

tw_status tw_signals_install(void)
{
    tw_status st = TW_OK;
    static const int numbers[] = {SIGUSR1, SIGUSR2, SIGTERM, SIGINT};
    struct sigaction action, before;
    memset(&action, 0, sizeof action);
    action.sa_handler = handle;
    action.sa_flags = SA_RESTART; /* a save that is being written goes on */
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        /* shells start what runs in the background with interrupts ignored: so it stays */
        if (numbers[i] == SIGINT && sigaction(SIGINT, NULL, &before) == 0 &&
            before.sa_handler == SIG_IGN)
            continue;
        TW_CHECK(sigaction(numbers[i], &action, NULL) == 0, TW_EINTERNAL,
                 "the handler of signal %d cannot be installed: %s", numbers[i], strerror(errno));
    }
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
