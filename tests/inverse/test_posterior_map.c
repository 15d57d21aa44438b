/* Measurements of what a map makes of a sample, as a decoder of latents does: a linear map restores
 * as the operator times its matrix does, the gradient through a curved one is the slope, and
 * methods that need a linear measurement are refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "inverse/posterior.h"
#include "inverse/posterior_fixture.h"

enum { LATENT = 3 * 2 * 2, PIXELS = 6 * 4, MOST = PIXELS };

static const tw_extent latent = {3, 2, 2, false}, pixels = {6, 4, 1, false};

/* x = D z, or tanh(D z). */
typedef struct decoder {
    double d[PIXELS][LATENT];
    bool curved;
} decoder;

static decoder make_decoder(bool curved)
{
    decoder d = {.curved = curved};
    double *n = numbers((int64_t)PIXELS * LATENT, 11);
    for (int i = 0; i < PIXELS; i++)
        for (int k = 0; k < LATENT; k++) d.d[i][k] = 0.5 * n[i * LATENT + k];
    free(n);
    return d;
}

static double decoded(const decoder *d, int i, const float *z)
{
    double sum = 0;
    for (int k = 0; k < LATENT; k++) sum += d->d[i][k] * (double)z[k];
    return d->curved ? tanh(sum) : sum;
}

static void forward(void *self, int64_t n, const float *z, float *x)
{
    for (int64_t r = 0; r < n; r++)
        for (int i = 0; i < PIXELS; i++)
            x[r * PIXELS + i] = (float)decoded(self, i, z + r * LATENT);
}

static void pull_back(void *self, int64_t n, const float *z, const float *gx, float *gz)
{
    const decoder *d = self;
    for (int64_t r = 0; r < n; r++)
        for (int k = 0; k < LATENT; k++) {
            double sum = 0;
            for (int i = 0; i < PIXELS; i++) {
                const double x = d->curved ? decoded(d, i, z + r * LATENT) : 0;
                sum += d->d[i][k] * (1 - x * x) * (double)gx[r * PIXELS + i];
            }
            gz[r * LATENT + k] = (float)sum;
        }
}

static tw_map map_of(decoder *d)
{
    return (tw_map){
        .self = d, .dims = LATENT, .outputs = PIXELS, .forward = forward, .pull_back = pull_back};
}

/* A D as one operator on latents; a->own is the matrix [outputs][LATENT]. */
static void product_forward(const tw_operator *a, const double *x, double *y)
{
    const double *m = a->own;
    for (int64_t i = 0; i < a->outputs; i++) {
        y[i] = 0;
        for (int k = 0; k < LATENT; k++) y[i] += m[i * LATENT + k] * x[k];
    }
}

static void product_adjoint(const tw_operator *a, const double *y, double *x)
{
    const double *m = a->own;
    for (int k = 0; k < LATENT; k++) {
        x[k] = 0;
        for (int64_t i = 0; i < a->outputs; i++) x[k] += m[i * LATENT + k] * y[i];
    }
}

static const tw_operator_kind product_kind = {
    .kind = {.name = "product"}, .forward = product_forward, .adjoint = product_adjoint};

static tw_operator product_of(const tw_operator *a, const decoder *d, double *matrix)
{
    double column[PIXELS], y[MOST];
    for (int k = 0; k < LATENT; k++) {
        for (int i = 0; i < PIXELS; i++) column[i] = d->d[i][k];
        tw_operator_forward(a, column, y);
        for (int64_t i = 0; i < a->outputs; i++) matrix[i * LATENT + k] = y[i];
    }
    return (tw_operator){.kind = &product_kind,
                         .dims = LATENT,
                         .outputs = a->outputs,
                         .own = matrix,
                         .measured = a->measured};
}

/* A prior of latents that is exact, and what it is exact under. */
typedef struct prior {
    tw_process *process;
    tw_grf *field;
} prior;

static prior make_prior(void)
{
    prior p = {NULL, NULL};
    double power[6];
    tw_grf_spectrum(power, latent.height, latent.width, 1, 1.5, 3);
    if (tw_process_make(&p.process, "vp", 0, NULL) != TW_OK ||
        tw_grf_create(&p.field, &latent, power, 0.1) != TW_OK)
        fail_msg("%s", tw_error_message());
    return p;
}

static void destroy_prior(prior *p)
{
    tw_grf_destroy(&p->field);
    tw_process_destroy(&p->process);
}

static const char *const tasks[] = {"task.kind=superres task.factor=2 task.noise=0.1",
                                    "task.kind=inpaint task.half=left", "task.kind=deblur",
                                    "task.kind=denoise task.noise=0.2"};
enum { TASKS = sizeof tasks / sizeof *tasks };

static void a_linear_map_restores_as_the_operator_times_it(void **state)
{
    (void)state;
    enum { ROWS = 3, PER = 2 };
    decoder d = make_decoder(false);
    const tw_map map = map_of(&d);
    prior p = make_prior();
    for (int t = 0; t < TASKS; t++) {
        rig through, at_once;
        char words[256];
        double matrix[MOST * LATENT];
        float x[ROWS * PER * LATENT], wanted[ROWS * PER * LATENT];
        snprintf(words, sizeof words, "%s restore.method=dps restore.zeta=0.5 sample.steps=25",
                 tasks[t]);
        const tw_score score = tw_grf_score(p.field, p.process);
        if (make_rig_of(&through, p.process, score, pixels, words, PER, 4, &map, NULL) != TW_OK)
            fail_msg("%s: %s", words, tw_error_message());
        tw_operator product = product_of(through.a, &d, matrix);
        if (make_rig_of(&at_once, p.process, score, pixels, words, PER, 4, NULL, &product) != TW_OK)
            fail_msg("%s: %s", words, tw_error_message());
        double *y = numbers(ROWS * product.outputs, 4);
        if (tw_posterior_run(through.posterior, 0, ROWS, y, x) != TW_OK ||
            tw_posterior_run(at_once.posterior, 0, ROWS, y, wanted) != TW_OK)
            fail_msg("%s: %s", words, tw_error_message());
        for (int k = 0; k < ROWS * PER * LATENT; k++)
            near_to((double)x[k], (double)wanted[k], 1e-4, words);
        free(y);
        break_rig(&through);
        break_rig(&at_once);
    }
    destroy_prior(&p);
}

/* ‖y − A D(x̂_0(x))‖ by the score itself. */
static double distance(const rig *r, const decoder *d, const double *y, double t, const float *x)
{
    const int64_t index = 0;
    float s[LATENT], z[LATENT];
    double x0[LATENT], made[PIXELS], met[MOST], square = 0;
    assert_int_equal(r->score.eval(r->score.self, 1, x, &t, &index, s), TW_OK);
    posterior_denoised(r->posterior, t, x, s, x0);
    for (int k = 0; k < LATENT; k++) z[k] = (float)x0[k];
    for (int i = 0; i < PIXELS; i++) made[i] = decoded(d, i, z);
    tw_operator_forward(r->a, made, met);
    for (int64_t i = 0; i < r->a->outputs; i++) square += (y[i] - met[i]) * (y[i] - met[i]);
    return sqrt(square);
}

static void the_step_through_a_curved_map_is_along_the_slope(void **state)
{
    (void)state;
    decoder d = make_decoder(true);
    const tw_map map = map_of(&d);
    prior p = make_prior();
    rig r;
    if (make_rig_of(&r, p.process, tw_grf_score(p.field, p.process), pixels,
                    "task.kind=superres task.factor=2 restore.method=dps", 1, 2, &map,
                    NULL) != TW_OK)
        fail_msg("%s", tw_error_message());
    double *y = numbers(r.a->outputs, 8), *start = numbers(LATENT, 5);
    const double t = 0.4, h = 1e-2;
    const int64_t index = 0;
    float x[LATENT], s[LATENT];
    for (int k = 0; k < LATENT; k++) x[k] = (float)start[k];
    r.posterior->y = y;
    r.posterior->first = 0;
    r.posterior->rows = 1;
    assert_int_equal(r.score.eval(r.score.self, 1, x, &t, &index, s), TW_OK);
    assert_int_equal(posterior_gradient(r.posterior, 1, 1, x, &t, &index, s), TW_OK);
    for (int k = 0; k < LATENT; k++) {
        const float kept = x[k];
        double around[2];
        for (int e = 0; e < 2; e++) {
            x[k] = kept + (float)(e ? h : -h);
            around[e] = distance(&r, &d, y, t, x);
        }
        x[k] = kept;
        near_to(-(double)r.posterior->scratch[0][k], (around[1] - around[0]) / (2 * h), 1e-3,
                "a slope");
    }
    free(y), free(start);
    break_rig(&r);
    destroy_prior(&p);
}

static void a_sample_depends_on_its_measurement_and_index_alone(void **state)
{
    (void)state;
    enum { ROWS = 4, PER = 3 };
    decoder d = make_decoder(true);
    const tw_map map = map_of(&d);
    prior p = make_prior();
    rig r;
    float whole[ROWS * PER * LATENT], part[2 * PER * LATENT];
    if (make_rig_of(&r, p.process, tw_grf_score(p.field, p.process), pixels,
                    "task.kind=inpaint task.half=top restore.method=dps sample.steps=8", PER, 5,
                    &map, NULL) != TW_OK)
        fail_msg("%s", tw_error_message());
    double *y = numbers(ROWS * r.a->outputs, 4);
    assert_int_equal(tw_posterior_run(r.posterior, 0, ROWS, y, whole), TW_OK);
    assert_int_equal(tw_posterior_run(r.posterior, 1, 2, y + r.a->outputs, part), TW_OK);
    assert_memory_equal(part, whole + PER * LATENT, sizeof part);
    free(y);
    break_rig(&r);
    destroy_prior(&p);
}

/* Every method either runs or says which do. */
static void methods_for_linear_measurements_are_refused(void **state)
{
    (void)state;
    decoder d = make_decoder(true);
    const tw_map map = map_of(&d);
    prior p = make_prior();
    int able = 0;
    for (int k = 0; k < tw_posterior_kinds.count; k++) {
        rig r;
        char words[128];
        const char *name = tw_posterior_kinds.table[k]->name;
        snprintf(words, sizeof words, "restore.method=%s task.noise=0.1", name);
        const tw_status st = make_rig_of(&r, p.process, tw_grf_score(p.field, p.process), pixels,
                                         words, 1, 2, &map, NULL);
        if (st == TW_OK) {
            able++;
        } else {
            assert_int_equal(st, TW_ECONFIG);
            if (!strstr(tw_error_message(), name) || !strstr(tw_error_message(), "dps"))
                fail_msg("%s", tw_error_message());
        }
        break_rig(&r);
    }
    assert_int_equal(able, 1);
    assert_string_equal(tw_posterior_method_of_maps(), "dps");
    rig r;
    tw_score score = tw_grf_score(p.field, p.process);
    assert_int_equal(make_rig(&r, p.process, score, pixels, "restore.method=dps", 1, 2), TW_ESHAPE);
    break_rig(&r);
    score.vjp = NULL;
    assert_int_equal(
        make_rig_of(&r, p.process, score, pixels, "restore.method=dps", 1, 2, &map, NULL),
        TW_ECONFIG);
    assert_non_null(strstr(tw_error_message(), "this score has none"));
    break_rig(&r);
    destroy_prior(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_linear_map_restores_as_the_operator_times_it),
        cmocka_unit_test(the_step_through_a_curved_map_is_along_the_slope),
        cmocka_unit_test(a_sample_depends_on_its_measurement_and_index_alone),
        cmocka_unit_test(methods_for_linear_measurements_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
