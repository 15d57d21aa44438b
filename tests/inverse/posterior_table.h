/* The rows of the table of methods: a task, a method with its settings, and the claims that are
 * held against the exact posterior. Include after cmocka.h. */
#ifndef TESTS_POSTERIOR_TABLE_H
#define TESTS_POSTERIOR_TABLE_H

#include <stdio.h>

#include "inverse/posterior_fixture.h"

typedef struct table_task {
    const char *name, *words;
} table_task;

/* Fields of variance 1 and a correlation length of 2 pixels, 8 × 6. */
static const table_task table_task_list[] = {
    {"denoise", "task.kind=denoise task.noise=0.5"},
    {"inpaint", "task.kind=inpaint task.half=left task.noise=0.2"},
    {"superres", "task.kind=superres task.factor=2 task.noise=0.2"},
    {"deblur", "task.kind=deblur task.width=1 task.noise=0.2"},
    {"compressed", "task.kind=compressed task.fraction=0.3 task.noise=0.2"},
};

typedef struct table_method {
    const char *name, *words, *quick; /* quick: in place of some of the words */
    bool exact;                       /* claims that its error goes to zero */
} table_method;

static const table_method table_method_list[] = {
    {"moments",
     "restore.method=moments restore.iterations=60 restore.tolerance=1e-5 "
     "sample.kind=euler_maruyama sample.steps=200 sample.spacing=logsnr",
     "sample.steps=60 restore.iterations=15", true},
    {"gibbs",
     "restore.method=gibbs restore.rho_max=3 restore.rho_min=0.05 restore.sweeps=150 "
     "restore.stay=30 restore.inner=8 sample.kind=stochastic_heun",
     "restore.sweeps=60", true},
    {"smc",
     "restore.method=smc restore.particles=64 sample.kind=ancestral sample.steps=200 "
     "sample.spacing=logsnr",
     "restore.particles=16 sample.steps=40", true},
    {"langevin",
     "restore.method=langevin sample.steps=60 sample.corrector_steps=30 sample.step_rule=sigma", "",
     false},
    {"pigdm", "restore.method=pigdm sample.kind=ancestral sample.steps=200", "", false},
    {"sde", "restore.method=sde sample.kind=pc sample.steps=200", "", false},
    {"replacement", "restore.method=replacement sample.kind=pc sample.steps=200", "", false},
    {"repaint", "restore.method=repaint sample.kind=ancestral sample.steps=100", "", false},
    {"dps", "restore.method=dps sample.kind=ancestral sample.steps=200", "", false},
    {"mcg", "restore.method=mcg sample.kind=ancestral sample.steps=200", "", false},
    {"ddrm", "restore.method=ddrm sample.kind=ancestral sample.steps=50", "", false},
    {"ddnm", "restore.method=ddnm sample.kind=ancestral sample.steps=100", "", false},
};

enum {
    table_tasks = sizeof table_task_list / sizeof *table_task_list,
    table_methods = sizeof table_method_list / sizeof *table_method_list
};

static inline void table_print_head(void)
{
    printf("%-12s %-11s %4s %8s %11s %9s %7s\n", "method", "task", "seed", "mean", "covariance",
           "coverage", "spread");
}

/* One measurement of a field of variance 1 and this correlation length (0: white), 8 × 6, restored
 * as the words say, against the exact posterior.
 * @param seed  of the field, of the measurement's noise and of the sampler */
static inline against table_compare(const char *words, double length, int64_t samples, int64_t seed)
{
    const tw_extent extent = {8, 6, 1, false};
    const int64_t dims = 48;
    double *power = numbers(dims, 0), *x = numbers(dims, 0), *mean = numbers(dims, 0),
           *covariance = numbers(dims * dims, 0);
    float *all = calloc((size_t)(samples * dims), sizeof *all);
    tw_process *process = NULL;
    tw_grf *field = NULL;
    rig r;
    char seeded[768];
    tw_grf_spectrum(power, 8, 6, 1, length, 4);
    snprintf(seeded, sizeof seeded, "%s sample.seed=%lld", words, (long long)seed);
    if (tw_process_make(&process, "vp", 0, NULL) != TW_OK ||
        tw_grf_create(&field, &extent, power, 0.3) != TW_OK ||
        make_rig(&r, process, tw_grf_score(field, process), extent, seeded, samples,
                 samples < 100 ? samples : 100) != TW_OK)
        fail_msg("%s: %s", seeded, tw_error_message());
    double *y = numbers(r.a->outputs, 0);
    tw_grf_sample(field, (uint64_t)(5 + seed), 0, x);
    tw_operator_simulate(r.a, x, r.settings.noise, (uint64_t)(1 + seed), 0, y);
    if (tw_grf_posterior(field, r.a, r.settings.noise, y, mean, covariance) != TW_OK ||
        tw_posterior_run(r.posterior, 0, 1, y, all) != TW_OK)
        fail_msg("%s: %s", seeded, tw_error_message());
    const against a = compare(all, samples, dims, mean, covariance);
    break_rig(&r);
    tw_process_destroy(&process);
    tw_grf_destroy(&field);
    free(power), free(x), free(mean), free(covariance), free(all), free(y);
    return a;
}

/* @param full  else with the quick words, and not judged; of what claims to be exact the coverage
 * must be within 2 % */
static inline against table_row(int task, int method, double length, int64_t samples, int64_t seed,
                                bool full)
{
    const table_task *t = &table_task_list[task];
    const table_method *m = &table_method_list[method];
    char words[512];
    snprintf(words, sizeof words, "%s %s %s", t->words, m->words, full ? "" : m->quick);
    const against a = table_compare(words, length, samples, seed);
    printf("%-12s %-11s %4lld %8.3f %11.3f %9.3f %7.3f%s\n", m->name, t->name, (long long)seed,
           a.mean, a.covariance, a.coverage, a.spread, m->exact ? "  claims to be exact" : "");
    fflush(stdout);
    if (full && m->exact) near_to(a.coverage, 0.9, 0.02, m->name);
    return a;
}

#endif
