/* Discrete schedules and continuous processes: published values, and the identities that tie the
 * coefficients together.
 *
 * The numbers were computed by the papers' own code in double (OpenAI's improved-diffusion, Song's
 * score_sde). */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tweedie/sde.h"

static void close_to(double met, double wanted, double tolerance)
{
    if (!(fabs(met - wanted) <= tolerance))
        fail_msg("met %.17g, wanted %.17g within %g", met, wanted, tolerance);
}

/* Relative to the wanted value, at the rounding of a thousand multiplications. */
static void equals(double met, double wanted)
{
    close_to(met, wanted, 1e-11 * fabs(wanted));
}

static tw_schedule *schedule(const char *kind, int64_t steps)
{
    tw_schedule *s = NULL;
    assert_int_equal(tw_schedule_create(&s, kind, steps, 1e-4, 0.02), TW_OK);
    assert_int_equal(s->steps, steps);
    return s;
}

static void schedules_have_the_published_values(void **state)
{
    (void)state;
    tw_schedule *s = schedule("linear", 1000);
    equals(s->beta[0], 1e-4);
    equals(s->beta[999], 0.02);
    equals(s->alphabar[0], 0.9999);
    equals(s->alphabar[499], 0.07858724288177824);
    equals(s->alphabar[999], 4.035829765375676e-05);
    equals(s->posterior_variance[1], 5.4531876613021935e-05);
    equals(s->posterior_variance[999], 0.01999998352656061);
    equals(s->log_variance_large[0], -9.81672513529567);
    tw_schedule_destroy(&s);
    assert_null(s);
    s = schedule("linear", 4000);
    equals(s->beta[0], 2.5e-05);
    equals(s->beta[3999], 0.005);
    equals(s->alphabar[3999], 4.246652275802249e-05);
    tw_schedule_destroy(&s);
    s = schedule("cosine", 1000);
    equals(s->beta[0], 4.128422482196914e-05);
    equals(s->beta[500], 0.003155691441585007);
    equals(s->beta[998], 0.7499993929011166);
    equals(s->beta[999], 0.999);
    equals(s->alphabar[499], 0.4938435904406382);
    equals(s->alphabar[999], 2.4287669070348567e-09);
    tw_schedule_destroy(&s);
    s = schedule("cosine", 4000);
    equals(s->beta[0], 9.865818813681315e-06);
    equals(s->beta[2000], 0.0007889355535104503);
    equals(s->beta[3998], 0.749999962056056);
    equals(s->alphabar[1999], 0.49384359044063586);
    equals(s->alphabar[3999], 1.5179804688514517e-10);
    tw_schedule_destroy(&s);
}

/* The posterior q(x_{t−1} | x_t, x_0) by completing the square in the product of two Gaussians,
 * which uses none of the closed forms. */
static void posteriors_are_products_of_gaussians(void **state)
{
    (void)state;
    tw_schedule *s = schedule("linear", 1000);
    for (int64_t t = 1; t < 1000; t++) {
        const double likelihood = s->alpha[t] / s->beta[t], prior = 1 / (1 - s->alphabar[t - 1]),
                     precision = likelihood + prior;
        close_to(s->posterior_variance[t] * precision, 1, 1e-11);
        close_to(s->posterior_mean_xt[t] * precision, sqrt(s->alpha[t]) / s->beta[t],
                 1e-11 * likelihood);
        close_to(s->posterior_mean_x0[t] * precision, sqrt(s->alphabar[t - 1]) * prior,
                 1e-11 * prior);
        equals(s->log_variance_small[t], log(s->posterior_variance[t]));
        equals(s->log_variance_large[t], log(s->beta[t]));
        equals(s->alphabar_previous[t], s->alphabar[t - 1]);
    }
    tw_schedule_destroy(&s);
}

static void the_last_step_returns_x0_and_borrows_its_variance(void **state)
{
    (void)state;
    tw_schedule *s = schedule("linear", 1000);
    close_to(s->posterior_mean_x0[0], 1, 1e-12); /* 1 − ᾱ loses four digits of β there */
    assert_true(s->posterior_mean_xt[0] == 0 && s->posterior_variance[0] == 0 &&
                s->alphabar_previous[0] == 1);
    assert_true(s->log_variance_small[0] == s->log_variance_small[1]);
    assert_true(s->log_variance_large[0] == s->log_variance_small[1]);
    tw_schedule_destroy(&s);
    s = schedule("cosine", 1);
    assert_true(isfinite(s->log_variance_small[0]) && isfinite(s->log_variance_large[0]));
    tw_schedule_destroy(&s);
}

static void spacing_keeps_the_published_steps(void **state)
{
    (void)state;
    int64_t steps[4000], n, sum = 0;
    static const int64_t ten[] = {0, 111, 222, 333, 444, 555, 666, 777, 888, 999};
    static const int64_t three[] = {0, 56, 111, 166, 222, 278, 333, 334, 500, 666, 667, 999};
    assert_int_equal(tw_schedule_spacing(steps, &n, 1000, "10"), TW_OK);
    assert_int_equal(n, 10);
    assert_memory_equal(steps, ten, sizeof ten);
    assert_int_equal(tw_schedule_spacing(steps, &n, 1000, "7,3,2"), TW_OK);
    assert_int_equal(n, 12);
    assert_memory_equal(steps, three, sizeof three);
    assert_int_equal(tw_schedule_spacing(steps, &n, 1000, "ddim50"), TW_OK);
    assert_int_equal(n, 50);
    for (int k = 0; k < 50; k++) assert_int_equal(steps[k], 20 * k);
    assert_int_equal(tw_schedule_spacing(steps, &n, 1000, "250"), TW_OK);
    for (int k = 0; k < 250; k++) sum += steps[k];
    assert_int_equal(sum, 124875);
    assert_int_equal(tw_schedule_spacing(steps, &n, 4000, "100,50,25"), TW_OK);
    sum = 0;
    for (int k = 0; k < 175; k++) sum += steps[k];
    assert_int_equal(sum, 249975);
    assert_int_equal(tw_schedule_spacing(steps, &n, 1000, "1000"), TW_OK);
    for (int k = 0; k < 1000; k++) assert_int_equal(steps[k], k);
    assert_int_equal(tw_schedule_spacing(steps, &n, 1000, "1"), TW_OK);
    assert_int_equal(n, 1);
    assert_int_equal(steps[0], 0);
}

static void impossible_spacings_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",      "0",       "-3",      "1001",    "a",
        "10,",   ",10",     "10,x",    "500,600", "ddim",
        "ddim0", "ddim999", "ddim10x", "10 20",   "99999999999999999999"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int64_t steps[2000], n;
        assert_int_equal(tw_schedule_spacing(steps, &n, 1000, bad[i]), TW_ECONFIG);
    }
}

static void spaced_schedules_are_the_same_process_at_fewer_times(void **state)
{
    (void)state;
    tw_schedule *s = schedule("cosine", 1000), *spaced = NULL;
    int64_t steps[1000], n;
    assert_int_equal(tw_schedule_spacing(steps, &n, 1000, "100"), TW_OK);
    assert_int_equal(tw_schedule_space(&spaced, s, steps, n), TW_OK);
    for (int64_t k = 0; k < n; k++) {
        assert_int_equal(spaced->timestep[k], steps[k]);
        close_to(spaced->alphabar[k], s->alphabar[steps[k]], 1e-13);
        if (k > 0)
            close_to(spaced->beta[k], 1 - s->alphabar[steps[k]] / s->alphabar[steps[k - 1]], 1e-15);
    }
    /* Spacing a spaced schedule still names the steps of the first. */
    tw_schedule *twice = NULL;
    assert_int_equal(tw_schedule_space(&twice, spaced, (const int64_t[]){3, 99}, 2), TW_OK);
    assert_int_equal(twice->timestep[0], steps[3]);
    assert_int_equal(twice->timestep[1], steps[99]);
    tw_schedule_destroy(&twice);
    tw_schedule_destroy(&spaced);
    assert_int_equal(tw_schedule_space(&spaced, s, (const int64_t[]){5, 5}, 2), TW_ECONFIG);
    assert_int_equal(tw_schedule_space(&spaced, s, (const int64_t[]){5, 1000}, 2), TW_ECONFIG);
    assert_int_equal(tw_schedule_space(&spaced, s, (const int64_t[]){-1}, 1), TW_ECONFIG);
    assert_null(spaced);
    tw_schedule_destroy(&s);
}

static void bad_schedules_are_refused_by_name(void **state)
{
    (void)state;
    tw_schedule *s = NULL;
    assert_int_equal(tw_schedule_create(&s, "linaer", 1000, 1e-4, 0.02), TW_ECONFIG);
    assert_non_null(strstr(tw_error_message(), "\"linaer\""));
    assert_non_null(strstr(tw_error_message(), "cosine"));
    assert_int_equal(tw_schedule_create(&s, "linear", 0, 1e-4, 0.02), TW_ECONFIG);
    assert_int_equal(tw_schedule_create(&s, "linear", 10, 1e-4, 0.02),
                     TW_ECONFIG); /* 0.02 · 1000 / 10 = 2 */
    assert_int_equal(tw_schedule_create(&s, "linear", 1000, 0, 0.02), TW_ECONFIG);
    assert_int_equal(tw_schedule_create(&s, "linear", 1000, 1e-4, NAN), TW_ECONFIG);
    assert_null(s);
}

static void processes_have_the_published_values(void **state)
{
    (void)state;
    static const struct {
        double t, vp_mean, vp_std, subvp_std, vp_beta, ve_std, ve_g;
    } known[] = {
        {1e-05, 0.9999994995026252, 0.0010004971259352385, 1.0009944990046723e-06,
         0.10019900000000001, 0.010000851755591462, 0.04127625023325711},
        {0.001, 0.9999450265110976, 0.010485416335094895, 0.00010994395572027488, 0.1199,
         0.01008553567677516, 0.041625763935383274},
        {0.5, 0.2811828807967524, 0.9596542020680363, 0.9209361875468394, 10.049999999999999,
         0.7071067811865476, 2.918423065872431},
        {1.0, 0.006571586494929619, 0.9999784068923386, 0.9999568142509396, 20.0, 50.0,
         206.363674024963},
    };
    const tw_sde_parameters p = TW_SDE_DEFAULTS;
    const tw_sde *vp, *subvp, *ve;
    assert_int_equal(tw_sde_find(&vp, "vp"), TW_OK);
    assert_int_equal(tw_sde_find(&subvp, "subvp"), TW_OK);
    assert_int_equal(tw_sde_find(&ve, "ve"), TW_OK);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        const double t = known[i].t;
        equals(vp->mean(&p, t), known[i].vp_mean);
        /* The published values lose digits in 1 − e^{2m} near t = 0; ours do not. */
        close_to(vp->std(&p, t), known[i].vp_std, 1e-9 * known[i].vp_std);
        close_to(subvp->std(&p, t), known[i].subvp_std, 1e-9 * known[i].subvp_std);
        equals(subvp->mean(&p, t), known[i].vp_mean);
        equals(vp->drift(&p, t), -0.5 * known[i].vp_beta);
        equals(vp->diffusion(&p, t), sqrt(known[i].vp_beta));
        equals(ve->std(&p, t), known[i].ve_std);
        equals(ve->diffusion(&p, t), known[i].ve_g);
    }
    equals(ve->prior_std(&p), 50);
    const tw_sde *none;
    assert_int_equal(tw_sde_find(&none, "pv"), TW_ECONFIG);
    assert_non_null(strstr(tw_error_message(), "subvp"));
}

/* d mean / dt = f mean and d std² / dt = 2 f std² + g² for every process, by central differences.
 */
static void drift_and_diffusion_generate_mean_and_variance(void **state)
{
    (void)state;
    const tw_sde_parameters p = TW_SDE_DEFAULTS;
    const double h = 1e-5;
    for (int i = 0; i < tw_sde_count; i++) {
        const tw_sde *s = tw_sde_table[i];
        for (double t = 0.02; t < 0.99; t += 0.07) {
            const double f = s->drift(&p, t), g = s->diffusion(&p, t),
                         variance = s->std(&p, t) * s->std(&p, t);
            const double low = s->std(&p, t - h), high = s->std(&p, t + h);
            const double slope = (s->mean(&p, t + h) - s->mean(&p, t - h)) / (2 * h);
            const double rise = (high * high - low * low) / (2 * h),
                         expected = 2 * f * variance + g * g;
            close_to(slope, f * s->mean(&p, t), 1e-7);
            close_to(rise, expected, 1e-6 * (g * g + fabs(2 * f * variance)));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(schedules_have_the_published_values),
        cmocka_unit_test(posteriors_are_products_of_gaussians),
        cmocka_unit_test(the_last_step_returns_x0_and_borrows_its_variance),
        cmocka_unit_test(spacing_keeps_the_published_steps),
        cmocka_unit_test(impossible_spacings_are_refused),
        cmocka_unit_test(spaced_schedules_are_the_same_process_at_fewer_times),
        cmocka_unit_test(bad_schedules_are_refused_by_name),
        cmocka_unit_test(processes_have_the_published_values),
        cmocka_unit_test(drift_and_diffusion_generate_mean_and_variance),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
