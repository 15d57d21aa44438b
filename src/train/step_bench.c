/* The trainer's own step against its convolutions, interleaved, so that both see the same machine.
 */
#include "tweedie/step_bench.h"

#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "train/stepper.h"
#include "tweedie/clock.h"
#include "tweedie/memory.h"

typedef struct bench {
    tw_train_config c; /* the configuration's, with the batch that is timed */
    tw_stepper stepper;
    tw_conv_limit *limit;
    double *limits, *steps;        /* seconds of each repetition */
    double clipping, update, pack; /* seconds of all */
    double update_best, copy_best; /* seconds of the fastest */
    char *from, *to;               /* [copy_bytes] */
    size_t copy_bytes, copied;     /* in how many bytes at a time how many are copied */
} bench;

static void destroy(bench *b)
{
    tw_conv_limit_destroy(&b->limit);
    tw_stepper_close(&b->stepper);
    tw_free(&b->limits);
    tw_free(&b->steps);
    tw_free(&b->from);
    tw_free(&b->to);
}

/* The samples are noise, the same in each step: nothing is read. */
static tw_status keep_samples(void *self, int64_t step, int64_t first, int64_t count, float *x0,
                              int32_t *label, float *condition)
{
    (void)self, (void)step, (void)first, (void)count, (void)x0, (void)label, (void)condition;
    return TW_OK;
}

/* One microbatch of the configuration on each rank. The learning rate is so small that hundreds of
 * steps on noise change nothing that is timed. */
static void configure(bench *b, const tw_setup *setup, const tw_comm *comm)
{
    const int64_t ranks = tw_comm_size(comm), batch = setup->batch;
    b->c = setup->run->train;
    b->c.batch = batch * ranks;
    b->c.learning_rate = 1e-6;
    b->c.warmup = 0;
    b->c.decay = TW_DECAY_CONSTANT;
    b->c.watchdog = 0;
    b->stepper = (tw_stepper){.comm = comm,
                              .c = &b->c,
                              .optimizer = (const tw_optimizer *)setup->run->optimizer.kind,
                              .optimizer_config = setup->run->optimizer.config,
                              .model = setup->model,
                              .precision = setup->precision,
                              .convolution = setup->convolution,
                              .threads = setup->threads,
                              .first_position = batch * tw_comm_rank(comm),
                              .positions = batch,
                              .micro = batch,
                              .micro_count = 1,
                              .hooks = {.read = keep_samples}};
}

static tw_status make(bench *b, const tw_setup *setup, const tw_comm *comm, int64_t repetitions)
{
    tw_status st = TW_OK;
    const tw_rng_stream stream = {
        .seed = 1, .purpose = TW_RNG_TEST, .position = tw_comm_rank(comm)};
    tw_stepper *s = &b->stepper;
    configure(b, setup, comm);
    TW_TRY(tw_comm_agree(
        comm, tw_objective_add_params(setup->objective, setup->model, (uint64_t)b->c.seed)));
    TW_TRY(tw_stepper_make_memory(s));
    st = tw_stepper_plan(s, setup->objective, true);
    if (st == TW_OK) st = tw_alloc(&b->limits, repetitions, sizeof(double), "times");
    if (st == TW_OK) st = tw_alloc(&b->steps, repetitions, sizeof(double), "times");
    TW_TRY(tw_comm_agree(comm, st));
    tw_rng_normal(s->x0, &stream, 0, s->micro * s->model->dims);
    if (s->condition) tw_rng_normal(s->condition, &stream, 0, s->micro * s->model->condition);
    tw_objective_refresh(s->objective);
done:
    return st;
}

/* What the update reads and writes, without the gradient's norm: gradients, parameters, the
 * optimiser's arrays and EMA, and packed weights. */
static tw_status make_copy(bench *b)
{
    enum { AT_ONCE = 256 << 20 };
    tw_status st = TW_OK;
    const tw_stepper *s = &b->stepper;
    const int64_t arrays =
        tw_optimizer_array_count(s->optimizer) + (s->ema[0] ? s->c->ema_rates.count : 0);
    const size_t bytes = (size_t)(s->model->params->trainable * (3 + 2 * arrays)) * sizeof(float) +
                         tw_plan_memory_use(tw_objective_plan(s->objective)).packed;
    b->copied = bytes / 2;
    b->copy_bytes = b->copied < AT_ONCE ? b->copied : AT_ONCE;
    TW_TRY(tw_alloc_arena(&b->from, b->copy_bytes, "what is copied"));
    TW_TRY(tw_alloc_arena(&b->to, b->copy_bytes, "what is copied"));
    memset(b->from, 1, b->copy_bytes);
    memset(b->to, 1, b->copy_bytes);
done:
    return st;
}

/* Each thread in its own part of both buffers, as much at a time as there is. */
static void copy(bench *b)
{
    const double start = tw_clock_seconds();
#pragma omp parallel
    {
        const size_t threads = (size_t)omp_get_num_threads(), part = b->copy_bytes / threads,
                     at = (size_t)omp_get_thread_num() * part;
        for (size_t left = part ? b->copied / threads : 0, n; left > 0; left -= n) {
            n = left < part ? left : part;
            memcpy(b->to + at, b->from + at, n);
        }
    }
    const double seconds = tw_clock_seconds() - start;
    if (seconds < b->copy_best) b->copy_best = seconds;
}

/* One step of the trainer's, which the ranks begin together. */
static tw_status step(bench *b, double *seconds)
{
    tw_status st = TW_OK;
    tw_step_result r;
    TW_TRY(tw_comm_barrier(b->stepper.comm));
    TW_TRY(tw_stepper_step(&b->stepper, &r));
    b->clipping += r.norm_seconds;
    b->update += r.update_seconds;
    b->pack += r.pack_seconds;
    const double together = r.norm_seconds + r.update_seconds + r.pack_seconds;
    if (together < b->update_best) b->update_best = together;
    *seconds = r.seconds;
done:
    return st;
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
    const tw_plan *p = tw_objective_plan(b->stepper.objective);
    const double per = 1e3 / (double)repetitions;
    for (int i = 0; i < tw_plan_task_count(p); i++) {
        const tw_plan_task_info t = tw_plan_task(p, i);
        add_kind(out, t.op, per * t.seconds);
        if (!strstr(t.implementation, "ref") || out->reference_count == TW_STEP_BENCH_REFERENCES)
            continue;
        snprintf(out->references[out->reference_count++], sizeof out->references[0], "%d %s %s", i,
                 t.op, t.implementation);
    }
    add_kind(out, "noise", per * tw_objective_perturb_seconds(b->stepper.objective));
    add_kind(out, "clipping", per * b->clipping);
    add_kind(out, "update, ema", per * b->update);
    add_kind(out, "packing", per * b->pack);
    sort_kinds(out);
}

/* The fastest of each, and the medians. */
static void summarise(tw_step_bench *r, bench *b, int64_t repetitions)
{
    const bool convolutions = r->forward_ms > 0;
    r->ratio = convolutions ? r->step_ms / r->limit_ms : NAN;
    r->ratio_median =
        convolutions ? median(b->steps, repetitions) / median(b->limits, repetitions) : NAN;
    r->update_ms = 1e3 * b->update_best;
    r->copy_ms = 1e3 * b->copy_best;
    if (!b->limit) r->limit_ms = NAN;
    r->batch = b->stepper.micro;
    r->parameters = tw_params_count(b->stepper.model->params);
    r->images_per_second = 1e3 * (double)b->c.batch / r->step_ms;
    snprintf(r->precision, sizeof r->precision, "%s", tw_precision_name(b->stepper.precision));
    report_kinds(r, b, repetitions);
}

/* Which primitives the limit is made of. */
static tw_status report_limit(tw_step_bench *r, const tw_conv_limit *l)
{
    tw_status st = TW_OK;
    const int n = tw_conv_limit_count(l);
    TW_TRY(tw_alloc(&r->limits, n + 1, sizeof *r->limits, "the names of convolutions"));
    r->limit_count = n;
    for (int i = 0; i < n; i++) {
        const tw_conv_limit_item k = tw_conv_limit_get(l, i);
        r->own_layout_count += k.own_layout;
        snprintf(r->limits[i], sizeof r->limits[i], "%s: %s, %s", k.convolution, k.implementation,
                 k.own_layout ? "own layout" : "channels last");
    }
done:
    return st;
}

/* The convolution limit, ready to run. */
static tw_status make_limit(tw_step_bench *r, bench *b)
{
    tw_status st = TW_OK;
    const tw_plan *p = tw_objective_plan(b->stepper.objective);
    TW_TRY(tw_comm_agree(b->stepper.comm, tw_conv_limit_create(&b->limit, p)));
    tw_conv_limit_choose(b->limit);
    tw_conv_limit_run(b->limit);
    TW_TRY(report_limit(r, b->limit));
done:
    return st;
}

/* One run of it; nothing where it was left out. */
static double run_limit(tw_step_bench *r, bench *b)
{
    const tw_conv_limit_times t = b->limit ? tw_conv_limit_run(b->limit) : (tw_conv_limit_times){0};
    const double all = t.forward + t.backward_data + t.backward_weights;
    if (1e3 * all < r->limit_ms) {
        r->limit_ms = 1e3 * all;
        r->forward_ms = 1e3 * t.forward;
        r->backward_data_ms = 1e3 * t.backward_data;
        r->backward_weights_ms = 1e3 * t.backward_weights;
    }
    return all;
}

static tw_status measure(tw_step_bench *r, bench *b, int64_t repetitions)
{
    tw_status st = TW_OK;
    b->clipping = b->update = b->pack = 0;
    b->update_best = b->copy_best = 1e300;
    tw_plan_profile_reset(tw_objective_plan(b->stepper.objective));
    r->limit_ms = r->step_ms = 1e300;
    for (int64_t k = 0; k < repetitions; k++) {
        b->limits[k] = run_limit(r, b);
        TW_TRY(step(b, &b->steps[k]));
        copy(b);
        if (1e3 * b->steps[k] < r->step_ms) r->step_ms = 1e3 * b->steps[k];
    }
done:
    return st;
}

tw_status tw_step_bench_run(tw_step_bench *out, const tw_setup *setup, const tw_comm *comm,
                            int64_t repetitions, bool alone)
{
    tw_status st = TW_OK;
    bench b = {0};
    tw_step_bench r = {0};
    struct rusage usage;
    double first;
    TW_TRY(make(&b, setup, comm, repetitions));
    TW_TRY(step(&b, &first));
    getrusage(RUSAGE_SELF, &usage); /* of the step alone */
    TW_TRY(make_copy(&b));
    if (!alone) TW_TRY(make_limit(&r, &b));
    TW_TRY(measure(&r, &b, repetitions));
    r.peak_rss_bytes = (int64_t)usage.ru_maxrss * 1024;
    summarise(&r, &b, repetitions);
    *out = r;
    r.limits = NULL;
done:
    tw_step_bench_free(&r);
    destroy(&b);
    return st;
}

void tw_step_bench_free(tw_step_bench *r)
{
    tw_free(&r->limits);
    r->limit_count = 0;
}
