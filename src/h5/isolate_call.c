/* Work that is given as plain data to a child of a helper process.
 *
 * A process that runs MPI or threads should not be forked: registered memory, locks held by other
 * threads. So the helper is forked before either exists, and waits on a socket; for each request it
 * forks a child, which may crash, run out of time or of memory. Function pointers mean the same in
 * all of them, since nothing is executed anew. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "h5/isolate.h"

/* What a child may use beyond what it begins with, and how long it may run: its file is refused
 * then. The clock is for one that sleeps. */
enum { MEMORY_MAX = 1 << 30, CPU_SECONDS = 20, WALL_SECONDS = 600 };

typedef struct request {
    tw_isolated run;
    size_t size;
    unsigned char argument[TW_ISOLATE_ARGUMENT];
} request;

typedef struct answer {
    tw_status status;
    bool finished;
    int signal; /* that ended the child; 0: none */
    char message[2048];
} answer;

static int helper = -1; /* the socket */

/* ---- the child ---- */

static void limit(int what, rlim_t value)
{
    const struct rlimit both = {value, value};
    (void)setrlimit(what, &both); /* a lower one that is set already stays */
}

static void limit_memory(void)
{
#ifndef TWEEDIE_SANITIZE
    unsigned long long data = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    const bool known = file && fscanf(file, "%*u %*u %*u %*u %*u %llu", &data) == 1;
    if (file) fclose(file);
    if (known) limit(RLIMIT_DATA, data * (rlim_t)sysconf(_SC_PAGESIZE) + MEMORY_MAX);
#endif
}

static void work(answer *a, const request *r, int result)
{
    static const int own[] = {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL, SIGXCPU, SIGALRM};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) signal(own[i], SIG_DFL);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_CPU, CPU_SECONDS);
    limit_memory();
    alarm(WALL_SECONDS);
    a->status = r->run(r->argument, result);
    if (a->status != TW_OK) snprintf(a->message, sizeof a->message, "%s", tw_error_message());
    a->finished = true;
    _exit(0);
}

/* Runs a request in a child of this process. Returns false where none can be had. */
static bool run_child(answer *out, const request *r, int result)
{
    int code = 0;
    answer *shared =
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) return false;
    const pid_t child = fork();
    if (child == 0) work(shared, r, result);
    bool ended = child > 0;
    while (ended && waitpid(child, &code, 0) < 0) ended = errno == EINTR;
    *out = *shared;
    out->message[sizeof out->message - 1] = '\0';
    if (WIFSIGNALED(code)) out->signal = WTERMSIG(code);
    munmap(shared, sizeof *shared);
    return ended;
}

/* ---- the helper ---- */

/* Sends bytes with a descriptor, or without (-1). */
static bool send_with(int socket, const void *bytes, size_t size, int descriptor)
{
    union {
        char room[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = {0};
    struct iovec part = {(void *)(size_t)bytes, size};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (descriptor >= 0) {
        message.msg_control = control.room;
        message.msg_controllen = sizeof control.room;
        struct cmsghdr *head = CMSG_FIRSTHDR(&message);
        *head = (struct cmsghdr){CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
        memcpy(CMSG_DATA(head), &descriptor, sizeof descriptor);
    }
    ssize_t n;
    do n = sendmsg(socket, &message, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n == (ssize_t)size;
}

/* Receives exactly `size` bytes, and a descriptor where there is one. */
static bool receive_with(int socket, void *bytes, size_t size, int *descriptor)
{
    union {
        char room[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = {0};
    struct iovec part = {bytes, size};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control.room,
                             .msg_controllen = sizeof control.room};
    ssize_t n;
    do n = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    const struct cmsghdr *head = n > 0 ? CMSG_FIRSTHDR(&message) : NULL;
    *descriptor = -1;
    if (head && head->cmsg_type == SCM_RIGHTS)
        memcpy(descriptor, CMSG_DATA(head), sizeof *descriptor);
    return n == (ssize_t)size;
}

/* Until the socket is closed. Signals to the process group are the trainer's to answer. */
static void serve(int socket)
{
    static const int foreign[] = {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGQUIT, SIGCONT};
    static request r;
    int result;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++) signal(foreign[i], SIG_IGN);
    signal(SIGCHLD, SIG_DFL);
    while (receive_with(socket, &r, sizeof r, &result)) {
        answer a = {0};
        const bool ran = run_child(&a, &r, result);
        if (!ran) {
            a = (answer){.status = TW_ENOMEM, .finished = true};
            snprintf(a.message, sizeof a.message, "no child process can be started");
        }
        if (result >= 0) close(result);
        if (!send_with(socket, &a, sizeof a, -1)) break;
    }
    _exit(0);
}

tw_status tw_isolate_start(void)
{
    tw_status st = TW_OK;
    int ends[2] = {-1, -1};
    if (helper >= 0) return TW_OK;
    TW_CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0, TW_ENOMEM,
             "no helper process can be started: %s", strerror(errno));
    fflush(NULL);
    const pid_t child = fork();
    if (child == 0) {
        close(ends[0]);
        serve(ends[1]);
    }
    TW_CHECK(child > 0, TW_ENOMEM, "no helper process can be started: %s", strerror(errno));
    helper = ends[0];
    ends[0] = -1;
done:
    for (int i = 0; i < 2; i++)
        if (ends[i] >= 0) close(ends[i]);
    return st;
}

/* ---- a call ---- */

tw_status tw_isolate_call(tw_isolated run, const void *argument, size_t size, int *result,
                          const char *what)
{
    tw_status st = TW_OK;
    request r = {.run = run, .size = size};
    answer a = {0};
    int none, memory = -1;
    TW_CHECK(size <= sizeof r.argument, TW_EINTERNAL, "%s: %zu bytes for a child process", what,
             size);
    memcpy(r.argument, argument, size);
    memory = memfd_create("tweedie", MFD_CLOEXEC);
    TW_CHECK(memory >= 0, TW_ENOMEM, "out of memory for a child process: %s", strerror(errno));
    if (helper >= 0) {
        TW_CHECK(send_with(helper, &r, sizeof r, memory) &&
                     receive_with(helper, &a, sizeof a, &none),
                 TW_EINTERNAL, "%s: the helper process that reads it is gone", what);
    } else {
        fflush(NULL); /* else the child could write what waits here, too */
        TW_CHECK(run_child(&a, &r, memory), TW_ENOMEM, "%s: no child process can be started", what);
    }
    TW_CHECK(a.finished, TW_EDATA, "%s: damaged: the library that reads it crashes (%s)", what,
             a.signal ? strsignal(a.signal) : "its process ended");
    if (a.status != TW_OK) TW_FAIL(a.status, "%s", a.message);
    *result = memory;
    memory = -1;
done:
    if (memory >= 0) close(memory);
    return st;
}
