/* Every objective of the table: its gradient is the slope of its loss, and every combination with a
 * prediction and a process is trained or refused with a sentence. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <omp.h>
#include <stdio.h>

#include "objective/objective_fixture.h"

#define SMALL "[network]\nkind = mlp\nwidth = 8\ndepth = 1\ntime_dim = 4\n"
#define SCORE "[prediction]\nkind = score\n"
#define SINGLE "[process]\nkind = single\nsigma = 0.5\n"
#define LEARNED "[prediction]\nvariance = learned_range\n"
#define STEPS4 "[process]\ntimesteps = 4\nbeta_min = 0.0004\nbeta_max = 0.002\n"
#define GAUSSIAN "decoder = gaussian\n"
#define KIND(x) "[objective]\nkind = " x "\n"

static const struct {
    const char *text;
    bool image;
} cases[] = {
    {MLP KIND("exact"), false},
    {MLP SINGLE SCORE KIND("exact") "clean = yes\n", false},
    {MLP SINGLE "[prediction]\nkind = energy\n" KIND("exact"), false},
    {MLP "[process]\nkind = ve\nsigma_max = 3\n" SCORE KIND("exact") "weighting = score\n", false},
    {MLP KIND("sliced"), false},
    {MLP SINGLE SCORE KIND("sliced") "variance_reduced = no\nprobe = sphere\nprojections = 3\n",
     false},
    {MLP SINGLE "[prediction]\nkind = energy\n" KIND("sliced") "probe = gaussian\n", false},
    {MLP
     "[process]\nkind = vp\n[prediction]\nkind = energy\n" KIND("denoising") "weighting = score\n",
     false},
    {UNET "dropout = 0.3\n[prediction]\nkind = v\n" KIND("denoising"), true},
    {UNET STEPS4
     "[prediction]\nkind = epsilon\nvariance = learned_range\n" KIND("hybrid") "vlb_weight = 1\n",
     true},
    {UNET STEPS4 "[prediction]\nkind = x0\nvariance = learned_range\n" KIND("variational"), true},
    {UNET STEPS4 "[prediction]\nkind = mean\n" KIND("variational") "fixed_variance = large\n",
     true},
    {MLP STEPS4 LEARNED KIND("variational") GAUSSIAN, false},
    {MLP STEPS4 "[prediction]\nkind = v\nvariance = learned_range\n" KIND("hybrid") GAUSSIAN,
     false},
};

/* Σ over all parameters of direction · gradient against the difference of the loss. The hybrid's
 * gradient knows nothing of the mean in the bound, so its directions are the variance's outputs. */
static bool detached(const rig *r)
{
    return strcmp(r->oc.kind.kind->name, "hybrid") == 0;
}

/* The last layer's rows of the variance; everything where the loss is not detached. */
static void choose_direction(const rig *r, float *d)
{
    fill_normal(d, 2, r->trainable);
    if (!detached(r)) return;
    memset(d, 0, (size_t)r->trainable * sizeof *d);
    const int64_t channels = r->m->sample.dims[r->m->sample.rank - 1];
    for (int v = 0; v < r->m->params->view_count; v++) {
        const tw_param_view *view = &r->m->params->views[v];
        if (view->shape.rank == 1 && view->shape.dims[0] == 2 * channels)
            fill_normal(d + view->offset + channels, 3, channels);
    }
}

static void slope_along(rig *r, const char *label)
{
    const double h = 1e-3;
    double slope = 0, size = 0, length = 0, loss[4];
    float *d = malloc((size_t)r->trainable * sizeof *d),
          *begin = malloc((size_t)r->trainable * sizeof *begin);
    choose_direction(r, d);
    memcpy(begin, r->m->params->value, (size_t)r->trainable * sizeof *begin);
    run_step(r, 3);
    for (int64_t i = 0; i < r->trainable; i++) {
        slope += (double)r->gradient[i] * (double)d[i];
        if (d[i] != 0) size += pow((double)r->gradient[i], 2);
        length += pow((double)d[i], 2);
    }
    assert_true(length > 0 && size > 0);
    for (int k = 0; k < 4; k++) {
        const double move = h * (double[]){-2, -1, 1, 2}[k];
        for (int64_t i = 0; i < r->trainable; i++)
            r->m->params->value[i] = (float)((double)begin[i] + move * (double)d[i]);
        loss[k] = run_step(r, 3);
    }
    const double met = (8 * (loss[2] - loss[1]) - (loss[3] - loss[0])) / (12 * h);
    /* f32 in the loss is 1e-7 of its terms, over h */
    if (!(fabs(met - slope) <= 3e-3 * sqrt(size) + 5e-4 * (1 + fabs(loss[1]))))
        fail_msg("%s: %g met, %g wanted, of %g", label, met, slope, sqrt(size));
    free(d);
    free(begin);
}

static void every_gradient_is_the_slope_of_its_loss(void **state)
{
    static rig r;
    (void)state;
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        const tw_shape sample = cases[c].image ? TW_SHAPE(8, 8, 2) : TW_SHAPE(3);
        if (make_rig(&r, cases[c].text, sample, NULL) != TW_OK)
            fail_msg("%s%s", cases[c].text, tw_error_message());
        move_parameters(&r);
        if (cases[c].image) make_levels(&r, 30); /* no probability is clamped */
        slope_along(&r, cases[c].text);
        release(&r);
    }
}

/* ---- every combination ---- */

/* Three steps down the gradient: all numbers are finite, and something moves. */
static void train(rig *r, const char *label)
{
    double size = 0;
    for (int64_t k = 0; k < 3; k++) {
        const double loss = run_step(r, k);
        if (!isfinite(loss)) fail_msg("%s: the loss is %g", label, loss);
        for (int64_t i = 0; i < r->trainable; i++) {
            size += fabs((double)r->gradient[i]);
            r->m->params->value[i] -= 1e-6f * r->gradient[i];
        }
    }
    if (!(isfinite(size) && size > 0)) fail_msg("%s: the gradient is %g", label, size);
}

/* A refusal names a key and says more than that. */
static void sentence(tw_status st, const char *label)
{
    const char *message = tw_error_message();
    if (st != TW_ECONFIG || !strchr(message, '.') || !strchr(message, ':') || strlen(message) < 40)
        fail_msg("%s: refused with %d, \"%s\"", label, (int)st, message);
}

/* @return whether it is trained */
static bool trained_or_refused(const char *text)
{
    static rig r;
    const tw_status st = make_rig(&r, text, TW_SHAPE(2), NULL);
    if (st != TW_OK) {
        sentence(st, text);
        return false;
    }
    train(&r, text);
    release(&r);
    return true;
}

static void every_combination_is_trained_or_refused(void **state)
{
    int trained = 0, all = 0;
    char text[512];
    (void)state;
    for (int o = 0; o < tw_objective_kinds.count; o++)
        for (int p = 0; p < tw_prediction_kinds.count; p++)
            for (int q = 0; q < tw_process_kinds.count; q++)
                for (int v = 0; v < 2; v++, all++) {
                    const char *name = tw_objective_kinds.table[o]->name;
                    if (((const tw_objective_kind *)tw_objective_kinds.table[o])->reconstructs) {
                        all--; /* of autoencoders (test_autoencoder) */
                        continue;
                    }
                    const bool bound =
                        strcmp(name, "hybrid") == 0 || strcmp(name, "variational") == 0;
                    snprintf(text, sizeof text,
                             SMALL "[process]\nkind = %s\n[prediction]\nkind = %s\nvariance = "
                                   "%s\n[objective]\nkind = %s\n%s",
                             tw_process_kinds.table[q]->name, tw_prediction_kinds.table[p]->name,
                             v ? "learned_range" : "fixed", name, bound ? GAUSSIAN : "");
                    trained += trained_or_refused(text);
                }
    assert_in_range(trained, all / 5, all - 1);
}

static void every_weighting_and_distribution_of_times_is_trained_or_refused(void **state)
{
    int trained = 0, all = 0;
    char text[512];
    (void)state;
    for (int o = 0; o < 2; o++)
        for (int w = 0; w < tw_weighting_kinds.count; w++)
            for (int t = 0; t < tw_times_kinds.count; t++)
                for (int q = 0; q < tw_process_kinds.count; q++, all++) {
                    snprintf(text, sizeof text,
                             SMALL "[process]\nkind = %s\n[prediction]\nkind = epsilon\n"
                                   "[objective]\nkind = %s\nweighting = %s\ntimes = %s\n"
                                   "stratified = yes\n",
                             tw_process_kinds.table[q]->name, o ? "sliced" : "denoising",
                             tw_weighting_kinds.table[w]->name, tw_times_kinds.table[t]->name);
                    trained += trained_or_refused(text);
                }
    assert_in_range(trained, all / 3, all - 1);
}

static void what_would_work_is_said(void **state)
{
    static const struct {
        const char *text, *says;
    } refused[] = {
        {MLP "[prediction]\nvariance = learned_range\n", "hybrid or variational"},
        {UNET KIND("exact"), "sliced"},
        {UNET KIND("sliced"), "mlp"},
        {UNET SINGLE "[prediction]\nkind = energy\n", "another prediction"},
        {MLP KIND("exact") "clean = yes\n", "process.kind = single"},
        {MLP KIND("sliced") "reduce = sum\n", "objective.reduce"},
        {MLP KIND("hybrid"), "learned_range"},
        {MLP KIND("variational"), "gaussian"},
        {MLP KIND("variational") GAUSSIAN "weighting = min_snr\n", "denoising"},
        {MLP "[process]\nkind = vp\n" KIND("variational") GAUSSIAN, "weighting = likelihood"},
        {MLP "[process]\nkind = vp\n[objective]\ntimes = second_moment\n", "lognormal"},
        {MLP "[process]\nkind = edm\n" KIND("sliced"), "prediction.kind"},
    };
    static rig r;
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        tw_shape sample = strstr(refused[i].text, "unet") ? TW_SHAPE(8, 8, 2) : TW_SHAPE(3);
        const tw_status st = make_rig(&r, refused[i].text, sample, NULL);
        if (st == TW_OK) fail_msg("%s is not refused", refused[i].text);
        sentence(st, refused[i].text);
        if (!strstr(tw_error_message(), refused[i].says))
            fail_msg("%s: \"%s\" does not say %s", refused[i].text, tw_error_message(),
                     refused[i].says);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_gradient_is_the_slope_of_its_loss),
        cmocka_unit_test(every_combination_is_trained_or_refused),
        cmocka_unit_test(every_weighting_and_distribution_of_times_is_trained_or_refused),
        cmocka_unit_test(what_would_work_is_said),
    };
    omp_set_num_threads(1); /* thousands of tiny steps */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
