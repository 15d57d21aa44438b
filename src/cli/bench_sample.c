/* tweedie bench sample: one evaluation of the network against its forward convolutions,
 * interleaved. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "cli/bench.h"
#include "tweedie/clock.h"
#include "tweedie/json.h"
#include "tweedie/memory.h"
#include "tweedie/setup.h"

typedef struct result {
    double limit_ms, eval_ms; /* limit: NaN where it was left out */
    int64_t batch, parameters, peak_rss_bytes;
} result;

/* Of the evaluation alone, before anything else is touched. */
static int64_t peak_rss(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (int64_t)usage.ru_maxrss * 1024;
}

static tw_status make_limit(tw_conv_limit **out, const tw_model_score *score)
{
    tw_status st = TW_OK;
    TW_TRY(tw_conv_limit_create(out, tw_model_score_plan(score)));
    tw_conv_limit_choose(*out);
done:
    return st;
}

static tw_status measure(result *out, const tw_setup *setup, int64_t repetitions, bool alone)
{
    tw_status st = TW_OK;
    tw_model_score *score = NULL;
    tw_conv_limit *limit = NULL;
    float *x = NULL, *y = NULL;
    double *t = NULL;
    int64_t *index = NULL;
    const int64_t n = setup->batch * setup->model->dims;
    result r = {.limit_ms = 1e300,
                .eval_ms = 1e300,
                .batch = setup->batch,
                .parameters = tw_params_count(setup->model->params)};
    TW_TRY(tw_model_score_create(&score, setup->model, setup->batch, setup->precision,
                                 setup->convolution));
    TW_TRY(tw_alloc(&x, n, sizeof *x, "samples"));
    TW_TRY(tw_alloc(&y, n, sizeof *y, "samples"));
    TW_TRY(tw_alloc(&t, setup->batch, sizeof *t, "times"));
    TW_TRY(tw_alloc(&index, setup->batch, sizeof *index, "indices"));
    for (int64_t i = 0; i < setup->batch; i++) t[i] = setup->model->process->end;
    for (int64_t k = 0; k <= repetitions; k++) { /* the first warms up */
        const double limited = limit ? 1e3 * tw_conv_limit_run(limit).forward : NAN;
        const double start = tw_clock_seconds();
        TW_TRY(tw_model_score_quantity(score, TW_MODEL_OUTPUT, setup->batch, x, t, index, y));
        const double evaluated = 1e3 * (tw_clock_seconds() - start);
        if (k > 0 && limited < r.limit_ms) r.limit_ms = limited;
        if (k > 0 && evaluated < r.eval_ms) r.eval_ms = evaluated;
        if (k > 0) continue;
        r.peak_rss_bytes = peak_rss();
        if (!alone) TW_TRY(make_limit(&limit, score));
    }
    if (!limit) r.limit_ms = NAN;
    *out = r;
done:
    tw_conv_limit_destroy(&limit);
    tw_model_score_destroy(&score);
    tw_free(&x);
    tw_free(&y);
    tw_free(&t);
    tw_free(&index);
    return st;
}

static void print_text(const result *r, const tw_setup *setup)
{
    if (isfinite(r->limit_ms)) printf("forward convolutions %9.2f ms\n", r->limit_ms);
    printf("evaluation           %9.2f ms   %s, %lld samples, %.1f evaluations/s, %.0f MB\n",
           r->eval_ms, tw_precision_name(setup->precision), (long long)r->batch,
           1e3 * (double)r->batch / r->eval_ms, (double)r->peak_rss_bytes / 1e6);
    if (isfinite(r->limit_ms)) printf("ratio                %9.3f\n", r->eval_ms / r->limit_ms);
}

static tw_status print(const result *r, const tw_setup *setup, bool as_json)
{
    tw_status st = TW_OK;
    tw_json json = {0};
    tw_json_object(&json, NULL);
    tw_json_double(&json, "convolution_limit_ms", r->limit_ms);
    tw_json_double(&json, "evaluation_ms", r->eval_ms);
    tw_json_double(&json, "ratio", r->eval_ms / r->limit_ms);
    tw_json_int64(&json, "batch", r->batch);
    tw_json_int64(&json, "parameters", r->parameters);
    tw_json_int64(&json, "peak_rss_bytes", r->peak_rss_bytes);
    tw_json_double(&json, "evaluations_per_second", 1e3 * (double)r->batch / r->eval_ms);
    tw_json_string(&json, "precision", tw_precision_name(setup->precision));
    tw_json_end(&json);
    TW_TRY(tw_json_finish(&json));
    if (as_json)
        printf("%s\n", json.text.data);
    else
        print_text(r, setup);
done:
    tw_text_free(&json.text);
    return st;
}

static tw_status run(const tw_comm *comm, const tw_bench_options *o)
{
    tw_status st = TW_OK;
    tw_setup setup = {0};
    result r = {0};
    TW_CHECK(o->config, TW_EUSAGE, "bench sample: a configuration is needed");
    TW_TRY(tw_setup_open(&setup, comm, o->config, o->assignment_count, o->assignments));
    TW_TRY(measure(&r, &setup, o->repetitions, o->alone));
    if (tw_comm_rank(comm) == 0) TW_TRY(print(&r, &setup, o->json));
done:
    tw_setup_close(&setup);
    return st;
}

const tw_bench tw_bench_sample = {
    .name = "sample",
    .summary = "an evaluation of the network against its forward convolutions",
    .run = run,
};
