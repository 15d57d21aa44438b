/* A training step against its convolutions, interleaved, so that both see the same machine. */
#include "tweedie/step_bench.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "tweedie/clock.h"
#include "tweedie/memory.h"
#include "tweedie/optim.h"

typedef struct bench {
    const tw_setup *setup;
    tw_model *model; /* the setup's */
    tw_objective *objective;
    tw_conv_limit *limit;
    float *m, *v, *ema, *x0;
    int64_t n, batch;
    double *limits, *steps; /* seconds of each repetition */
    double clipping, update, packing;
} bench;

static void destroy(bench *b)
{
    tw_conv_limit_destroy(&b->limit);
    tw_objective_destroy(&b->objective);
    tw_free(&b->m);
    tw_free(&b->v);
    tw_free(&b->ema);
    tw_free(&b->x0);
    tw_free(&b->limits);
    tw_free(&b->steps);
}

static tw_status make(bench *b, const tw_setup *setup, int64_t repetitions)
{
    tw_status st = TW_OK;
    const tw_rng_stream stream = {.seed = 1, .purpose = TW_RNG_TEST};
    b->setup = setup;
    b->model = setup->model;
    b->batch = setup->batch;
    b->n = b->model->params->trainable;
    TW_TRY(tw_params_use_gradient(b->model->params, NULL));
    const tw_objective_options options = {.batch = b->batch,
                                          .global_batch = b->batch,
                                          .precision = setup->precision,
                                          .gradients = true,
                                          .profile = true};
    TW_TRY(tw_objective_create(&b->objective, b->model, setup->objective, &options));
    TW_TRY(tw_conv_limit_create(&b->limit, tw_objective_plan(b->objective)));
    TW_TRY(tw_alloc(&b->m, b->n, sizeof(float), "moments"));
    TW_TRY(tw_alloc(&b->v, b->n, sizeof(float), "moments"));
    TW_TRY(tw_alloc(&b->ema, b->n, sizeof(float), "an average"));
    TW_TRY(tw_alloc(&b->x0, b->batch * b->model->dims, sizeof(float), "a batch"));
    TW_TRY(tw_alloc(&b->limits, repetitions, sizeof(double), "times"));
    TW_TRY(tw_alloc(&b->steps, repetitions, sizeof(double), "times"));
    tw_rng_normal(b->x0, &stream, 0, b->batch * b->model->dims);
    tw_objective_refresh(b->objective);
done:
    return st;
}

/* One whole step; returns its seconds. */
static double step(bench *b, int64_t k)
{
    const tw_objective_step s = {
        .seed = 1, .step = k, .count = b->batch, .weight = 1.0 / (double)b->batch};
    const double start = tw_clock_seconds();
    tw_params *p = b->model->params;
    tw_objective_run(b->objective, &s, b->x0);
    const double differentiated = tw_clock_seconds();
    const double norm = sqrt(tw_optim_sum_squares(p->gradient, b->n));
    const double clipped = tw_clock_seconds();
    const tw_adam adam = TW_ADAM_DEFAULTS;
    const tw_update u = {.k = k + 1,
                         .learning_rate = 1e-6,
                         .gradient_scale = tw_optim_clip_scale(norm, 1),
                         .n = b->n,
                         .theta = p->value,
                         .gradient = p->gradient,
                         .array = {b->m, b->v},
                         .rates = 1,
                         .decay = {0.9999},
                         .ema = {b->ema}};
    tw_adam_update(&adam, &u);
    const double updated = tw_clock_seconds();
    tw_objective_refresh(b->objective);
    const double end = tw_clock_seconds();
    b->clipping += clipped - differentiated;
    b->update += updated - clipped;
    b->packing += end - updated;
    return end - start;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double median(double *values, int64_t n)
{
    qsort(values, (size_t)n, sizeof *values, by_value);
    return n % 2 ? values[n / 2] : 0.5 * (values[n / 2 - 1] + values[n / 2]);
}

static void add_kind(tw_step_bench *out, const char *name, double ms)
{
    int k = 0;
    while (k < out->kind_count && strcmp(out->kinds[k].name, name) != 0) k++;
    if (k == TW_STEP_BENCH_KINDS) return;
    if (k == out->kind_count)
        snprintf(out->kinds[out->kind_count++].name, sizeof out->kinds[0].name, "%s", name);
    out->kinds[k].ms += ms;
}

static void sort_kinds(tw_step_bench *out)
{
    for (int i = 1; i < out->kind_count; i++)
        for (int k = i; k > 0 && out->kinds[k].ms > out->kinds[k - 1].ms; k--) {
            const double ms = out->kinds[k].ms;
            char name[sizeof out->kinds[0].name];
            memcpy(name, out->kinds[k].name, sizeof name);
            out->kinds[k] = out->kinds[k - 1];
            out->kinds[k - 1].ms = ms;
            memcpy(out->kinds[k - 1].name, name, sizeof name);
        }
}

static void report_kinds(tw_step_bench *out, bench *b, int64_t repetitions)
{
    const tw_plan *p = tw_objective_plan(b->objective);
    const double per = 1e3 / (double)repetitions;
    for (int i = 0; i < tw_plan_task_count(p); i++) {
        const tw_plan_task_info t = tw_plan_task(p, i);
        add_kind(out, t.op, per * t.seconds);
        if (!strstr(t.implementation, "ref") || out->reference_count == TW_STEP_BENCH_REFERENCES)
            continue;
        snprintf(out->references[out->reference_count++], sizeof out->references[0], "%d %s %s", i,
                 t.op, t.implementation);
    }
    add_kind(out, "noise", per * tw_objective_perturb_seconds(b->objective));
    add_kind(out, "clipping", per * b->clipping);
    add_kind(out, "adam, ema", per * b->update);
    add_kind(out, "packing", per * b->packing);
    sort_kinds(out);
}

tw_status tw_step_bench_run(tw_step_bench *out, const tw_setup *setup, int64_t repetitions)
{
    tw_status st = TW_OK;
    bench b = {0};
    tw_step_bench r = {0};
    struct rusage usage;
    TW_TRY(make(&b, setup, repetitions));
    step(&b, 0);
    getrusage(RUSAGE_SELF,
              &usage); /* before the limit's own weights are touched: the step's memory */
    tw_conv_limit_run(b.limit);
    b.clipping = b.update = b.packing = 0;
    tw_plan_profile_reset(tw_objective_plan(b.objective));
    r.limit_ms = r.step_ms = 1e300;
    for (int64_t k = 0; k < repetitions; k++) {
        const tw_conv_limit_times t = tw_conv_limit_run(b.limit);
        b.limits[k] = t.forward + t.backward_data + t.backward_weights;
        b.steps[k] = step(&b, k + 1);
        if (1e3 * b.steps[k] < r.step_ms) r.step_ms = 1e3 * b.steps[k];
        if (1e3 * b.limits[k] >= r.limit_ms) continue;
        r.limit_ms = 1e3 * b.limits[k];
        r.forward_ms = 1e3 * t.forward;
        r.backward_data_ms = 1e3 * t.backward_data;
        r.backward_weights_ms = 1e3 * t.backward_weights;
    }
    const bool convolutions = r.forward_ms > 0;
    r.ratio = convolutions ? r.step_ms / r.limit_ms : NAN;
    r.ratio_median =
        convolutions ? median(b.steps, repetitions) / median(b.limits, repetitions) : NAN;
    r.batch = b.batch;
    r.images_per_second = 1e3 * (double)b.batch / r.step_ms;
    r.peak_rss_bytes = (int64_t)usage.ru_maxrss * 1024;
    snprintf(r.precision, sizeof r.precision, "%s", tw_precision_name(setup->precision));
    report_kinds(&r, &b, repetitions);
    *out = r;
done:
    destroy(&b);
    return st;
}
