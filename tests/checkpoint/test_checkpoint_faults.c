/* slow */
/* Every call of a save fails once, in every way: an error, a full disk, half a write, a wrong byte,
 * SIGKILL, an error of HDF5. Whatever happens, the older checkpoint is untouched, nothing bad has a
 * final name, nothing temporary stays but after a kill, and the exit code is right.
 *
 * The test runs itself as the victim (`test_checkpoint_faults save RUN`, which makes steps 200 and
 * 300) under the library of tests/faults/; tests/cli/checkpoint.sh gets its files that way too, and
 * with `others RUN` the same with another loss. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "checkpoint/checkpoint_fixture.h"
#include "tweedie/clock.h"
#include "tweedie/file.h"
#include "tweedie/log.h"

static char run[256], shim[4096], self[4096], log_path[300];
static fixture state_of;

enum { OLD = 100, NEW = 200, LATER = 300, LIMIT = 20 };

static int save_as_victim(const char *directory, const double *losses)
{
    fixture_fill(&state_of, NEW);
    state_of.meta.losses = losses;
    tw_status st = tw_checkpoint_write(directory, state_of.arrays, FIXTURE_ARRAYS, &state_of.meta);
    if (st != TW_OK) fprintf(stderr, "%s\n", tw_error_message());
    /* training goes on after a failed save, and the next one must not suffer from it */
    fixture_fill(&state_of, LATER);
    state_of.meta.losses = losses;
    tw_status again =
        tw_checkpoint_write(directory, state_of.arrays, FIXTURE_ARRAYS, &state_of.meta);
    if (again != TW_OK) fprintf(stderr, "%s\n", tw_error_message());
    return tw_status_exit_code(st);
}

/* Runs the victim with call `number` (0: none) doing `action`; returns its wait status. A hang is
 * ended by SIGALRM. */
static int victim(const char *action, long number)
{
    char call[32];
    int status;
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        snprintf(call, sizeof call, "%ld", number);
        setenv("LD_PRELOAD", shim, 1);
        setenv("FAULT_PATH", run, 1);
        setenv("FAULT_CALL", call, 1);
        if (action)
            setenv("FAULT_ACTION", action, 1);
        else
            setenv("FAULT_LOG", log_path, 1);
        setenv("ASAN_OPTIONS", "verify_asan_link_order=0:detect_leaks=0", 1);
        if (!freopen("/dev/null", "w", stderr)) _exit(99);
        alarm(LIMIT);
        execl(self, self, "save", run, (char *)NULL);
        _exit(98);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static bool holds(const char *path, int64_t step)
{
    tw_checkpoint *c = NULL;
    static fixture got;
    fixture_fill(&got, 1);
    fixture_fill(&state_of, step);
    bool ok = tw_checkpoint_open(&c, path) == TW_OK &&
              tw_checkpoint_read(c, got.arrays, FIXTURE_ARRAYS) == TW_OK &&
              memcmp(got.data, state_of.data, sizeof got.data) == 0;
    if (ok) { /* and what it says about them */
        const tw_checkpoint_meta *m = tw_checkpoint_meta_view(c);
        ok = m->step == step && m->samples == state_of.meta.samples &&
             m->seed == state_of.meta.seed && fixture_same_samples(m) &&
             strcmp(m->config, state_of.meta.config) == 0 &&
             memcmp(m->losses, fixture_losses, sizeof fixture_losses) == 0 &&
             strcmp(m->versions, state_of.meta.versions) == 0;
    }
    tw_checkpoint_close(&c);
    return ok;
}

static long count_temporaries(void)
{
    char command[700];
    snprintf(command, sizeof command, "find '%s' -name '*.tmp' | wc -l", run);
    FILE *pipe = popen(command, "r");
    long n = -1;
    if (!pipe || fscanf(pipe, "%ld", &n) != 1) abort();
    pclose(pipe);
    return n;
}

/* How many calls of each kind an undisturbed save makes: half of those of the victim's two. */
static void count_calls(long *files, long *hdf5)
{
    char line[128];
    *files = *hdf5 = 0;
    unlink(log_path);
    int status = victim(NULL, 0);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    FILE *log = fopen(log_path, "r");
    assert_non_null(log);
    while (fgets(line, sizeof line, log)) {
        *files += strncmp(line, "file ", 5) == 0;
        *hdf5 += strncmp(line, "hdf5 ", 5) == 0;
    }
    fclose(log);
    *files /= 2;
    *hdf5 /= 2;
}

typedef struct tally {
    long injections, reported, tolerated, killed, killed_new;
} tally;

static void inject(const char *action, long number, const char *old_bytes, size_t old_size,
                   tally *t)
{
    char old_path[512], new_path[512], later_path[512];
    size_t n;
    snprintf(old_path, sizeof old_path, "%s/checkpoints/step-000000100.h5", run);
    snprintf(new_path, sizeof new_path, "%s/checkpoints/step-000000200.h5", run);
    snprintf(later_path, sizeof later_path, "%s/checkpoints/step-000000300.h5", run);
    unlink(new_path);
    unlink(later_path);

    int status = victim(action, number);
    t->injections++;
    bool there = tw_file_exists(new_path);
    if (there && !holds(new_path, NEW))
        fail_msg("%s at call %ld: a bad file under a final name", action, number);
    bool later = tw_file_exists(later_path);
    if (later && !holds(later_path, LATER))
        fail_msg("%s at call %ld: a bad file by the save after it", action, number);
    char *now = fixture_slurp(old_path, &n);
    if (n != old_size || memcmp(now, old_bytes, n) != 0)
        fail_msg("%s at call %ld: the older checkpoint was touched", action, number);
    free(now);
    if (WIFSIGNALED(status)) {
        if (WTERMSIG(status) != SIGKILL || strcmp(action, "kill") != 0)
            fail_msg("%s at call %ld: signal %d", action, number, WTERMSIG(status));
        t->killed++;
        t->killed_new += there;
        assert_int_equal(tw_checkpoint_clean(run), TW_OK);
    } else if (WEXITSTATUS(status) == 0) {
        if (!there) fail_msg("%s at call %ld: success without a file", action, number);
        t->tolerated++;
    } else {
        if (WEXITSTATUS(status) != 74)
            fail_msg("%s at call %ld: exit code %d, expected 74", action, number,
                     WEXITSTATUS(status));
        t->reported++;
    }
    if (!later && !WIFSIGNALED(status) && strncmp(action, "errnoall", 8) != 0 &&
        strcmp(action, "full") != 0)
        fail_msg("%s at call %ld: the save after it failed too", action, number);
    if (count_temporaries() != 0)
        fail_msg("%s at call %ld: a temporary file stays", action, number);
}

static void every_call_of_a_save_may_fail(void **state)
{
    (void)state;
    static const char *const actions[] = {"kill",  "errno:28", "errnoall:28", "errno:5",
                                          "short", "full",     "corrupt"};
    char path[512];
    size_t old_size;
    long files, hdf5;
    tally total = {0};

    snprintf(path, sizeof path, "%s/checkpoints/step-000000100.h5", run);
    char *old_bytes = fixture_slurp(path, &old_size);
    count_calls(&files, &hdf5);
    assert_true(files > 20 && hdf5 > 100);
    for (size_t a = 0; a < sizeof actions / sizeof *actions; a++) {
        tally t = {0};
        for (long call = 1; call <= files; call++)
            inject(actions[a], call, old_bytes, old_size, &t);
        print_message("%-12s %4ld calls: %ld reported, %ld harmless, %ld killed (%ld after the new "
                      "one was there)\n",
                      actions[a], t.injections, t.reported, t.tolerated, t.killed, t.killed_new);
        total.injections += t.injections;
        total.reported += t.reported;
    }
    tally t = {0};
    for (long call = 1; call <= hdf5; call++) inject("hdf5", call, old_bytes, old_size, &t);
    print_message("%-12s %4ld calls: %ld reported, %ld harmless\n", "hdf5", t.injections,
                  t.reported, t.tolerated);
    print_message("%ld injections, 0 hangs, 0 bad files\n", total.injections + t.injections);
    assert_true(total.reported > files); /* the faults do reach the save */
    assert_true(t.reported > hdf5 / 2);
    free(old_bytes);
}

static int set_up(void **state)
{
    (void)state;
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n <= 0) return -1;
    self[n] = '\0';
    const char *slash = strrchr(self, '/');
    snprintf(shim, sizeof shim, "%.*s/libtweedie_fault.so", (int)(slash - self), self);
    if (access(shim, R_OK) != 0) {
        print_error("%s is missing\n", shim);
        return -1;
    }
    tw_log_quiet(true);
    if (access("/dev/shm", W_OK) == 0)
        setenv("TMPDIR", "/dev/shm", 0); /* thousands of fsyncs, which a disk would pay for */
    fixture_run(run, sizeof run);
    snprintf(log_path, sizeof log_path, "%s.calls", run);
    /* the log must not match FAULT_PATH */
    char *name = strrchr(log_path, '/');
    if (!name) return -1;
    name[1] = 'l';
    fixture_fill(&state_of, OLD);
    return tw_checkpoint_write(run, state_of.arrays, FIXTURE_ARRAYS, &state_of.meta) == TW_OK ? 0
                                                                                              : -1;
}

static int tear_down(void **state)
{
    (void)state;
    unlink(log_path);
    fixture_remove(run);
    return 0;
}

int main(int argc, char **argv)
{
    static const double other_losses[3][2] = {{10, 1.5}, {20, 0.5}, {30, 0.5}};
    if (argc == 3 && strcmp(argv[1], "save") == 0)
        return save_as_victim(argv[2], &fixture_losses[0][0]);
    if (argc == 3 && strcmp(argv[1], "others") == 0)
        return save_as_victim(argv[2], &other_losses[0][0]);
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_call_of_a_save_may_fail)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
