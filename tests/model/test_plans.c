/* Properties of the plans of whole networks: fused as unfused, poisoned as clean, microbatches as
 * one batch, every gradient ready once, and a run that allocates nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <malloc.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "allocations.h"
#include "model/model_fixture.h"
#include "tweedie/plan.h"

/* Wide enough for blocked weights, groups of several channels and our own convolution; attention at
 * two resolutions; dropout on. */
#define WIDE                                                                                       \
    "[network]\nkind = unet\nbase = 16\ngroups = 8\nmult = 1, 2\nblocks = 1\nattention = 4, "      \
    "8\ndropout = 0.2\n"

/* Factors behind sums, filtered resampling, pyramids. */
#define NCSNPP                                                                                     \
    "[network]\nkind = ncsnpp\nbase = 16\nmult = 1, 2\nblocks = 1\nattention = 4\ndropout = "      \
    "0.2\n"
#define SKIPS NCSNPP "fir = yes\nprogressive = output_skip\nprogressive_input = input_skip\n"
#define RESIDUALS NCSNPP "fir = yes\nprogressive = residual\nprogressive_input = residual\n"
#define REFINE "[process]\nkind = ladder\n[network]\nkind = refinenet\nbase = 4\n"

typedef struct network {
    const char *text;
    tw_shape sample;
} network;

static network networks(int i)
{
    switch (i) {
    case 0:
        return (network){MLP, TW_SHAPE(2)};
    case 1:
        return (network){UNET, TW_SHAPE(8, 8, 3)};
    case 2:
        return (network){WIDE, TW_SHAPE(8, 8, 1)};
    case 3:
        return (network){WIDE "attention_placement = score_sde\n", TW_SHAPE(8, 8, 3)};
    case 4:
        return (network){SKIPS, TW_SHAPE(8, 8, 3)};
    case 5:
        return (network){RESIDUALS, TW_SHAPE(8, 8, 1)};
    case 6:
        return (network){REFINE "variant = ncsn\n", TW_SHAPE(4, 8, 1)};
    case 7:
        return (network){REFINE "variant = ncsnv2\n", TW_SHAPE(4, 8, 3)};
    case 8:
        return (network){NCSNPP, TW_SHAPE(8, 8, 3)};
    default:
        return (network){0};
    }
}

/* A model with a plan of L = Σ y seed and its gradients. */
typedef struct fixture {
    tw_config *config;
    tw_model *m;
    tw_plan *plan;
    int64_t n, dims;
} fixture;

static void plan(fixture *f, int64_t n, const tw_plan_options *options)
{
    tw_graph *g = NULL;
    tw_plan_destroy(&f->plan);
    ok(tw_graph_create(&g));
    tw_value *y = tw_model_build(g, f->m, n, NULL).net;
    ok(tw_graph_status(g));
    tw_graph_output(g, "y", y);
    tw_graph_gradient_of_params(
        g, tw_sum_to(g, tw_mul(g, y, tw_input(g, "seed", TW_F32, y->shape)), (tw_shape){0}));
    ok(tw_plan_create(&f->plan, g, f->m->params, options));
    tw_graph_destroy(&g);
    f->n = n;
    f->dims = tw_shape_count(tw_plan_shape(f->plan, "x")) / n;
    tw_plan_refresh(f->plan);
}

static fixture open_network(int i)
{
    fixture f = {0};
    const network w = networks(i);
    f.m = make_model(&f.config, w.text, w.sample);
    ok(tw_params_use_gradient(f.m->params, NULL));
    return f;
}

static void close_network(fixture *f)
{
    tw_plan_destroy(&f->plan);
    destroy_model(&f->m, &f->config);
}

/* Samples [first, first + n) of an endless batch. */
static void run(fixture *f, int64_t first, tw_plan_run *r)
{
    float *x = tw_plan_input(f->plan, "x"), *seed = tw_plan_input(f->plan, "seed"),
          *t = tw_plan_input(f->plan, "t"), *log_sigma = tw_plan_input(f->plan, "log_sigma");
    int32_t *index = tw_plan_input(f->plan, "index");
    for (int64_t k = 0; k < f->n; k++) {
        fill_normal(x + k * f->dims, 2 * (first + k), f->dims);
        fill_normal(seed + k * f->dims, 2 * (first + k) + 1, f->dims);
        if (t) t[k] = (float)((first + k) * 173 % 1000);
        if (log_sigma) log_sigma[k] = (float)(first + k) * -0.5f;
        if (index) index[k] = (int32_t)((first + k) * 3 % 10);
    }
    r->training = true;
    r->seed = 3;
    r->position = first;
    tw_plan_execute(f->plan, r);
}

static float *copy(const float *x, int64_t n)
{
    return memcpy(malloc((size_t)n * sizeof *x), x, (size_t)n * sizeof *x);
}

static double distance(const float *a, const float *b, int64_t n)
{
    double off = 0, size = 0;
    for (int64_t i = 0; i < n; i++) {
        off += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
        size += (double)b[i] * (double)b[i];
    }
    return sqrt(off / size);
}

/* Each parameter's gradient by itself, since a small one may be wrong unseen among large ones; but
 * where it is below 1e-3 of all of them relative to its length, it is a sum that cancels, and is
 * held against that. */
static void gradients_agree(const char *what, const tw_params *p, const float *want,
                            double tolerance)
{
    double all = 0;
    for (int64_t i = 0; i < p->trainable; i++) all += (double)want[i] * (double)want[i];
    for (int i = 0; i < p->view_count; i++) {
        const tw_param_view *v = &p->views[i];
        if (!v->trainable) continue;
        double off = 0, size = 0;
        for (int64_t k = v->offset; k < v->offset + v->count; k++) {
            off += pow((double)p->gradient[k] - (double)want[k], 2);
            size += pow((double)want[k], 2);
        }
        const double least = 1e-6 * all * (double)v->count / (double)p->trainable;
        if (!(sqrt(off) <= tolerance * sqrt(size > least ? size : least)))
            fail_msg("%s: the gradient of %s is off by %.3g of %.3g", what, v->name, sqrt(off),
                     sqrt(size));
    }
}

static void fused_plans_compute_what_unfused_ones_do(void **state)
{
    (void)state;
    for (int i = 0; networks(i).text; i++) {
        for (int half = 0; half < 2; half++) {
            fixture f = open_network(i);
            tw_plan_run r = {0};
            const tw_precision precision = half ? TW_PRECISION_BF16 : TW_PRECISION_F32;
            plan(&f, 3, &(tw_plan_options){.precision = precision, .no_fusion = true});
            const int unfused = tw_plan_task_count(f.plan);
            run(&f, 0, &r);
            float *y = copy(tw_plan_output(f.plan, "y"), f.n * f.dims),
                  *g = copy(f.m->params->gradient, f.m->params->trainable);
            plan(&f, 3, &(tw_plan_options){.precision = precision});
            if (i > 0) assert_true(tw_plan_task_count(f.plan) < unfused);
            memset(f.m->params->gradient, 0xff, (size_t)f.m->params->trainable * sizeof(float));
            run(&f, 0, &r);
            const double off = distance(tw_plan_output(f.plan, "y"), y, f.n * f.dims);
            if (!(off <= (half ? 3e-2 : 5e-6)))
                fail_msg("network %d: outputs are off by %.3g", i, off);
            /* what comes before an instance normalisation matters by its means alone */
            const double loose = i < 4 ? 1 : 4;
            gradients_agree("fused", f.m->params, g, loose * (half ? 0.15 : 5e-5));
            free(y);
            free(g);
            close_network(&f);
        }
    }
}

static void poison_changes_nothing(void **state)
{
    (void)state;
    for (int i = 0; networks(i).text; i++)
        for (int half = 0; half < 2; half++) {
            float *y = NULL, *g = NULL;
            fixture f = open_network(i);
            for (int poison = 0; poison < 2; poison++) {
                tw_plan_run r = {0};
                plan(&f, 2,
                     &(tw_plan_options){.precision = half ? TW_PRECISION_BF16 : TW_PRECISION_F32,
                                        .poison = poison});
                for (int twice = 0; twice < 2; twice++)
                    run(&f, 0, &r); /* the second run finds what the first has poisoned */
                if (poison) {
                    assert_memory_equal(tw_plan_output(f.plan, "y"), y,
                                        (size_t)(f.n * f.dims) * sizeof *y);
                    assert_memory_equal(f.m->params->gradient, g,
                                        (size_t)f.m->params->trainable * sizeof *g);
                } else {
                    y = copy(tw_plan_output(f.plan, "y"), f.n * f.dims);
                    g = copy(f.m->params->gradient, f.m->params->trainable);
                }
            }
            free(y);
            free(g);
            close_network(&f);
        }
}

static void microbatches_add_up_to_the_whole_batch(void **state)
{
    (void)state;
    for (int i = 0; networks(i).text; i++) {
        fixture f = open_network(i);
        tw_plan_run r = {0};
        plan(&f, 6, &(tw_plan_options){.precision = TW_PRECISION_F32});
        run(&f, 0, &r);
        float *whole = copy(f.m->params->gradient, f.m->params->trainable);
        plan(&f, 2, &(tw_plan_options){.precision = TW_PRECISION_F32, .accumulate = true});
        memset(f.m->params->gradient, 0xff,
               (size_t)f.m->params->trainable * sizeof(float)); /* the first one replaces */
        for (int64_t k = 0; k < 3; k++) {
            r.add_gradients = k > 0;
            run(&f, 2 * k, &r);
        }
        for (int64_t k = 0; k < f.m->params->trainable; k++) /* padding is nobody's to write */
            if (isnan(f.m->params->gradient[k])) f.m->params->gradient[k] = 0;
        gradients_agree("microbatches", f.m->params, whole, 5e-5);
        free(whole);
        close_network(&f);
    }
}

/* ---- ready ---- */

typedef struct listener {
    const fixture *f;
    int *times;
    float *seen; /* what was in the buffer when it was called ready */
} listener;

static void hear(void *self, int64_t offset, int64_t count)
{
    const listener *l = self;
    assert_true(offset >= 0 && count > 0 && offset + count <= l->f->m->params->trainable);
    for (int64_t k = offset; k < offset + count; k++) {
        l->times[k]++;
        l->seen[k] = l->f->m->params->gradient[k];
    }
}

static void every_gradient_is_ready_once_and_final(void **state)
{
    (void)state;
    for (int i = 0; networks(i).text; i++)
        for (int accumulate = 0; accumulate < 2; accumulate++) {
            fixture f = open_network(i);
            const int64_t n = f.m->params->trainable;
            listener l = {.f = &f,
                          .times = calloc((size_t)n, sizeof(int)),
                          .seen = calloc((size_t)n, sizeof(float))};
            tw_plan_run r = {.ready = hear, .self = &l};
            plan(&f, 2,
                 &(tw_plan_options){.precision = TW_PRECISION_F32, .accumulate = accumulate});
            run(&f, 0, &r);
            for (int64_t k = 0; k < n; k++)
                if (l.times[k] != 1)
                    fail_msg("network %d: float %lld was ready %d times", i, (long long)k,
                             l.times[k]);
            assert_memory_equal(l.seen, f.m->params->gradient, (size_t)n * sizeof(float));
            free(l.times);
            free(l.seen);
            close_network(&f);
        }
}

/* ---- allocation ---- */

static void runs_allocate_nothing(void **state)
{
    (void)state;
#if ALLOCATIONS_COUNTED
    for (int i = 0; networks(i).text; i++) {
        fixture f = open_network(i);
        tw_plan_run r = {0};
        const int before_planning = allocations;
        plan(&f, 2, &(tw_plan_options){.precision = TW_PRECISION_F32});
        assert_true(allocations > before_planning); /* so that counting works */
        run(&f, 0, &r);
        const int before = allocations;
        const size_t bytes = mallinfo2().uordblks;
        for (int k = 1; k < 4; k++) {
            tw_plan_refresh(f.plan);
            run(&f, k, &r);
        }
        assert_int_equal(allocations, before);
        assert_int_equal(mallinfo2().uordblks, bytes); /* and the libraries keep none */
        close_network(&f);
    }
#else
    skip();
#endif
}

/* Sums of skip connections over √2, forwards and backwards; the one of the loss is a scalar. */
static void factors_of_skip_connections_are_no_operations(void **state)
{
    (void)state;
    fixture f = open_network(6);
    plan(&f, 2, &(tw_plan_options){.precision = TW_PRECISION_F32});
    for (int i = 0; i < tw_plan_task_count(f.plan); i++) {
        const tw_plan_task_info t = tw_plan_task(f.plan, i);
        if (strcmp(t.op, "affine") == 0 && t.flops > 2)
            fail_msg("task %d of %d is a factor by itself", i, tw_plan_task_count(f.plan));
    }
    close_network(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(factors_of_skip_connections_are_no_operations),
        cmocka_unit_test(fused_plans_compute_what_unfused_ones_do),
        cmocka_unit_test(poison_changes_nothing),
        cmocka_unit_test(microbatches_add_up_to_the_whole_batch),
        cmocka_unit_test(every_gradient_is_ready_once_and_final),
        cmocka_unit_test(runs_allocate_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
