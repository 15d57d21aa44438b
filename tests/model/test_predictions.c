/* Every prediction with every process: what it says of data, noise and score is true where its
 * output is what it should be, and the published forms are met. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "tweedie/model.h"

static void close_to(const char *what, double met, double wanted, double tolerance)
{
    if (!(fabs(met - wanted) <= tolerance))
        fail_msg("%s: met %.17g, wanted %.17g within %g", what, met, wanted, tolerance);
}

/* A model without a network. */
typedef struct bare {
    tw_model m;
    tw_config *config;
} bare;

static bool make(bare *b, const char *prediction, const char *process)
{
    const tw_choice_rule rule = {
        .section = "prediction", .key = "kind", .kinds = tw_prediction_kinds, .help = ""};
    *b = (bare){0};
    assert_int_equal(tw_process_make(&b->m.process, process, 0, NULL), TW_OK);
    assert_int_equal(tw_choice_make(&b->m.predicted, &rule, prediction, 0, NULL, &b->config),
                     TW_OK);
    b->m.prediction = (const tw_prediction *)b->m.predicted.kind;
    return !b->m.prediction->check ||
           b->m.prediction->check(b->m.predicted.config, b->m.process) == TW_OK;
}

static void release(bare *b)
{
    tw_choice_free(&b->m.predicted);
    tw_process_destroy(&b->m.process);
    tw_config_destroy(&b->config);
}

static double time_of(const tw_process *p, int i)
{
    if (p->steps) return (double)(i * (p->steps - 1) / 8);
    return p->start + (p->end - p->start) * i / 8;
}

/* x_t = α x_0 + σ z and F = a x_0 + b z are two equations for x_0 and z: the view solves them. */
static void a_perfect_output_gives_data_noise_and_score_back(void **state)
{
    const double x0 = 0.37, z = -1.21;
    (void)state;
    for (int i = 0; i < tw_prediction_kinds.count; i++)
        for (int k = 0; k < tw_process_kinds.count; k++) {
            bare b;
            char what[128];
            snprintf(what, sizeof what, "%s of %s", tw_prediction_kinds.table[i]->name,
                     tw_process_kinds.table[k]->name);
            const bool fits =
                make(&b, tw_prediction_kinds.table[i]->name, tw_process_kinds.table[k]->name);
            for (int j = 0; fits && j <= 8; j++) {
                const double t = time_of(b.m.process, j), alpha = tw_process_alpha(b.m.process, t),
                             sigma = tw_process_sigma(b.m.process, t), xt = alpha * x0 + sigma * z;
                double a, c;
                b.m.prediction->target(b.m.predicted.config, b.m.process, t, &a, &c);
                const double f = a * x0 + c * z;
                const tw_model_view q = tw_model_view_at(&b.m, t);
                /* conditioning: σ / α and α / σ of the clocks' ends, of 1e-16 each */
                const double lost = 1e-12 * (1 + sigma / alpha + alpha / sigma);
                close_to(what, q.x0_x * xt + q.x0_f * f, x0, lost);
                close_to(what, q.noise_x * xt + q.noise_f * f, z, lost);
                close_to(what, sigma * (q.score_x * xt + q.score_f * f), -z, lost);
            }
            release(&b);
        }
}

static void predictions_that_do_not_fit_a_process_say_what_does(void **state)
{
    bare b;
    (void)state;
    assert_false(make(&b, "mean", "vp"));
    assert_non_null(strstr(tw_error_message(), "discrete process (ddpm, ladder)"));
    release(&b);
    assert_false(make(&b, "velocity", "ddpm"));
    assert_non_null(strstr(tw_error_message(), "flow"));
    release(&b);
}

/* Karras et al. 2022, table 1: c_skip, c_out, c_in, c_noise with σ_data = 0.5. */
static void edm_has_the_published_preconditioning(void **state)
{
    bare b;
    (void)state;
    assert_true(make(&b, "edm", "edm"));
    for (double s = 0.002; s < 80; s *= 3) {
        const tw_model_view q = tw_model_view_at(&b.m, s);
        close_to("c_skip", q.x0_x, 0.25 / (s * s + 0.25), 1e-14);
        close_to("c_out", q.x0_f, s * 0.5 / sqrt(s * s + 0.25), 1e-14);
        close_to("c_in", q.input, 1 / sqrt(s * s + 0.25), 1e-14);
        close_to("c_noise", b.m.prediction->condition(b.m.predicted.config, b.m.process, s),
                 log(s) / 4, 1e-15);
    }
    release(&b);
}

/* Karras et al. 2022, table 1, columns VP and VE: c_skip 1, c_out ∓σ. */
static void edm_vp_and_ve_have_the_published_preconditioning(void **state)
{
    bare vp, ve;
    (void)state;
    assert_true(make(&vp, "edm_vp", "edm"));
    assert_true(make(&ve, "edm_ve", "edm"));
    for (double s = 0.002; s < 152; s *= 3) {
        const tw_model_view p = tw_model_view_at(&vp.m, s), e = tw_model_view_at(&ve.m, s);
        const double t = (sqrt(0.01 + 2 * 19.9 * log(1 + s * s)) - 0.1) / 19.9;
        close_to("c_skip of VP", p.x0_x, 1, 1e-14);
        close_to("c_out of VP", p.x0_f, -s, 1e-14 * s);
        close_to("c_in of VP", p.input, 1 / sqrt(s * s + 1), 1e-14);
        close_to("c_noise of VP",
                 vp.m.prediction->condition(vp.m.predicted.config, vp.m.process, s), 999 * t, 1e-8);
        close_to("c_skip of VE", e.x0_x, 1, 1e-14);
        close_to("c_out of VE", e.x0_f, s, 1e-14 * s);
        close_to("c_in of VE", e.input, 1, 0);
        close_to("c_noise of VE",
                 ve.m.prediction->condition(ve.m.predicted.config, ve.m.process, s), log(s / 2),
                 1e-14);
    }
    release(&vp);
    release(&ve);
}

/* On its own process the VP preconditioning gives the network what it was trained with. */
static void edm_vp_is_epsilon_of_the_process_vp(void **state)
{
    bare b;
    (void)state;
    assert_true(make(&b, "edm_vp", "vp"));
    for (double t = 1e-3; t <= 1; t += 0.1) {
        close_to("c_in", tw_model_view_at(&b.m, t).input, 1, 1e-12);
        close_to("time", b.m.prediction->condition(b.m.predicted.config, b.m.process, t), 999 * t,
                 1e-6);
    }
    release(&b);
}

/* The published recurrence for the noise levels u_j, and the nearest of all of them. */
static void edm_iddpm_is_told_the_nearest_index_of_the_published_levels(void **state)
{
    enum { M = 1000 };
    static double u[M + 1];
    bare b;
    (void)state;
    assert_true(make(&b, "edm_iddpm", "edm"));
    for (int j = M; j > 0; j--) {
        const double one = sin(M_PI_2 * j / M / 1.008), less = sin(M_PI_2 * (j - 1) / M / 1.008);
        u[j - 1] = sqrt((u[j] * u[j] + 1) / fmax(less * less / (one * one), 0.001) - 1);
    }
    for (double r = 1e-3; r < 1e5; r *= 1.07) {
        int best = 0;
        for (int j = 1; j <= M; j++)
            if (fabs(u[j] - r) < fabs(u[best] - r)) best = j;
        close_to("c_noise", b.m.prediction->condition(b.m.predicted.config, b.m.process, r),
                 M - 1 - best, 0);
        close_to("c_in", tw_model_view_at(&b.m, r).input, 1 / sqrt(r * r + 1), 1e-14);
        close_to("c_out", tw_model_view_at(&b.m, r).x0_f, -r, 1e-14 * r);
    }
    release(&b);
}

/* Of straight paths the velocity is z − x_0 (Lipman et al. 2023). */
static void the_velocity_of_straight_paths_is_noise_minus_data(void **state)
{
    bare b;
    double a, c;
    (void)state;
    assert_true(make(&b, "velocity", "flow"));
    for (double t = 0.05; t < 1; t += 0.1) {
        b.m.prediction->target(b.m.predicted.config, b.m.process, t, &a, &c);
        close_to("of x0", a, -1, 1e-13);
        close_to("of z", c, 1, 1e-13);
    }
    release(&b);
}

/* Of ε-prediction exactly: nothing of x, whatever rounding. */
static void the_score_of_a_noise_prediction_is_the_noise_over_minus_sigma(void **state)
{
    bare b;
    (void)state;
    assert_true(make(&b, "epsilon", "ddpm"));
    for (int t = 0; t < 1000; t += 37) {
        const tw_model_view q = tw_model_view_at(&b.m, t);
        assert_true(q.score_x == 0 && q.noise_x == 0 && q.noise_f == 1);
        close_to("score", q.score_f * tw_process_sigma(b.m.process, t), -1, 1e-15);
    }
    release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_perfect_output_gives_data_noise_and_score_back),
        cmocka_unit_test(predictions_that_do_not_fit_a_process_say_what_does),
        cmocka_unit_test(edm_has_the_published_preconditioning),
        cmocka_unit_test(edm_vp_and_ve_have_the_published_preconditioning),
        cmocka_unit_test(edm_vp_is_epsilon_of_the_process_vp),
        cmocka_unit_test(edm_iddpm_is_told_the_nearest_index_of_the_published_levels),
        cmocka_unit_test(the_velocity_of_straight_paths_is_noise_minus_data),
        cmocka_unit_test(the_score_of_a_noise_prediction_is_the_noise_over_minus_sigma),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
