/* The child process, and who is to blame for its end. */
#include "worker.h"

#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#include <signal.h>
#include <stdalign.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <unwind.h>

#include "harness.h"

enum {
    PAGE = 4096,
    COUNTERS = 1 << 17,
    BLAME_LIBRARY = 99,
    BLAME_US = 98,
    BLAME_NO_CHILD = 97,
    RUNS_MAX = 5000
};
enum { FRAMES = 64, LIBRARY_KEPT = 20 };

/* libFuzzer reads these after each run. Made shared before the first fork. */
__attribute__((section("__libfuzzer_extra_counters"))) static alignas(PAGE) uint8_t extra[COUNTERS];

/* What the compiler lays down in this program: counters of edges, and their addresses. */
extern uint8_t __start___sancov_cntrs[], __stop___sancov_cntrs[];
extern const uintptr_t __start___sancov_pcs[], __stop___sancov_pcs[];

static struct worker {
    pid_t pid; /* 0: none */
    int to, from;
    int runs;
    int report; /* what the sanitizers say of the child */
    uint8_t *input;
    int library_crashes;
} w;

/* ---- in the child ---- */

static uintptr_t first_pc = UINTPTR_MAX, last_pc;

typedef enum blame { NOBODY, US, LIBRARY } blame;

static void on_death(void);
static bool isolated;

/* Whose code an address is in; the sanitizers' is nobody's, nor is that of the function that asks.
 */
static blame owner(uintptr_t pc)
{
    enum { ON_DEATH_BYTES = 1024 };
    Dl_info info;
    if (pc - (uintptr_t)on_death < ON_DEATH_BYTES) return NOBODY;
    if (pc >= first_pc && pc <= last_pc) return US;
    if (dladdr((void *)pc, &info) && info.dli_fname && strstr(info.dli_fname, "libhdf5"))
        return LIBRARY;
    return NOBODY;
}

/* Looks no further than it must: the stack may be what was damaged. */
static _Unwind_Reason_Code look(struct _Unwind_Context *frame, void *found)
{
    blame *by = found;
    *by = owner((uintptr_t)_Unwind_GetIP(frame));
    return *by == NOBODY ? _URC_NO_REASON : _URC_END_OF_STACK;
}

/* Who allocated what was read or written beside its end. */
static blame owner_of_memory(void)
{
    void *frames[FRAMES];
    int thread;
    blame of = NOBODY;
    if (!__asan_report_present() || !__asan_get_report_address()) return NOBODY;
    const size_t n = __asan_get_alloc_stack(__asan_get_report_address(), frames, FRAMES, &thread);
    for (size_t i = 0; i < n && of == NOBODY; i++) of = owner((uintptr_t)frames[i]);
    return of;
}

/* The innermost frame decides, unless the library overran what we gave it. */
static void on_death(void)
{
    blame by = NOBODY;
    (void)_Unwind_Backtrace(look, &by);
    if (by == LIBRARY && !isolated) _exit(BLAME_NO_CHILD);
    _exit(by == LIBRARY && owner_of_memory() != US ? BLAME_LIBRARY : BLAME_US);
}

/* ---- what the program does in a child of its own is done here, where coverage is seen ---- */

void worker_isolated(bool is)
{
    isolated = is;
}

typedef tw_status (*isolated_work)(const void *argument, int result);
tw_status __wrap_tw_isolate_call(isolated_work work, const void *argument, size_t size, int *result,
                                 const char *what);

/* In the place of tw_isolate_call ("h5/isolate.h"); the linker puts it there. */
tw_status __wrap_tw_isolate_call(isolated_work work, const void *argument, size_t size, int *result,
                                 const char *what)
{
    const bool before = isolated;
    const int memory = memfd_create("result", MFD_CLOEXEC);
    (void)size;
    (void)what;
    FUZZ_CLAIM(memory >= 0);
    isolated = true;
    const tw_status st = work(argument, memory);
    isolated = before;
    if (st == TW_OK)
        *result = memory;
    else
        close(memory);
    return st;
}

/* ---- the end of a child ---- */

static void on_abort(int number)
{
    (void)number;
    on_death();
}

static bool has_grown(void)
{
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 && usage.ru_maxrss / 1024 > WORKER_MIB;
}

static void serve(int from, int to)
{
    const size_t counters = (size_t)(__stop___sancov_cntrs - __start___sancov_cntrs);
    size_t size;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    __sanitizer_set_report_fd((void *)(intptr_t)w.report);
    __sanitizer_set_death_callback(on_death);
    signal(SIGABRT, on_abort); /* the library's own guards; a claim of ours, too */
    while (read(from, &size, sizeof size) == (ssize_t)sizeof size) {
        memset(__start___sancov_cntrs, 0, counters);
        fuzz_here.run(fuzz_path(fuzz_here.file), w.input, size);
        memcpy(extra, __start___sancov_cntrs, counters < COUNTERS ? counters : COUNTERS);
        const char reply = has_grown() ? 'm' : 'k';
        if (write(to, &reply, 1) != 1) break;
    }
    _exit(0);
}

/* ---- in the parent ---- */

static void prepare(void)
{
    blame by = NOBODY;
    (void)_Unwind_Backtrace(look, &by); /* loads the unwinder, which a handler could not */
    for (const uintptr_t *pc = __start___sancov_pcs; pc < __stop___sancov_pcs; pc += 2) {
        if (*pc < first_pc) first_pc = *pc;
        if (*pc > last_pc) last_pc = *pc;
    }
    last_pc += PAGE; /* the rest of the last function */
    w.input =
        mmap(NULL, WORKER_INPUT_MAX, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    w.report = memfd_create("report", 0);
    FUZZ_CLAIM(w.input != MAP_FAILED && w.report >= 0);
    FUZZ_CLAIM(mmap(extra, sizeof extra, PROT_READ | PROT_WRITE,
                    MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == (void *)extra);
}

static void start(void)
{
    int to[2], from[2];
    if (!w.input) prepare();
    FUZZ_CLAIM(pipe(to) == 0 && pipe(from) == 0 && ftruncate(w.report, 0) == 0);
    (void)lseek(w.report, 0, SEEK_SET);
    w.pid = fork();
    FUZZ_CLAIM(w.pid >= 0);
    if (w.pid == 0) {
        close(to[1]);
        close(from[0]);
        serve(to[0], from[1]);
    }
    close(to[0]);
    close(from[1]);
    w.to = to[1];
    w.from = from[0];
    w.runs = 0;
}

/* @return the exit code, or 128 + the signal */
static int stop(void)
{
    int code = 0;
    close(w.to);
    close(w.from);
    while (waitpid(w.pid, &code, 0) < 0 && errno == EINTR) continue;
    w.pid = 0;
    return WIFEXITED(code) ? WEXITSTATUS(code) : 128 + WTERMSIG(code);
}

static void say_total(void)
{
    fprintf(fuzz_stream(), "fuzz: %d crashes inside the library\n", w.library_crashes);
}

static void keep(const uint8_t *bytes, size_t size)
{
    char path[512];
    const char *folder = getenv("TWEEDIE_FUZZ_FINDINGS");
    if (w.library_crashes++ >= LIBRARY_KEPT || !folder) return;
    snprintf(path, sizeof path, "%s/library-%d-%d", folder, (int)getpid(), w.library_crashes);
    fuzz_write(path, bytes, size);
}

static void print_report(int code)
{
    static char text[1 << 16];
    const ssize_t n = pread(w.report, text, sizeof text - 1, 0);
    if (code == BLAME_NO_CHILD)
        fprintf(fuzz_stream(),
                "fuzz: the library crashed where the program has no child process\n");
    fprintf(fuzz_stream(), "fuzz: the child ended with %d\n%.*s\n", code, n > 0 ? (int)n : 0, text);
}

/* Whether the child has done nothing for a while: it waits for itself in the sanitizers' handlers,
 * as a damaged heap or stack may have it. A library that loops is libFuzzer's to find. */
static bool is_stuck(void)
{
    enum { WAIT_MS = 8000 };
    struct pollfd ready = {.fd = w.from, .events = POLLIN};
    struct timespec before = {0}, now = {0};
    clockid_t clock;
    if (clock_getcpuclockid(w.pid, &clock) != 0) return false;
    (void)clock_gettime(clock, &before);
    if (poll(&ready, 1, WAIT_MS) != 0) return false;
    (void)clock_gettime(clock, &now);
    return now.tv_sec == before.tv_sec && now.tv_nsec - before.tv_nsec < 10 * 1000 * 1000;
}

void worker_run(const char *path, const uint8_t *bytes, size_t size)
{
    static bool counted;
    char reply = 0;
    (void)path;
    if (!counted) counted = atexit(say_total) == 0;
    if (w.pid && w.runs >= RUNS_MAX) (void)stop(); /* what the library loses goes with it */
    if (!w.pid) start();
    w.runs++;
    memcpy(w.input, bytes, size);
    const bool asked = write(w.to, &size, sizeof size) == (ssize_t)sizeof size;
    ssize_t n = 0;
    const bool stuck = asked && is_stuck();
    if (stuck) (void)kill(w.pid, SIGKILL);
    while (asked && (n = read(w.from, &reply, 1)) < 0 && errno == EINTR) continue;
    if (n == 1 && reply == 'k') return;
    if (n == 1) {
        fprintf(fuzz_stream(), "fuzz: the child has grown beyond %d MiB (out-of-memory)\n",
                WORKER_MIB);
        abort();
    }
    const int code = stop();
    if (code == BLAME_LIBRARY || stuck) {
        keep(bytes, size);
        return;
    }
    print_report(code);
    abort();
}
