/* A child process whose crash is an error like any other.
 *
 * Of 4000 random mutants of a small file in HDF5's old format, whose headers carry no checksums, 12
 * crashed libhdf5 1.10.8, which cannot be prevented by looking first: the same file crashes or not
 * by what else is in memory. (Of 23000 mutants of files as the writer here makes them, none did.)
 * So foreign files are read by a child. */
#include "h5/isolate.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

/* What the child tells, in memory that both see. */
typedef struct report {
    tw_status status;
    bool finished, late;
    char message[2048];
    char reading[1024]; /* what tw_isolate_watch was told last */
    unsigned char result[];
} report;

/* In the child: where it reports to. */
static report *own;

/* A decoder that does not come back: nothing can be saved of it, so the process ends here. */
static void on_alarm(int signal)
{
    (void)signal;
    own->late = true;
    _exit(1);
}

void tw_isolate_watch(const char *what, int seconds)
{
    const struct itimerval timer = {.it_value = {.tv_sec = seconds}};
    if (!own) return;
    snprintf(own->reading, sizeof own->reading, "%s", what ? what : "");
    (void)setitimer(ITIMER_PROF, &timer, NULL);
}

static void work(report *r, tw_status (*run)(void *self), void *self, const void *result,
                 size_t size)
{
    const struct rlimit no_core = {0};
    own = r;
    (void)signal(SIGPROF, on_alarm);
    (void)setrlimit(RLIMIT_CORE, &no_core);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    r->status = run(self);
    if (r->status != TW_OK)
        snprintf(r->message, sizeof r->message, "%s", tw_error_message());
    else
        memcpy(r->result, result, size);
    r->finished = true;
    _exit(0);
}

tw_status tw_isolate(tw_status (*run)(void *self), void *self, void *result, size_t size,
                     const char *what)
{
    tw_status st = TW_OK;
    int code = 0;
    pid_t child = -1;
    report *r =
        mmap(NULL, sizeof *r + size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    TW_CHECK(r != MAP_FAILED, TW_ENOMEM, "out of memory for a child process");
    fflush(NULL); /* else the child could write what waits here, too */
    child = fork();
    TW_CHECK(child >= 0, TW_ENOMEM, "no child process can be started: %s", strerror(errno));
    if (child == 0) work(r, run, self, result, size);
    while (waitpid(child, &code, 0) < 0)
        TW_CHECK(errno == EINTR, TW_EINTERNAL, "a child process was lost: %s", strerror(errno));
    if (r->reading[0]) what = r->reading;
    TW_CHECK(!r->late, TW_EDATA, "%s: takes too long to decode", what);
    TW_CHECK(r->finished, TW_EDATA, "%s: damaged: the library that reads it crashes (%s)", what,
             WIFSIGNALED(code) ? strsignal(WTERMSIG(code)) : "its process ended");
    if (r->status != TW_OK) TW_FAIL(r->status, "%s", r->message);
    memcpy(result, r->result, size);
done:
    if (r != MAP_FAILED) munmap(r, sizeof *r + size);
    return st;
}
