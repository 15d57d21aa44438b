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

#include "tweedie/memory.h"
#include "tweedie/process.h"

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

static tw_process *make(const char *kind, int count, const char *const *keys)
{
    tw_process *p = NULL;
    if (tw_process_make(&p, kind, count, keys) != TW_OK) fail_msg("%s", tw_error_message());
    return p;
}

static tw_process *ddpm(const char *schedule, const char *steps)
{
    char of_schedule[64] = "schedule=", of_steps[64] = "timesteps=";
    strcat(of_schedule, schedule);
    strcat(of_steps, steps);
    return make("ddpm", 2, (const char *const[]){of_schedule, of_steps});
}

static double alphabar(const tw_process *p, int64_t t)
{
    const double a = tw_process_alpha(p, (double)t);
    return a * a;
}

/* β_t from ᾱ: 1 − ᾱ_t / ᾱ_{t−1}, which loses digits where β is small. */
static double beta(const tw_process *p, int64_t t)
{
    return 1 - alphabar(p, t) / (t > 0 ? alphabar(p, t - 1) : 1);
}

/* improved-diffusion and guided-diffusion, respace.py: t, or t (1000 / T) with rescale_timesteps.
 */
static void the_network_is_told_the_published_time(void **state)
{
    (void)state;
    tw_process *plain = ddpm("cosine", "4000"),
               *rescaled = make("ddpm", 3,
                                (const char *const[]){"schedule=cosine", "timesteps=4000",
                                                      "rescale_timesteps=yes"});
    for (int t = 0; t < 4000; t += 333) {
        assert_true(tw_process_condition(plain, t) == t);
        assert_true(tw_process_condition(rescaled, t) == 0.25 * t);
    }
    tw_process_destroy(&plain);
    tw_process_destroy(&rescaled);
}

static void schedules_have_the_published_values(void **state)
{
    static const struct {
        const char *schedule, *steps;
        int64_t t;
        double beta, alphabar; /* 0: not given */
    } known[] = {
        {"linear", "1000", 0, 1e-4, 0.9999},
        {"linear", "1000", 499, 0, 0.07858724288177824},
        {"linear", "1000", 999, 0.02, 4.035829765375676e-05},
        {"linear", "4000", 0, 2.5e-05, 0},
        {"linear", "4000", 3999, 0.005, 4.246652275802249e-05},
        {"cosine", "1000", 0, 4.128422482196914e-05, 0},
        {"cosine", "1000", 500, 0.003155691441585007, 0},
        {"cosine", "1000", 998, 0.7499993929011166, 0},
        {"cosine", "1000", 499, 0, 0.4938435904406382},
        {"cosine", "1000", 999, 0.999, 2.4287669070348567e-09},
        {"cosine", "4000", 0, 9.865818813681315e-06, 0},
        {"cosine", "4000", 2000, 0.0007889355535104503, 0},
        {"cosine", "4000", 3998, 0.749999962056056, 0},
        {"cosine", "4000", 1999, 0, 0.49384359044063586},
        {"cosine", "4000", 3999, 0.999, 1.5179804688514517e-10},
    };
    (void)state;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        tw_process *p = ddpm(known[i].schedule, known[i].steps);
        const int64_t t = known[i].t;
        if (known[i].beta) close_to(beta(p, t), known[i].beta, 1e-15 + 1e-11 * known[i].beta);
        if (known[i].alphabar) equals(alphabar(p, t), known[i].alphabar);
        const double s = tw_process_sigma(p, (double)t);
        close_to(alphabar(p, t) + s * s, 1, 1e-15);
        tw_process_destroy(&p);
        assert_null(p);
    }
}

/* ᾱ of the sigmoid schedule at u = 1/2 is one half by symmetry, and √β of the quadratic one is
 * linear. */
static void sigmoid_and_quadratic_schedules_are_what_they_say(void **state)
{
    (void)state;
    tw_process *p = ddpm("sigmoid", "1000");
    equals(alphabar(p, 499), 0.5);
    tw_process_destroy(&p);
    p = ddpm("quadratic", "1000");
    for (int64_t t = 1; t < 999; t += 100)
        close_to(sqrt(beta(p, t + 1)) + sqrt(beta(p, t - 1)), 2 * sqrt(beta(p, t)), 1e-10);
    close_to(beta(p, 999), 0.02, 1e-12);
    tw_process_destroy(&p);
}

/* The posterior q(x_s | x_t, x_0) by completing the square in the product of two Gaussians, which
 * uses none of the closed forms; of every process. */
static void bridges_are_products_of_gaussians(void **state)
{
    (void)state;
    for (int k = 0; k < tw_process_kinds.count; k++) {
        tw_process *p = make(tw_process_kinds.table[k]->name, 0, NULL);
        if (p->steps == 1) {
            tw_process_destroy(&p);
            continue;
        }
        for (int i = 1; i < 20; i++) {
            const double t = p->steps ? 1 + (double)((i * (p->steps - 2)) / 20)
                                      : p->start + (p->end - p->start) * i / 20,
                         s = p->steps ? t - 1 : 0.7 * t;
            if (!tw_process_has_time(p, s)) continue;
            const double as = tw_process_alpha(p, s), ss = tw_process_sigma(p, s),
                         at = tw_process_alpha(p, t), sigma = tw_process_sigma(p, t);
            const tw_bridge q = tw_bridge_between(as, ss, at, sigma);
            /* x_t = α_ts x_s + σ_ts z has the moments of q(x_t | x_0) */
            close_to(q.alpha * as, at, 1e-13 * at);
            close_to(q.alpha * q.alpha * ss * ss + q.sigma * q.sigma, sigma * sigma,
                     1e-12 * sigma * sigma);
            const double likelihood = q.alpha * q.alpha / (q.sigma * q.sigma),
                         prior = 1 / (ss * ss), precision = likelihood + prior;
            close_to(q.std * q.std * precision, 1, 1e-9);
            close_to(q.xt * precision, q.alpha / (q.sigma * q.sigma), 1e-9 * likelihood / q.alpha);
            close_to(q.x0 * precision, as * prior, 1e-9 * as * prior);
        }
        tw_process_destroy(&p);
    }
}

static void a_step_to_the_data_returns_x0(void **state)
{
    (void)state;
    const tw_bridge q = tw_bridge_between(1, 0, 0.6, 0.8);
    close_to(q.x0, 1, 1e-15);
    assert_true(q.xt == 0 && q.std == 0);
}

static void spacing_keeps_the_published_steps(void **state)
{
    (void)state;
    int64_t steps[4000], n, sum = 0;
    static const int64_t ten[] = {0, 111, 222, 333, 444, 555, 666, 777, 888, 999};
    static const int64_t three[] = {0, 56, 111, 166, 222, 278, 333, 334, 500, 666, 667, 999};
    assert_int_equal(tw_spacing_of_steps(steps, &n, 1000, "10"), TW_OK);
    assert_int_equal(n, 10);
    assert_memory_equal(steps, ten, sizeof ten);
    assert_int_equal(tw_spacing_of_steps(steps, &n, 1000, "7,3,2"), TW_OK);
    assert_int_equal(n, 12);
    assert_memory_equal(steps, three, sizeof three);
    assert_int_equal(tw_spacing_of_steps(steps, &n, 1000, "ddim50"), TW_OK);
    assert_int_equal(n, 50);
    for (int k = 0; k < 50; k++) assert_int_equal(steps[k], 20 * k);
    assert_int_equal(tw_spacing_of_steps(steps, &n, 1000, "250"), TW_OK);
    for (int k = 0; k < 250; k++) sum += steps[k];
    assert_int_equal(sum, 124875);
    assert_int_equal(tw_spacing_of_steps(steps, &n, 4000, "100,50,25"), TW_OK);
    sum = 0;
    for (int k = 0; k < 175; k++) sum += steps[k];
    assert_int_equal(sum, 249975);
    assert_int_equal(tw_spacing_of_steps(steps, &n, 1000, "1000"), TW_OK);
    for (int k = 0; k < 1000; k++) assert_int_equal(steps[k], k);
    assert_int_equal(tw_spacing_of_steps(steps, &n, 1000, "1"), TW_OK);
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
        assert_int_equal(tw_spacing_of_steps(steps, &n, 1000, bad[i]), TW_ECONFIG);
    }
}

static void bad_keys_are_refused_by_name(void **state)
{
    static const struct {
        const char *kind, *keys[2], *words;
    } bad[] = {
        {"ddpm", {"schedule=linaer"}, "\"linaer\""},
        {"ddpm", {"schedule=linaer"}, "cosine"},
        {"ddpm", {"timesteps=10"}, "beta["}, /* 0.02 · 1000 / 10 = 2 */
        {"ddpm", {"timesteps=1"}, "timesteps"},
        {"ddpm", {"beta_min=0"}, "beta_min"},
        {"vp", {"beta_min=30"}, "process.beta_max"},
        {"ve", {"sigma_min=60"}, "process.sigma_max"},
        {"edm", {"sigma_min=90"}, "process.sigma_max"},
        {"ladder", {"sigma_min=2"}, "process.sigma_max"},
        {"ladder", {"prior_low=1"}, "process.prior_high"},
        {"vq", {NULL}, "subvp"},
        {"ve", {"beta_min=1"}, "belongs to process.kind"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        tw_process *p = NULL;
        assert_int_equal(tw_process_make(&p, bad[i].kind, bad[i].keys[0] ? 1 : 0, bad[i].keys),
                         TW_ECONFIG);
        if (!strstr(tw_error_message(), bad[i].words))
            fail_msg("%s: not '%s'", tw_error_message(), bad[i].words);
        assert_null(p);
    }
}

static void ladders_have_the_published_levels(void **state)
{
    static const double known[] = {1,       .59948,  .35938,  .21544,  .12915,
                                   .077426, .046416, .027826, .016681, .01};
    (void)state;
    tw_process *p = make("ladder", 0, NULL);
    assert_int_equal(p->steps, 10);
    for (int i = 0; i < 10; i++) {
        close_to(tw_process_sigma(p, 9 - i), known[i], 5e-5 * known[i]);
        assert_true(tw_process_condition(p, 9 - i) == i); /* published index: from the largest */
    }
    assert_true(p->prior_low == -1 && p->prior_high == 1);
    tw_process_destroy(&p);
}

/* Of every process: the ratio σ / α grows, and its inverse is found. */
static void times_are_found_by_their_ratio(void **state)
{
    (void)state;
    for (int k = 0; k < tw_process_kinds.count; k++) {
        tw_process *p = make(tw_process_kinds.table[k]->name, 0, NULL);
        for (int i = 0; i <= 10; i++) {
            const double t = p->steps ? (double)(i * (p->steps - 1) / 10)
                                      : p->start + (p->end - p->start) * i / 10;
            const double ratio = tw_process_sigma(p, t) / tw_process_alpha(p, t);
            close_to(tw_process_time_at(p, ratio), t, 1e-9 * (1 + t));
        }
        assert_true(tw_process_time_at(p, 1e-300) == p->start);
        tw_process_destroy(&p);
    }
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
    tw_process *vp = make("vp", 0, NULL), *subvp = make("subvp", 0, NULL),
               *ve = make("ve", 0, NULL);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        const double t = known[i].t;
        equals(tw_process_alpha(vp, t), known[i].vp_mean);
        /* The published values lose digits in 1 − e^{2m} near t = 0; ours do not. */
        close_to(tw_process_sigma(vp, t), known[i].vp_std, 1e-9 * known[i].vp_std);
        close_to(tw_process_sigma(subvp, t), known[i].subvp_std, 1e-9 * known[i].subvp_std);
        equals(tw_process_alpha(subvp, t), known[i].vp_mean);
        equals(vp->kind->drift(vp, t), -0.5 * known[i].vp_beta);
        equals(vp->kind->diffusion(vp, t), sqrt(known[i].vp_beta));
        equals(tw_process_sigma(ve, t), known[i].ve_std);
        equals(ve->kind->diffusion(ve, t), known[i].ve_g);
        equals(tw_process_condition(vp, t), 999 * t);
    }
    equals(ve->prior_std, 50);
    tw_process_destroy(&vp);
    tw_process_destroy(&subvp);
    tw_process_destroy(&ve);
}

/* dα/dt = f α and dσ²/dt = 2 f σ² + g² for every process, by central differences. */
static void drift_and_diffusion_generate_mean_and_variance(void **state)
{
    (void)state;
    for (int k = 0; k < tw_process_kinds.count; k++) {
        tw_process *p = make(tw_process_kinds.table[k]->name, 0, NULL);
        for (int i = 1; i < 20 && !p->steps; i++) {
            const double t = p->start + (p->end - p->start) * i / 20, h = 1e-5 * t;
            const double f = p->kind->drift(p, t), g = p->kind->diffusion(p, t),
                         sigma = tw_process_sigma(p, t);
            const double low = tw_process_sigma(p, t - h), high = tw_process_sigma(p, t + h);
            const double slope =
                (tw_process_alpha(p, t + h) - tw_process_alpha(p, t - h)) / (2 * h);
            const double rise = (high * high - low * low) / (2 * h),
                         expected = 2 * f * sigma * sigma + g * g;
            double alpha_slope, sigma_slope;
            close_to(slope, f * tw_process_alpha(p, t), 1e-6 * (1 + fabs(f)));
            close_to(rise, expected, 1e-6 * (g * g + fabs(2 * f * sigma * sigma)));
            tw_process_slope(p, t, &alpha_slope, &sigma_slope);
            close_to(alpha_slope, slope, 1e-6 * (1 + fabs(f)));
            close_to(sigma_slope, (high - low) / (2 * h), 1e-6 * (1 + fabs(sigma_slope)));
        }
        tw_process_destroy(&p);
    }
}

static void rescaled_timesteps_are_told_out_of_a_thousand(void **state)
{
    (void)state;
    tw_process *p =
        make("ddpm", 2, (const char *const[]){"timesteps=4000", "rescale_timesteps=yes"});
    assert_true(tw_process_condition(p, 0) == 0);
    assert_true(tw_process_condition(p, 1) == 0.25);
    assert_true(tw_process_condition(p, 3999) == 999.75);
    tw_process_destroy(&p);
    p = ddpm("linear", "4000");
    assert_true(tw_process_condition(p, 3999) == 3999);
    tw_process_destroy(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_network_is_told_the_published_time),
        cmocka_unit_test(rescaled_timesteps_are_told_out_of_a_thousand),
        cmocka_unit_test(schedules_have_the_published_values),
        cmocka_unit_test(sigmoid_and_quadratic_schedules_are_what_they_say),
        cmocka_unit_test(bridges_are_products_of_gaussians),
        cmocka_unit_test(a_step_to_the_data_returns_x0),
        cmocka_unit_test(spacing_keeps_the_published_steps),
        cmocka_unit_test(impossible_spacings_are_refused),
        cmocka_unit_test(bad_keys_are_refused_by_name),
        cmocka_unit_test(ladders_have_the_published_levels),
        cmocka_unit_test(times_are_found_by_their_ratio),
        cmocka_unit_test(processes_have_the_published_values),
        cmocka_unit_test(drift_and_diffusion_generate_mean_and_variance),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
