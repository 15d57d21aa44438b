/* Weightings and times: each weighting of (F − F*)² is the published error that it names, whatever
 * is predicted, and each distribution of times, with its importance weights, has the mean that the
 * objective is defined by. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "tweedie/objective.h"

/* A model without a network, and one choice of a table. */
typedef struct bare {
    tw_model m;
    tw_choice part;
    tw_config *prediction, *config;
} bare;

static void make(bare *b, tw_kinds kinds, const char *part, const char *prediction,
                 const char *process)
{
    const tw_choice_rule of_model = {.section = "prediction",
                                     .key = "kind",
                                     .kinds = tw_prediction_kinds,
                                     .help = ""},
                         of_part = {
                             .section = "objective", .key = "part", .kinds = kinds, .help = ""};
    *b = (bare){0};
    assert_int_equal(tw_process_make(&b->m.process, process, 0, NULL), TW_OK);
    assert_int_equal(
        tw_choice_make(&b->m.predicted, &of_model, prediction, 0, NULL, &b->prediction), TW_OK);
    assert_int_equal(tw_choice_make(&b->part, &of_part, part, 0, NULL, &b->config), TW_OK);
    b->m.prediction = (const tw_prediction *)b->m.predicted.kind;
}

static void release(bare *b)
{
    tw_choice_free(&b->m.predicted);
    tw_choice_free(&b->part);
    tw_process_destroy(&b->m.process);
    tw_config_destroy(&b->prediction);
    tw_config_destroy(&b->config);
}

/* The published error of a network that answers F where F* would be right. */
static double published(const char *weighting, const tw_process *p, double t, double x0, double z,
                        double d, double s)
{
    const double sigma = tw_process_sigma(p, t), alpha = tw_process_alpha(p, t), r = sigma / alpha;
    if (strcmp(weighting, "score") == 0) return pow(sigma * s + z, 2);
    if (strcmp(weighting, "ncsn") == 0) return pow(s + z / sigma, 2) * sigma * sigma;
    if (strcmp(weighting, "likelihood") == 0)
        return pow(p->kind->diffusion(p, t), 2) * pow(s + z / sigma, 2);
    if (strcmp(weighting, "edm") == 0) return (r * r + 0.25) / (r * r * 0.25) * pow(d - x0, 2);
    return fmin(1 / (r * r), 5) * pow(d - x0, 2); /* min_snr */
}

static void weightings_are_the_errors_that_they_name(void **state)
{
    static const char *const names[] = {"score", "ncsn", "likelihood", "edm", "min_snr"},
                             *const predictions[] = {"epsilon", "x0", "v", "score", "edm"};
    const double x0 = 0.6, z = 0.8, off = 0.3;
    (void)state;
    for (int i = 0; i < 5; i++)
        for (int k = 0; k < 5; k++) {
            bare b;
            make(&b, tw_weighting_kinds, names[i], predictions[k], "vp");
            for (double t = 0.1; t < 1; t += 0.2) {
                double a, c;
                b.m.prediction->target(b.m.predicted.config, b.m.process, t, &a, &c);
                const tw_model_view q = tw_model_view_at(&b.m, t);
                const double xt = tw_process_alpha(b.m.process, t) * x0 +
                                  tw_process_sigma(b.m.process, t) * z,
                             f = a * x0 + c * z + off;
                const double met =
                    ((const tw_weighting *)b.part.kind)->weight(b.part.config, &b.m, t, &q) * off *
                    off;
                const double wanted =
                    published(names[i], b.m.process, t, x0, z, q.x0_x * xt + q.x0_f * f,
                              q.score_x * xt + q.score_f * f);
                if (!(fabs(met - wanted) <= 1e-9 * wanted))
                    fail_msg("%s of %s at %g: %.12g met, %.12g wanted", names[i], predictions[k], t,
                             met, wanted);
            }
            release(&b);
        }
}

/* Published: the weightings under which a prediction's error is the plain one. */
static void a_matching_prediction_has_weight_one(void **state)
{
    static const struct {
        const char *weighting, *prediction, *process;
    } cases[] = {{"score", "epsilon", "vp"},     {"score", "epsilon", "ve"},
                 {"score", "score_sigma", "ve"}, {"ncsn", "epsilon", "ladder"},
                 {"edm", "edm", "edm"},          {"edm", "edm", "vp"}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bare b;
        make(&b, tw_weighting_kinds, cases[i].weighting, cases[i].prediction, cases[i].process);
        const double t = b.m.process->steps ? 3 : 0.4;
        const tw_model_view q = tw_model_view_at(&b.m, t);
        assert_true(fabs(((const tw_weighting *)b.part.kind)->weight(b.part.config, &b.m, t, &q) -
                         1) < 1e-12);
        release(&b);
    }
}

/* Midpoints of u are a quadrature: the weighted mean of any smooth function is its mean over the
 * clock, and the mean weight is 1. */
static void importance_weights_give_the_uniform_mean(void **state)
{
    static const char *const processes[] = {"vp", "subvp", "ve"}, *const names[] = {"uniform",
                                                                                    "likelihood"};
    enum { N = 200000 };
    (void)state;
    for (int i = 0; i < 3; i++)
        for (int k = 0; k < 2; k++) {
            bare b;
            make(&b, tw_times_kinds, names[k], "epsilon", processes[i]);
            const tw_times *times = (const tw_times *)b.part.kind;
            const tw_process *p = b.m.process;
            double weights = 0, mean = 0, last = -1;
            for (int j = 0; j < N; j++) {
                double w;
                const double t = times->at(b.part.config, p, NULL, (j + 0.5) / N, &w);
                assert_true(t >= last && t >= p->start && t <= p->end);
                last = t;
                weights += w / N;
                mean += w * cos(3 * t) / N;
            }
            const double exact = (sin(3 * p->end) - sin(3 * p->start)) / 3 / (p->end - p->start);
            if (fabs(weights - 1) > 2e-3 || fabs(mean - exact) > 2e-3)
                fail_msg("%s of %s: weights %.6g, mean %.6g, wanted %.6g", names[k], processes[i],
                         weights, mean, exact);
            release(&b);
        }
}

static void uniform_times_of_a_discrete_process_meet_each_step_alike(void **state)
{
    int64_t count[10] = {0};
    bare b;
    (void)state;
    make(&b, tw_times_kinds, "uniform", "epsilon", "ladder");
    for (int j = 0; j < 1000; j++) {
        double w;
        count[(int)((const tw_times *)b.part.kind)
                  ->at(b.part.config, b.m.process, NULL, (j + 0.5) / 1000, &w)]++;
    }
    for (int k = 0; k < 10; k++) assert_int_equal(count[k], 100);
    release(&b);
}

/* ln σ ~ N(−1.2, 1.2²): by quadrature; the process's smallest time cuts 1e-5 of it off. */
static void lognormal_times_have_the_published_moments(void **state)
{
    enum { N = 20000 };
    double mean = 0, square = 0;
    bare b;
    (void)state;
    make(&b, tw_times_kinds, "lognormal", "edm", "edm");
    for (int j = 0; j < N; j++) {
        double w;
        const double l = log(((const tw_times *)b.part.kind)
                                 ->at(b.part.config, b.m.process, NULL, (j + 0.5) / N, &w));
        assert_true(w == 1);
        mean += l / N;
        square += l * l / N;
    }
    assert_true(fabs(mean + 1.2) < 1e-3);
    assert_true(fabs(sqrt(square - mean * mean) - 1.2) < 1e-3);
    release(&b);
}

static void what_does_not_go_together_is_refused(void **state)
{
    bare b;
    (void)state;
    make(&b, tw_weighting_kinds, "likelihood", "epsilon", "ddpm");
    assert_int_equal(((const tw_weighting *)b.part.kind)->check(b.part.config, &b.m), TW_ECONFIG);
    assert_non_null(strstr(tw_error_message(), "continuous time (vp"));
    release(&b);
    make(&b, tw_times_kinds, "likelihood", "epsilon", "ladder");
    assert_int_equal(((const tw_times *)b.part.kind)->check(b.part.config, b.m.process),
                     TW_ECONFIG);
    release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weightings_are_the_errors_that_they_name),
        cmocka_unit_test(a_matching_prediction_has_weight_one),
        cmocka_unit_test(importance_weights_give_the_uniform_mean),
        cmocka_unit_test(uniform_times_of_a_discrete_process_meet_each_step_alike),
        cmocka_unit_test(lognormal_times_have_the_published_moments),
        cmocka_unit_test(what_does_not_go_together_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
