/* Stratified times, and times by the second moment of losses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <omp.h>
#include <stdio.h>

#include "objective/objective_fixture.h"

#define SMALL "[network]\nkind = mlp\nwidth = 4\ndepth = 1\ntime_dim = 0\n"

static void times_of(const rig *r, int64_t step, int64_t position, int64_t count, double *t)
{
    float z[N], xt[N];
    const tw_objective_step s = {
        .seed = 5, .step = step, .position = position, .count = count, .weight = 1};
    tw_objective_perturb(r->objective, &s, count, r->x0, t, z, xt);
}

/* One time of each twelfth in every batch; by position the same whoever computes it. */
static void stratified_times_meet_each_stratum_once_however_cut(void **state)
{
    static rig r;
    double t[N], part[N];
    (void)state;
    ok(make_rig(&r, SMALL "[process]\nkind = vp\n[objective]\nstratified = yes\n", TW_SHAPE(1),
                NULL));
    for (int64_t step = 0; step < 20; step++) {
        bool met[N] = {false};
        times_of(&r, step, 0, N, t);
        for (int i = 0; i < N; i++) {
            const double u = (t[i] - r.m->process->start) / (1 - r.m->process->start);
            const int k = (int)(u * N);
            assert_false(met[k]);
            met[k] = true;
        }
        for (int64_t first = 0; first < N; first += 5) {
            const int64_t n = N - first < 5 ? N - first : 5;
            times_of(&r, step, first, n, part);
            assert_memory_equal(part, t + first, (size_t)n * sizeof *t);
        }
    }
    release(&r);
}

/* The batch mean of a function of time: the same expectation, a fraction of the variance. */
static void stratified_times_keep_the_mean_and_lower_the_variance(void **state)
{
    enum { STEPS = 1000 };
    double mean[2] = {0}, variance[2] = {0};
    (void)state;
    for (int k = 0; k < 2; k++) {
        static rig r;
        char text[256];
        snprintf(text, sizeof text, SMALL "[process]\nkind = vp\n[objective]\nstratified = %s\n",
                 k ? "yes" : "no");
        ok(make_rig(&r, text, TW_SHAPE(1), NULL));
        for (int64_t step = 0; step < STEPS; step++) {
            double t[N], sum = 0;
            times_of(&r, step, 0, N, t);
            for (int i = 0; i < N; i++) sum += t[i] * t[i] / N;
            mean[k] += sum / STEPS;
            variance[k] += pow(sum - 1.0 / 3, 2) / STEPS;
        }
        assert_true(fabs(mean[k] - 1.0 / 3) < 5 * sqrt(variance[k] / STEPS) + 2e-5);
        release(&r);
    }
    assert_true(variance[1] < variance[0] / 20);
}

/* ---- second moment ---- */

#define RESAMPLED                                                                                  \
    SMALL "[process]\ntimesteps = 5\nbeta_min = 0.0004\nbeta_max = 0.002\n"                        \
          "[objective]\ntimes = second_moment\n"

/* Loss k of step t. */
static double loss_of(int t, int k)
{
    return (t + 1) * (1 + 0.1 * k);
}

/* Frequencies and importance weights of many times. */
static void frequencies(rig *r, double share[5], double weight[5])
{
    const tw_times *times = (const tw_times *)r->oc.times.kind;
    int64_t count;
    const double *history = tw_objective_history(r->objective, &count);
    memset(share, 0, 5 * sizeof *share);
    for (int i = 0; i < 100000; i++) {
        double w;
        const int t =
            (int)times->at(r->oc.times.config, r->m->process, history, (i + 0.5) / 100000, &w);
        assert_in_range(t, 0, 4);
        share[t] += 1e-5;
        weight[t] = w;
    }
}

static void times_are_uniform_until_each_has_ten_losses(void **state)
{
    static rig r;
    double share[5], weight[5];
    (void)state;
    ok(make_rig(&r, RESAMPLED, TW_SHAPE(1), NULL));
    for (int k = 0; k < 50; k++) {
        const double t = k == 49 ? 3 : k % 5, loss = loss_of((int)t, k);
        if (k == 44 || k == 49) continue;
        tw_objective_observe(r.objective, 1, &t, &loss);
    }
    frequencies(&r, share, weight); /* step 4 has nine */
    for (int t = 0; t < 5; t++)
        assert_true(fabs(share[t] - 0.2) < 1e-4 && fabs(weight[t] - 1) < 1e-12);
    release(&r);
}

/* p ∝ √mean of the last ten losses², 1/1000 of it uniform; the weight takes it back. */
static void then_they_follow_the_last_ten_losses(void **state)
{
    static rig r;
    double share[5], weight[5], root[5], sum = 0, total = 0;
    (void)state;
    ok(make_rig(&r, RESAMPLED, TW_SHAPE(1), NULL));
    for (int k = 0; k < 13; k++)
        for (int t = 0; t < 5; t++) {
            const double time = t, loss = loss_of(t, k);
            tw_objective_observe(r.objective, 1, &time, &loss);
        }
    for (int t = 0; t < 5; t++) {
        double squares = 0;
        for (int k = 3; k < 13; k++) squares += pow(loss_of(t, k), 2) / 10;
        sum += root[t] = sqrt(squares);
    }
    frequencies(&r, share, weight);
    for (int t = 0; t < 5; t++) {
        const double p = 0.999 * root[t] / sum + 0.001 / 5;
        assert_true(fabs(share[t] - p) < 1e-4);
        assert_true(fabs(weight[t] - 1 / (5 * p)) < 1e-5 * weight[t]);
        total += p * weight[t];
    }
    assert_true(fabs(total - 1) < 1e-6); /* constants keep their mean */
    release(&r);
}

/* What a checkpoint holds is all there is: numbers exact in f32, from which the rest follows. */
static void the_history_goes_through_a_checkpoint(void **state)
{
    static rig a, b;
    double t[2][N];
    int64_t n, count;
    (void)state;
    ok(make_rig(&a, RESAMPLED, TW_SHAPE(1), NULL));
    ok(make_rig(&b, RESAMPLED, TW_SHAPE(1), NULL));
    for (int k = 0; k < 12; k++)
        for (int s = 0; s < 5; s++) {
            const double time = s, loss = loss_of(s, k) / 3;
            tw_objective_observe(a.objective, 1, &time, &loss);
        }
    const double *from = tw_objective_history(a.objective, &n);
    double *to = tw_objective_history(b.objective, &count);
    assert_true(n == count && n == 55);
    for (int64_t i = 0; i < n; i++) {
        assert_true((double)(float)from[i] == from[i]);
        to[i] = from[i];
    }
    tw_objective_observe(b.objective, 0, NULL, NULL);
    for (int64_t step = 0; step < 30; step++) {
        times_of(&a, step, 0, N, t[0]);
        times_of(&b, step, 0, N, t[1]);
        assert_memory_equal(t[0], t[1], sizeof t[0]);
    }
    release(&a);
    release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stratified_times_meet_each_stratum_once_however_cut),
        cmocka_unit_test(stratified_times_keep_the_mean_and_lower_the_variance),
        cmocka_unit_test(times_are_uniform_until_each_has_ten_losses),
        cmocka_unit_test(then_they_follow_the_last_ten_losses),
        cmocka_unit_test(the_history_goes_through_a_checkpoint),
    };
    omp_set_num_threads(1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
