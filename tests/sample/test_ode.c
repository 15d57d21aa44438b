/* The solver of ODEs by slots, and the probability-flow ODE of exact scores. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <omp.h>
#include <stdio.h>

#include "sample/sample_fixture.h"
#include "tweedie/solver.h"

/* y' = λ (y − cos t) − sin t, whose solution from y(0) = 1 + c is cos t + c e^{λ t}: a different λ
 * for each index, so that steps differ. */
enum { N_MAX = 300 };

typedef struct problem {
    int64_t n, taken, finished;
    double result[N_MAX];
    int64_t evaluations[N_MAX];
} problem;

static double lambda(int64_t index)
{
    return -0.3 - 0.05 * (double)(index % 40);
}

static tw_status slope(void *self, int64_t slots, const double *y, const double *t,
                       const int64_t *index, double *dy)
{
    (void)self;
    for (int64_t i = 0; i < slots; i++) dy[i] = lambda(index[i]) * (y[i] - cos(t[i])) - sin(t[i]);
    return TW_OK;
}

static bool next(void *self, double *y, int64_t *index, double *from, double *to)
{
    problem *p = self;
    if (p->taken == p->n) return false;
    *index = p->taken++;
    *y = 1.5;
    *from = 0;
    *to = 3;
    return true;
}

static tw_status finished(void *self, int64_t index, const double *y, int64_t evaluations)
{
    problem *p = self;
    p->result[index] = *y;
    p->evaluations[index] = evaluations;
    p->finished++;
    return TW_OK;
}

static void solve(problem *p, const char *kind, const char *key, int64_t n, int64_t slots,
                  double *busy)
{
    const tw_choice_rule rule = {
        .section = "sample", .key = "solver", .kinds = tw_solver_kinds, .help = ""};
    tw_choice c = {0};
    tw_config *config = NULL;
    tw_solver *s = NULL;
    int64_t evaluations;
    const tw_ode ode = {.self = p, .numbers = 1, .slope = slope, .next = next, .done = finished};
    *p = (problem){.n = n};
    assert_int_equal(tw_choice_make(&c, &rule, kind, 1, &key, &config), TW_OK);
    assert_int_equal(tw_solver_create(&s, (const tw_solver_kind *)c.kind, c.config, 1, slots),
                     TW_OK);
    assert_int_equal(tw_solver_run(s, &ode), TW_OK);
    assert_int_equal(p->finished, n);
    tw_solver_counts(s, &evaluations, busy);
    for (int64_t i = 0; i < n; i++) evaluations -= p->evaluations[i];
    assert_int_equal(evaluations, 0);
    tw_solver_destroy(&s);
    tw_choice_free(&c);
    tw_config_destroy(&config);
}

static double error_of(const problem *p)
{
    double worst = 0;
    for (int64_t i = 0; i < p->n; i++)
        worst = fmax(worst, fabs(p->result[i] - (cos(3) + 0.5 * exp(3 * lambda(i)))));
    return worst;
}

static void equal_steps_have_their_order(void **state)
{
    static const struct {
        const char *kind;
        double order;
    } cases[] = {{"euler", 1}, {"heun2", 2}, {"rk4", 4}};
    (void)state;
    for (int i = 0; i < 3; i++) {
        problem p;
        double busy, coarse, fine;
        solve(&p, cases[i].kind, "ode_steps=40", 40, 8, &busy);
        coarse = error_of(&p);
        assert_int_equal(p.evaluations[3], 40 * (int)cases[i].order); /* stages = order here */
        solve(&p, cases[i].kind, "ode_steps=80", 40, 8, &busy);
        fine = error_of(&p);
        close_to(log2(coarse / fine), cases[i].order, 0.15);
    }
}

/* The error per unit step follows the tolerance, and the work its fifth root. */
static void the_tolerance_is_the_dial(void **state)
{
    problem p;
    double busy, last = 1, work = 0;
    (void)state;
    static const char *const tolerances[] = {"rtol=1e-3", "rtol=1e-6", "rtol=1e-9"};
    for (int i = 0; i < 3; i++) {
        char both[2][32];
        const char *keys[2] = {both[0], both[1]};
        snprintf(both[0], 32, "%s", tolerances[i]);
        snprintf(both[1], 32, "a%s", tolerances[i] + 1);
        const tw_choice_rule rule = {
            .section = "sample", .key = "solver", .kinds = tw_solver_kinds, .help = ""};
        tw_choice c = {0};
        tw_config *config = NULL;
        tw_solver *s = NULL;
        const tw_ode ode = {
            .self = &p, .numbers = 1, .slope = slope, .next = next, .done = finished};
        p = (problem){.n = 40};
        assert_int_equal(tw_choice_make(&c, &rule, "dopri5", 2, keys, &config), TW_OK);
        assert_int_equal(tw_solver_create(&s, (const tw_solver_kind *)c.kind, c.config, 1, 8),
                         TW_OK);
        assert_int_equal(tw_solver_run(s, &ode), TW_OK);
        int64_t evaluations;
        tw_solver_counts(s, &evaluations, &busy);
        assert_true(error_of(&p) < 20 * pow(10, -3.0 * (i + 1)) && error_of(&p) < last / 50);
        if (work > 0) close_to((double)evaluations / work, pow(1000, 0.2), 1.6);
        last = error_of(&p);
        work = (double)evaluations;
        tw_solver_destroy(&s);
        tw_choice_free(&c);
        tw_config_destroy(&config);
    }
}

static void a_result_is_the_same_bits_in_any_company(void **state)
{
    static problem whole, other;
    static const int64_t slots[] = {1, 3, 32, 300};
    double busy;
    (void)state;
    solve(&whole, "dopri5", "rtol=1e-7", N_MAX, 8, &busy);
    for (int k = 0; k < 4; k++) {
        solve(&other, "dopri5", "rtol=1e-7", N_MAX, slots[k], &busy);
        assert_memory_equal(other.result, whole.result, sizeof whole.result);
        assert_memory_equal(other.evaluations, whole.evaluations, sizeof whole.evaluations);
    }
}

static void slots_are_kept_busy(void **state)
{
    static problem p;
    double busy;
    (void)state;
    solve(&p, "dopri5", "rtol=1e-6", 256, 32, &busy);
    if (busy < 0.85) fail_msg("%.3f of the evaluations were of a sample", busy);
}

/* ---- the probability-flow ODE ---- */

/* For data N(μ, s²) the flow carries x_T to μ α + √(α² s² + σ²) / √(α_T² s² + σ_T²) (x_T − α_T μ),
 * exactly; and the denoised sample is the posterior mean there. */
static void the_flow_of_a_gaussian_is_exact(void **state)
{
    static const char *const kinds[] = {"vp", "subvp", "ve", "edm", "flow"};
    enum { N = 40 };
    (void)state;
    for (int k = 0; k < 5; k++) {
        mixture m = {
            .modes = 1, .dims = 2, .weight = {1}, .mean = {{0.7, -0.3}}, .std = {{0.5, 0.2}}};
        tw_process *p = make_process(kinds[k], 0, NULL);
        float *x = sample_mixture(&m, p, "kind=ode rtol=1e-7 atol=1e-7 denoise=no", 5, N, 16);
        float start[N][2];
        const double a = tw_process_alpha(p, p->epsilon), s = tw_process_sigma(p, p->epsilon),
                     at = tw_process_alpha(p, p->end), st = tw_process_sigma(p, p->end);
        const tw_rng_stream prior = {.purpose = TW_RNG_SAMPLER_PRIOR, .position = 5};
        tw_rng_normal_rows(&start[0][0], &prior, NULL, N, 2);
        for (int i = 0; i < N; i++)
            for (int d = 0; d < 2; d++) {
                const double v = m.std[0][d] * m.std[0][d], mean = m.mean[0][d];
                const double xt = p->prior_std * (double)start[i][d];
                const double wanted =
                    a * mean +
                    sqrt((a * a * v + s * s) / (at * at * v + st * st)) * (xt - at * mean);
                if (!(fabs((double)x[2 * i + d] - wanted) < 2e-4 * (1 + fabs(wanted))))
                    fail_msg("%s: %.9g met, %.9g wanted", kinds[k], (double)x[2 * i + d], wanted);
            }
        tw_free(&x);
        tw_process_destroy(&p);
    }
}

static void the_flow_recovers_a_mixture(void **state)
{
    static const char *const kinds[] = {"vp", "ve", "flow"};
    enum { N = 4000 };
    (void)state;
    for (int k = 0; k < 3; k++) {
        mixture m = {.modes = 2,
                     .dims = 1,
                     .weight = {0.3, 0.7},
                     .mean = {{-1}, {1}},
                     .std = {{0.2}, {0.3}}};
        tw_process *p = make_process(kinds[k], 0, NULL);
        float *x = sample_mixture(&m, p, "kind=ode rtol=1e-4 atol=1e-4 denoise=no", 0, N, 500);
        double n = 0, sum = 0, square = 0;
        for (int i = 0; i < N; i++) {
            if (x[i] < 0) continue;
            n++;
            sum += (double)x[i] - 1;
            square += pow((double)x[i] - 1, 2);
        }
        close_to(n / N, 0.7, 5 * sqrt(0.21 / N) + 2e-3);
        close_to(sum / n, 0, 5 * 0.3 / sqrt(n) + 2e-3);
        close_to(sqrt(square / n), 0.3, 5 * 0.3 / sqrt(2 * n) + 3e-3);
        tw_free(&x);
        tw_process_destroy(&p);
    }
}

static void samples_of_the_flow_are_the_same_bits_however_they_are_cut(void **state)
{
    enum { N = 37 };
    mixture m = {.modes = 2,
                 .dims = 3,
                 .weight = {0.3, 0.7},
                 .mean = {{-1, 0, 1}, {1, 1, 0}},
                 .std = {{0.2, 1, 1}, {0.3, 1, 1}}};
    static const int64_t batches[] = {1, 5, 64};
    (void)state;
    tw_process *p = make_process("vp", 0, NULL);
    float *whole = sample_mixture(&m, p, "kind=ode", 100, N, 8);
    for (int b = 0; b < 3; b++) {
        omp_set_num_threads(1 + b);
        m.batch = batches[b];
        float *again = sample_mixture(&m, p, "kind=ode", 100, N, batches[b]);
        assert_memory_equal(again, whole, 3 * N * sizeof *whole);
        assert_false(m.strange_batch);
        tw_free(&again);
    }
    m.batch = 8;
    for (int64_t first = 0; first < N; first += 11) {
        const int64_t n = N - first < 11 ? N - first : 11;
        float *part = sample_mixture(&m, p, "kind=ode", 100 + first, n, 8);
        assert_memory_equal(part, whole + 3 * first, (size_t)n * 3 * sizeof *part);
        tw_free(&part);
    }
    tw_free(&whole);
    tw_process_destroy(&p);
}

static void discrete_processes_are_refused(void **state)
{
    mixture m = {.modes = 1, .dims = 1, .weight = {1}, .std = {{1}}};
    rig r;
    (void)state;
    tw_process *p = make_process("ddpm", 0, NULL);
    assert_int_equal(make_rig(&r, p, mixture_score(&m), "kind=ode", 4, false), TW_ECONFIG);
    assert_non_null(strstr(tw_error_message(), "ddim"));
    break_rig(&r);
    tw_process_destroy(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_steps_have_their_order),
        cmocka_unit_test(the_tolerance_is_the_dial),
        cmocka_unit_test(a_result_is_the_same_bits_in_any_company),
        cmocka_unit_test(slots_are_kept_busy),
        cmocka_unit_test(the_flow_of_a_gaussian_is_exact),
        cmocka_unit_test(the_flow_recovers_a_mixture),
        cmocka_unit_test(samples_of_the_flow_are_the_same_bits_however_they_are_cut),
        cmocka_unit_test(discrete_processes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
