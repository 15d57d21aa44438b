/* Heun with churn, DPM-Solver++ and the spacings: with the exact score of a Gaussian the flow is
 * known in closed form, so errors, their orders and moments are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <omp.h>
#include <stdio.h>

#include "sample/sample_fixture.h"
#include "sample/sampler.h"

enum { N = 64 };

static mixture gaussian(void)
{
    return (mixture){.modes = 1, .dims = 1, .weight = {1}, .mean = {{0.7}}, .std = {{0.5}}};
}

/* Mean distance to the flow's end at the process's epsilon. */
static double error_of(tw_process *p, const char *words)
{
    mixture m = gaussian();
    float *x = sample_mixture(&m, p, words, 0, N, N), start[N];
    const double a = tw_process_alpha(p, p->epsilon), s = tw_process_sigma(p, p->epsilon),
                 at = tw_process_alpha(p, p->end), st = tw_process_sigma(p, p->end);
    const tw_rng_stream prior = {.purpose = TW_RNG_SAMPLER_PRIOR};
    double error = 0;
    tw_rng_normal_rows(start, &prior, NULL, N, 1);
    for (int i = 0; i < N; i++) {
        const double xt = p->prior_std * (double)start[i];
        const double wanted =
            a * 0.7 + sqrt((a * a * 0.25 + s * s) / (at * at * 0.25 + st * st)) * (xt - at * 0.7);
        error += fabs((double)x[i] - wanted) / N;
    }
    tw_free(&x);
    return error;
}

/* Halving the step divides the error by 2^order. The last step to epsilon is one of them; float
 * states bound what can be seen to 1e-6. The error is C h^p + D h^(p+1) + …: where the two add up
 * the order that is met lies between p and p + 1, and 1e-6 of rounding in the smaller error adds
 * log2(1 + 1e-6 / error); where they cancel in part it lies below p, by the slack. */
static void deterministic_solvers_have_their_order(void **state)
{
    static const struct {
        const char *process, *words;
        double order, slack;
        int coarse;
    } cases[] = {
        {"edm", "kind=heun denoise=no", 2, 0.35, 32},
        {"vp", "kind=heun denoise=no", 2, 0.35, 32},
        {"vp", "kind=dpmpp order=1 denoise=no", 1, 0.2, 64},
        {"vp", "kind=dpmpp order=2 denoise=no", 2, 0.35, 32},
        {"vp", "kind=dpmpp order=3 denoise=no", 3, 0.6, 24},
        {"ve", "kind=dpmpp order=2 denoise=no", 2, 0.4, 32},
        {"subvp", "kind=dpmpp order=2 epsilon=1e-3 denoise=no", 2, 0.4, 48},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tw_process *p = make_process(cases[i].process, 0, NULL);
        double error[2];
        for (int k = 0; k < 2; k++) {
            char words[128];
            snprintf(words, sizeof words, "%s steps=%d", cases[i].words,
                     (cases[i].coarse << k) + 1);
            error[k] = error_of(p, words);
        }
        const double order = log2(error[0] / error[1]);
        if (order < cases[i].order - cases[i].slack ||
            order > cases[i].order + 1 + log2(1 + 1e-6 / error[1]) || error[0] > 0.05)
            fail_msg("%s of %s: errors %.3g and %.3g, order %.2f", cases[i].words, cases[i].process,
                     error[0], error[1], order);
        tw_process_destroy(&p);
    }
}

/* Few evaluations: the published use. */
static void eighteen_heun_steps_recover_a_mixture(void **state)
{
    enum { MANY = 6000 };
    static const char *const words[] = {"kind=heun", "kind=dpmpp order=2 steps=30",
                                        "kind=heun s_churn=10 steps=40",
                                        "kind=dpmpp order=2 sde=yes steps=60"};
    (void)state;
    for (int k = 0; k < 4; k++) {
        mixture m = {.modes = 2,
                     .dims = 1,
                     .weight = {0.3, 0.7},
                     .mean = {{-1}, {1}},
                     .std = {{0.2}, {0.3}}};
        tw_process *p = make_process("edm", 1, (const char *const[]){"sigma_max=20"});
        float *x = sample_mixture(&m, p, words[k], 0, MANY, 1000);
        double n = 0, sum = 0, square = 0;
        for (int i = 0; i < MANY; i++) {
            if (x[i] < 0) continue;
            n++;
            sum += (double)x[i] - 1;
            square += pow((double)x[i] - 1, 2);
        }
        close_to(n / MANY, 0.7, 5 * sqrt(0.21 / MANY) + 0.01);
        close_to(sum / n, 0, 5 * 0.3 / sqrt(n) + 0.01);
        close_to(sqrt(square / n), 0.3, 5 * 0.3 / sqrt(2 * n) + 0.02);
        tw_free(&x);
        tw_process_destroy(&p);
    }
}

/* 18 steps of Heun's method are 35 evaluations, of a multistep one its steps. */
static void evaluations_are_as_published(void **state)
{
    mixture m = gaussian();
    (void)state;
    tw_process *p = make_process("edm", 0, NULL);
    float *x = sample_mixture(&m, p, "kind=heun", 0, 4, 4);
    assert_int_equal(m.points, 35 * 4);
    tw_free(&x);
    m.points = 0;
    x = sample_mixture(&m, p, "kind=dpmpp", 0, 4, 4);
    assert_int_equal(m.points, 25 * 4);
    tw_free(&x);
    tw_process_destroy(&p);
}

static void noise_is_of_the_sample_alone(void **state)
{
    static const char *const words[] = {"kind=heun s_churn=10", "kind=dpmpp sde=yes", "kind=heun",
                                        "kind=dpmpp order=3"};
    (void)state;
    tw_process *p = make_process("edm", 0, NULL);
    for (int k = 0; k < 4; k++) {
        mixture m = gaussian();
        float *whole = sample_mixture(&m, p, words[k], 10, 21, 8),
              *part = sample_mixture(&m, p, words[k], 17, 9, 3);
        assert_memory_equal(part, whole + 7, 9 * sizeof *part);
        tw_free(&whole);
        tw_free(&part);
    }
    tw_process_destroy(&p);
}

/* Published: σ_i of EDM's 18 steps, and a geometric series of λ. */
static void spacings_are_as_they_say(void **state)
{
    tw_config *config = NULL;
    tw_choice c = {0};
    double t[18];
    (void)state;
    tw_process *p = make_process("edm", 0, NULL);
    const tw_choice_rule rule = {
        .section = "sample", .key = "spacing", .kinds = tw_spacing_kinds, .help = ""};
    assert_int_equal(tw_choice_make(&c, &rule, "karras", 0, NULL, &config), TW_OK);
    assert_int_equal(((const tw_spacing *)c.kind)->fill(c.config, p, p->epsilon, 18, t), TW_OK);
    for (int i = 0; i < 18; i++)
        close_to(t[i],
                 pow(pow(80, 1.0 / 7) + i / 17.0 * (pow(0.002, 1.0 / 7) - pow(80, 1.0 / 7)), 7),
                 1e-9 * t[i]);
    tw_choice_free(&c);
    tw_config_destroy(&config);
    assert_int_equal(tw_choice_make(&c, &rule, "logsnr", 0, NULL, &config), TW_OK);
    assert_int_equal(((const tw_spacing *)c.kind)->fill(c.config, p, p->epsilon, 18, t), TW_OK);
    for (int i = 1; i < 17; i++) close_to(t[i] * t[i], t[i - 1] * t[i + 1], 1e-9 * t[i] * t[i]);
    tw_choice_free(&c);
    tw_config_destroy(&config);
    tw_process_destroy(&p);
}

static void discrete_models_are_solved_at_their_steps(void **state)
{
    (void)state;
    tw_process *p = make_process("ddpm", 0, NULL);
    static const char *const words[] = {"kind=dpmpp steps=20", "kind=heun steps=20",
                                        "kind=ddim steps=20 spacing=quadratic"};
    for (int k = 0; k < 3; k++) {
        mixture m = gaussian();
        float *x = sample_mixture(&m, p, words[k], 0, 4000, 1000);
        double mean, variance;
        moments(x, 4000, 1, 0, &mean, &variance);
        close_to(mean, 0.7, 5 * 0.5 / sqrt(4000) + 0.02);
        close_to(variance, 0.25, 5 * 0.25 * sqrt(2.0 / 4000) + 0.02);
        tw_free(&x);
    }
    tw_process_destroy(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(deterministic_solvers_have_their_order),
        cmocka_unit_test(eighteen_heun_steps_recover_a_mixture),
        cmocka_unit_test(evaluations_are_as_published),
        cmocka_unit_test(noise_is_of_the_sample_alone),
        cmocka_unit_test(spacings_are_as_they_say),
        cmocka_unit_test(discrete_models_are_solved_at_their_steps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
