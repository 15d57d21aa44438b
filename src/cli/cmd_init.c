/* tweedie init: a configuration that suits a dataset, to begin with. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/init_config.h"
#include "tweedie/comm.h"
#include "tweedie/log.h"
#include "tweedie/memory.h"
#include "tweedie/step_bench.h"

typedef struct options {
    const char *preset;
    double hours;
} options;

extern const tw_command tw_cmd_init;

static const tw_option table[] = {
    {"preset", TW_CONFIG_STRING, offsetof(options, preset), "ddpm", .value = "P",
     .help = "what is trained: ddpm, vp, edm or flow"},
    {"hours", TW_CONFIG_DOUBLE, offsetof(options, hours), "0", .min = 0, .max = 1e6, .value = "H",
     .help = "as many steps as this machine takes in H hours, as measured; 0: what such data need"},
};

enum { MEASURED = 8 }; /* samples of a measured step: seconds at most */

/* The configuration as a file without a name, for what reads files. @param[out] fd  to be closed */
static tw_status as_file(char *path, size_t size, int *fd, const tw_text *text)
{
    tw_status st = TW_OK;
    *fd = memfd_create("init.ini", MFD_CLOEXEC);
    TW_CHECK(*fd >= 0, TW_ENOMEM, "out of memory for a configuration: %s", strerror(errno));
    TW_CHECK(write(*fd, text->data, (size_t)text->length) == (ssize_t)text->length, TW_EIO,
             "a configuration cannot be written to memory: %s", strerror(errno));
    TW_TRY(tw_format(path, size, "/proc/self/fd/%d", *fd));
done:
    return st;
}

/* Times a small step. Also what proves that the configuration is one. */
static tw_status measure(init_plan *p, const tw_comm *comm)
{
    tw_status st = TW_OK;
    tw_setup setup = {0};
    tw_step_bench bench = {0};
    tw_text text = {0};
    char path[64], batch[64], *assignments[] = {batch};
    int fd = -1;
    const int64_t enough = MEASURED * tw_comm_size(comm);
    const int64_t few = p->batch < enough || p->kind == TW_DATASET_POINTS ? p->batch : enough;
    TW_TRY(init_plan_write(&text, p));
    TW_TRY(tw_comm_agree(comm, as_file(path, sizeof path, &fd, &text)));
    TW_TRY(tw_format(batch, sizeof batch, "train.batch=%lld", (long long)few));
    TW_TRY(tw_setup_open(&setup, comm, path, 1, assignments));
    TW_TRY(tw_step_bench_run(&bench, &setup, comm, p->kind == TW_DATASET_POINTS ? 50 : 3, true));
    p->step_seconds = bench.step_ms / 1e3 * (double)p->batch / (double)few;
    p->cores = setup.threads * tw_comm_size(comm);
done:
    tw_step_bench_free(&bench);
    tw_setup_close(&setup);
    tw_text_free(&text);
    if (fd >= 0) close(fd);
    return st;
}

/* Two significant digits. */
static int64_t round_steps(double steps)
{
    if (!(steps >= 1)) return 1;
    const double unit = pow(10, fmax(floor(log10(steps)) - 1, 0));
    return (int64_t)(floor(fmin(steps, 1e12) / unit) * unit);
}

static tw_status describe(init_plan *p, tw_dataset **data, const char *path)
{
    tw_status st = TW_OK;
    const tw_dataset_options open = {.path = path, .split = "all"};
    TW_TRY(tw_dataset_open(data, NULL, &open));
    TW_CHECK(realpath(path, p->path), TW_ENOINPUT, "%s: cannot be found: %s", path,
             strerror(errno));
    init_plan_fit(p, tw_dataset_get_spec(*data));
done:
    return st;
}

static tw_status run(struct tw_comm *comm, int argc, char **argv)
{
    tw_status st = TW_OK;
    options o;
    tw_arguments a;
    init_plan p = {0};
    tw_dataset *data = NULL;
    tw_text text = {0};
    TW_TRY(tw_options_parse(&tw_cmd_init, argc, argv, &o, &a));
    tw_log_quiet(true);
    TW_TRY(init_preset_find(&p.preset, o.preset));
    TW_TRY(tw_comm_agree(comm, describe(&p, &data, a.values[0])));
    TW_TRY(measure(&p, comm));
    if (o.hours > 0) p.steps = round_steps(o.hours * 3600 / p.step_seconds);
    TW_TRY(init_plan_write(&text, &p));
    if (tw_comm_rank(comm) == 0) printf("%s", text.data);
done:
    tw_text_free(&text);
    tw_dataset_destroy(&data);
    return st;
}

const tw_command tw_cmd_init = {
    .name = "init",
    .summary = "print a configuration that suits a dataset, to begin with",
    .usage = "DATA.h5 [--preset P] [--hours H] > MY.ini",
    .help =
        "Sizes, levels, groups, batch and intervals follow the samples' shape and number. A small "
        "step "
        "is timed: the file says\nhow many hours its steps take here, and --hours H chooses the "
        "steps.\n\n"
        "  ddpm    1000 noise levels, the noise is predicted\n"
        "  vp      the variance-preserving SDE, v is predicted: samples by SDE or ODE, "
        "likelihoods\n"
        "  edm     the preconditioned denoiser, 18 steps of Heun's method\n"
        "  flow    flow matching: straight paths, the velocity is predicted",
    .options = table,
    .option_count = sizeof table / sizeof *table,
    .least = 1,
    .most = 1,
    .parallel = true,
    .run = run,
};
