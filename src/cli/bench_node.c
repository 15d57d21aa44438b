/* tweedie bench node: which ranks × threads train fastest on this node.
 *
 * Each candidate is a real training, started by the launcher as a job would start it, that takes a
 * few steps and writes nothing (train --dry-run); all in turn, as often as asked; the fastest step
 * of each counts. The candidates divide the node's cores by 1, 2, 4, … ranks that can share the
 * batch. */
#include <errno.h>
#include <math.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/bench.h"
#include "comm/placement.h"
#include "tweedie/file.h"
#include "tweedie/json.h"
#include "tweedie/log.h"
#include "tweedie/memory.h"
#include "tweedie/setup.h"
#include "tweedie/text.h"

enum { CANDIDATES = 24, ARGUMENTS = 64, WORD = 96 };

typedef enum launcher { SRUN, MPIRUN } launcher;
static const char *const launcher_name[] = {"srun", "mpirun"};

typedef struct candidate {
    int ranks, threads;
    double seconds; /* of its fastest step; infinite where it never ran */
} candidate;

typedef struct node {
    const tw_bench_options *o;
    launcher launcher;
    bool unbound; /* mpirun cannot bind here */
    int cpus, cores;
    int64_t batch; /* this node's share */
    candidate tried[CANDIDATES];
    int count;
    char program[TW_PATH_MAX];
} node;

/* ---- the node ---- */

static bool on_path(const char *name)
{
    char path[TW_PATH_MAX];
    const char *at = getenv("PATH");
    while (at && *at) {
        const size_t n = strcspn(at, ":");
        if (tw_format(path, sizeof path, "%.*s/%s", (int)n, at, name) == TW_OK &&
            access(path, X_OK) == 0)
            return true;
        at += n + (at[n] == ':');
    }
    return false;
}

static tw_status find_launcher(node *d)
{
    tw_status st = TW_OK;
    const bool job = getenv("SLURM_JOB_ID") != NULL;
    if (job && on_path("srun"))
        d->launcher = SRUN;
    else if (on_path("mpirun"))
        d->launcher = MPIRUN;
    else
        TW_FAIL(TW_EUSAGE,
                "bench node: no launcher is on the PATH (%smpirun) to start the ranks with: load "
                "the module of MPI",
                job ? "srun or " : "");
done:
    return st;
}

/* The lowest CPU of the core that this one belongs to. */
static int core_of(int cpu)
{
    char path[WORD];
    int first = cpu;
    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", cpu);
    FILE *f = fopen(path, "re");
    if (f && fscanf(f, "%d", &first) != 1) first = cpu;
    if (f) fclose(f);
    return first;
}

static void count_cores(node *d)
{
    cpu_set_t cpus, cores;
    comm_allowed_cpus(&cpus);
    CPU_ZERO(&cores);
    for (int i = 0; i < CPU_SETSIZE; i++) {
        if (!CPU_ISSET(i, &cpus)) continue;
        const int core = core_of(i);
        CPU_SET(core >= 0 && core < CPU_SETSIZE ? core : i, &cores);
    }
    d->cpus = CPU_COUNT(&cpus);
    d->cores = CPU_COUNT(&cores);
}

static bool hyperthreads(const node *d)
{
    return d->cpus > d->cores;
}

/* Reads the configuration as training would, so that its mistakes are told once, and here. */
static tw_status list_candidates(node *d, const tw_comm *comm)
{
    tw_status st = TW_OK;
    const tw_bench_options *o = d->o;
    tw_setup setup = {0};
    TW_TRY(tw_setup_open(&setup, comm, o->config, o->assignment_count, o->assignments));
    TW_CHECK(setup.global_batch % o->nodes == 0, TW_EUSAGE,
             "--nodes %lld: train.batch = %lld cannot be shared by so many nodes",
             (long long)o->nodes, (long long)setup.global_batch);
    d->batch = setup.global_batch / o->nodes;
    for (int ranks = 1; ranks <= d->cores && d->count < CANDIDATES; ranks *= 2)
        if (d->batch % ranks == 0 && tw_setup_ranks(&setup, ranks) == ranks)
            d->tried[d->count++] =
                (candidate){.ranks = ranks, .threads = d->cores / ranks, .seconds = INFINITY};
done:
    tw_setup_close(&setup);
    return st;
}

/* ---- one training ---- */

/* A command line, in memory of its own. */
typedef struct words {
    char *argv[ARGUMENTS + 1];
    int count;
    tw_status st;
} words;

__attribute__((format(printf, 2, 3))) static void add(words *w, const char *format, ...)
{
    char word[TW_PATH_MAX + WORD];
    va_list args;
    va_start(args, format);
    const int n = vsnprintf(word, sizeof word, format, args);
    va_end(args);
    if (w->st == TW_OK && (n < 0 || (size_t)n >= sizeof word || w->count == ARGUMENTS))
        w->st = tw_error_set(TW_EUSAGE, "bench node: too many or too long arguments");
    if (w->st == TW_OK) w->st = tw_strdup(&w->argv[w->count], word);
    if (w->st == TW_OK) w->count++;
}

static void free_words(words *w)
{
    for (int i = 0; i < w->count; i++) tw_free(&w->argv[i]);
    w->count = 0;
}

static void launch_by_srun(words *w, const node *d, const candidate *c)
{
    const char *here = getenv("SLURMD_NODENAME"), *mpi = getenv("LAUNCH_MPI");
    add(w, "srun");
    if (!mpi || *mpi) add(w, "--mpi=%s", mpi ? mpi : "pmix"); /* as in jobs/train.sbatch */
    add(w, "--overlap"); /* also where this is a step of the job itself */
    add(w, "--nodes=1");
    if (here && *here) add(w, "--nodelist=%s", here);
    add(w, "--ntasks=%d", c->ranks);
    add(w, "--ntasks-per-node=%d", c->ranks);
    add(w, "--cpus-per-task=%d", c->threads);
    if (hyperthreads(d)) add(w, "--hint=nomultithread");
    add(w, "--kill-on-bad-exit=1");
}

static void launch_by_mpirun(words *w, const node *d, const candidate *c)
{
    add(w, "mpirun");
    add(w, "-n");
    add(w, "%d", c->ranks);
    if (geteuid() == 0) add(w, "--allow-run-as-root");
    if (!d->unbound) {
        add(w, "--map-by");
        add(w, "ppr:%d:node:PE=%d", c->ranks, c->threads);
    }
    add(w, "--bind-to");
    add(w, d->unbound ? "none" : "core");
    if (d->unbound) add(w, "--oversubscribe");
}

static void training(words *w, const node *d, const candidate *c)
{
    if (d->launcher == SRUN)
        launch_by_srun(w, d, c);
    else
        launch_by_mpirun(w, d, c);
    add(w, "%s", d->program);
    add(w, "train");
    add(w, "%s", d->o->config);
    add(w, "--run");
    add(w, "bench-node-%ld", (long)getpid()); /* is never made */
    add(w, "--dry-run");
    for (int i = 0; i < d->o->assignment_count; i++) add(w, "%s", d->o->assignments[i]);
    add(w, "train.batch=%lld", (long long)d->batch);
    add(w, "compute.threads=%d", c->threads);
    add(w, "checkpoint.keep=2"); /* room for more is not asked for */
    add(w, "log.grid_every=0");
    add(w, "log.validate_every=0");
}

/* Variables that tell of this process's own place among ranks, or that contradict the launcher's
 * arguments. */
static bool is_ours(const char *variable)
{
    static const char *const begin[] = {
        "PMIX_",        "PMI_",          "OMPI_COMM_",          "OMPI_UNIVERSE",
        "OMPI_APP_",    "OMPI_NUM_",     "OMPI_FIRST_",         "OMPI_FILE_",
        "OMPI_ARGV",    "OMPI_COMMAND",  "OMPI_MCA_orte_",      "OMPI_MCA_ess",
        "OMP_NUM_",     "OMP_PLACES",    "OMP_PROC_BIND",       "SLURM_STEP_",
        "SLURM_STEPID", "SLURM_PROCID",  "SLURM_LOCALID",       "SLURM_CPUS_PER_TASK",
        "SLURM_NTASKS", "SLURM_NPROCS",  "SLURM_TRES_PER_TASK", "SRUN_CPUS_PER_TASK",
        "SLURM_HINT",   "SLURM_CPU_BIND"};
    for (size_t i = 0; i < sizeof begin / sizeof *begin; i++)
        if (strncmp(variable, begin[i], strlen(begin[i])) == 0) return true;
    return false;
}

/* The environment that this program was started in: MPI has changed its own since. */
static tw_status read_environment(tw_text *out)
{
    tw_status st = TW_OK;
    char piece[4096];
    size_t n;
    FILE *f = fopen("/proc/self/environ", "re");
    TW_CHECK(f, TW_EIO, "/proc/self/environ: %s", strerror(errno));
    while ((n = fread(piece, 1, sizeof piece, f)) > 0)
        TW_TRY(tw_text_add_bytes(out, piece, (int64_t)n));
done:
    if (f) fclose(f);
    return st;
}

/* @param[out] out  a list that ends with NULL, of texts in `text` and `own` */
static tw_status make_environment(char ***out, tw_text *text, char own[3][WORD], const node *d,
                                  int threads)
{
    tw_status st = TW_OK;
    int64_t n = 4, k = 0;
    char **all = NULL;
    TW_TRY(read_environment(text));
    for (int64_t i = 0; i < text->length; i++) n += text->data[i] == '\0';
    TW_TRY(tw_alloc(&all, n, sizeof *all, "the environment of a training"));
    for (char *at = text->data; at && at < text->data + text->length; at += strlen(at) + 1)
        if (*at && !is_ours(at)) all[k++] = at;
    snprintf(own[0], WORD, "OMP_NUM_THREADS=%d", threads);
    snprintf(own[1], WORD, "OMP_PROC_BIND=%s", d->unbound ? "false" : "close");
    snprintf(own[2], WORD, "OMP_PLACES=cores");
    for (int i = 0; i < (d->unbound ? 2 : 3); i++) all[k++] = own[i];
    *out = all;
done:
    return st;
}

static tw_status start(pid_t *child, FILE **answer, char *const *argv, char *const *environment)
{
    tw_status st = TW_OK;
    int ends[2] = {-1, -1}, code;
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    TW_CHECK(pipe(ends) == 0, TW_EIO, "bench node: no pipe: %s", strerror(errno));
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", 0, 0);
    posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
    posix_spawn_file_actions_adddup2(&actions, ends[1], 2);
    posix_spawn_file_actions_addclose(&actions, ends[0]);
    posix_spawn_file_actions_addclose(&actions, ends[1]);
    code = posix_spawnp(child, argv[0], &actions, NULL, argv, environment);
    TW_CHECK(code == 0, TW_EIO, "%s: cannot be started: %s", argv[0], strerror(code));
    *answer = fdopen(ends[0], "r");
    TW_CHECK(*answer, TW_EIO, "bench node: no pipe: %s", strerror(errno));
    ends[0] = -1;
done:
    posix_spawn_file_actions_destroy(&actions);
    if (ends[0] >= 0) close(ends[0]);
    if (ends[1] >= 0) close(ends[1]);
    return st;
}

/* The seconds of a step from what a training says, 0 where it tells none. @param[out] last  its
 * complaint, or its last line */
static double listen_to(FILE *answer, char *last, size_t size)
{
    char line[1024];
    double seconds = 0, met;
    bool complained = false;
    last[0] = '\0';
    while (fgets(line, sizeof line, answer)) {
        const char *step = strstr(line, "a step takes ");
        line[strcspn(line, "\n")] = '\0';
        if (step && sscanf(step, "a step takes %lf s", &met) == 1) seconds = met;
        const bool complains = strncmp(line, "tweedie: ", 9) == 0;
        if (!line[0] || (complained && !complains)) continue;
        complained = complains;
        snprintf(last, size, "%.*s", (int)size - 1, complains ? line + 9 : line);
    }
    fclose(answer);
    return seconds;
}

/* @param[out] seconds  of a step; 0 where the training failed, for the reason in `why` */
static tw_status train_once(double *seconds, char *why, size_t size, const node *d,
                            const candidate *c)
{
    tw_status st = TW_OK;
    words w = {.count = 0};
    char own[3][WORD], **environment = NULL;
    tw_text text = {0};
    FILE *answer = NULL;
    pid_t child;
    int status = 0;
    training(&w, d, c);
    TW_TRY(w.st);
    TW_TRY(make_environment(&environment, &text, own, d, c->threads));
    TW_TRY(start(&child, &answer, w.argv, environment));
    *seconds = listen_to(answer, why, size);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) *seconds = 0;
    if (!why[0])
        snprintf(why, size, "it ended with %s %d", WIFSIGNALED(status) ? "signal" : "exit code",
                 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
done:
    tw_free(&environment);
    tw_text_free(&text);
    free_words(&w);
    return st;
}

static tw_status try(node *d, candidate *c)
{
    tw_status st = TW_OK;
    char why[512];
    double seconds;
    TW_TRY(train_once(&seconds, why, sizeof why, d, c));
    if (!(seconds > 0) && d->launcher == MPIRUN && !d->unbound) {
        d->unbound = true; /* where a container or a queue forbids it */
        TW_TRY(train_once(&seconds, why, sizeof why, d, c));
        if (!(seconds > 0)) d->unbound = false;
    }
    if (seconds > 0 && seconds < c->seconds) c->seconds = seconds;
    if (seconds > 0)
        tw_log_info("%d x %d: %.3g images/s", c->ranks, c->threads, (double)d->batch / seconds);
    else
        tw_log_warn("%d rank%s of %d thread%s by %s: no step was measured: %s", c->ranks,
                    c->ranks == 1 ? "" : "s", c->threads, c->threads == 1 ? "" : "s",
                    launcher_name[d->launcher], why);
done:
    return st;
}

/* ---- the answer ---- */

static tw_status print_json(const node *d, const candidate *best)
{
    tw_status st = TW_OK;
    tw_json json = {0};
    tw_json_object(&json, NULL);
    tw_json_int64(&json, "cores", d->cores);
    tw_json_string(&json, "launcher", launcher_name[d->launcher]);
    tw_json_bool(&json, "bound", !d->unbound);
    tw_json_int64(&json, "batch", d->batch);
    tw_json_list(&json, "candidates");
    for (int i = 0; i < d->count; i++) {
        const candidate *c = &d->tried[i];
        tw_json_object(&json, NULL);
        tw_json_int64(&json, "ranks", c->ranks);
        tw_json_int64(&json, "threads", c->threads);
        tw_json_double(&json, "step_ms", 1e3 * c->seconds);
        tw_json_double(&json, "images_per_second", (double)d->batch / c->seconds);
        tw_json_end(&json);
    }
    tw_json_end(&json);
    tw_json_int64(&json, "ranks_per_node", best->ranks);
    tw_json_int64(&json, "cpus_per_task", best->threads);
    tw_json_end(&json);
    TW_TRY(tw_json_finish(&json));
    printf("%s\n", json.text.data);
done:
    tw_text_free(&json.text);
    return st;
}

static void print_text(const node *d, const candidate *best)
{
    printf("%d cores, %lld samples a step, ranks started by %s%s\n", d->cores, (long long)d->batch,
           launcher_name[d->launcher], d->unbound ? ", not bound to cores" : "");
    printf("ranks x threads   step (ms)   images/s\n");
    for (int i = 0; i < d->count; i++) {
        const candidate *c = &d->tried[i];
        printf("%5d x %-7d", c->ranks, c->threads);
        if (isfinite(c->seconds))
            printf("  %10.2f %10.1f%s\n", 1e3 * c->seconds, (double)d->batch / c->seconds,
                   c == best ? "   fastest" : "");
        else
            printf("           -          -\n");
    }
    printf(
        "\nin a job script of your own:\n#SBATCH --ntasks-per-node=%d\n"
        "#SBATCH --cpus-per-task=%d\n%s\nwith jobs/train.sbatch:\nRANKS_PER_NODE=%d THREADS=%d\n",
        best->ranks, best->threads, hyperthreads(d) ? "#SBATCH --hint=nomultithread\n" : "",
        best->ranks, best->threads);
}

static tw_status find_program(node *d)
{
    tw_status st = TW_OK;
    const ssize_t n = readlink("/proc/self/exe", d->program, sizeof d->program - 1);
    TW_CHECK(n > 0, TW_EIO, "/proc/self/exe: %s", strerror(errno));
    d->program[n] = '\0';
done:
    return st;
}

static tw_status run(const tw_comm *comm, const tw_bench_options *o)
{
    tw_status st = TW_OK;
    node d = {.o = o};
    const candidate *best = &d.tried[0];
    TW_CHECK(o->config, TW_EUSAGE, "bench node: a configuration is needed");
    TW_CHECK(tw_comm_size(comm) == 1, TW_EUSAGE,
             "bench node: starts the ranks itself; it was started on %d", tw_comm_size(comm));
    TW_TRY(find_launcher(&d));
    TW_TRY(find_program(&d));
    count_cores(&d);
    TW_TRY(list_candidates(&d, comm));
    for (int64_t k = 0; k < o->repetitions; k++)
        for (int i = 0; i < d.count; i++) TW_TRY(try(&d, &d.tried[i]));
    for (int i = 1; i < d.count; i++)
        if (d.tried[i].seconds < best->seconds) best = &d.tried[i];
    TW_CHECK(isfinite(best->seconds), TW_EINTERNAL,
             "bench node: no training took a step; what each said is above");
    if (o->json)
        TW_TRY(print_json(&d, best));
    else
        print_text(&d, best);
done:
    return st;
}

const tw_bench tw_bench_node = {
    .name = "node",
    .summary = "ranks x threads that train fastest on this node",
    .repetitions = 3,
    .run = run,
};
