/* Guided scores against mixtures whose classes have exact scores and posteriors. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "exact_classes.h"
#include "sample/sample_fixture.h"

enum { N = 13, D = 2, FIRST = 40 };

static const mixture two = {.modes = 2,
                            .dims = D,
                            .weight = {0.3, 0.7},
                            .mean = {{-1.5, 0}, {1, 0.5}},
                            .std = {{0.5, 0.8}, {0.7, 0.4}}};

/* A guided score with what it is made of. */
typedef struct fixture {
    tw_process *process;
    classes c;
    tw_score score;
    tw_log_factor factor;
    tw_config *config;
    tw_guidance_config guidance;
    tw_guided *guided;
} fixture;

/* @param words  of [guidance], parted by blanks */
static tw_status make(fixture *f, const char *process, const char *words, const tw_labels *labels,
                      int64_t batch)
{
    char text[256], one[128], *rest = NULL, *assignment = one;
    *f = (fixture){.process = make_process(process, 0, NULL)};
    classes_init(&f->c, &two, f->process, labels);
    f->score = classes_score(&f->c);
    f->factor = classes_factor(&f->c);
    if (tw_config_create(&f->config) != TW_OK) fail_msg("%s", tw_error_message());
    snprintf(text, sizeof text, "%s", words);
    for (char *w = strtok_r(text, " ", &rest); w; w = strtok_r(NULL, " ", &rest)) {
        snprintf(one, sizeof one, "guidance.%s", w);
        assert_int_equal(tw_config_override(f->config, 1, &assignment), TW_OK);
    }
    if (tw_guidance_bind(&f->guidance, f->config, "guidance") != TW_OK ||
        tw_config_finish(f->config) != TW_OK)
        fail_msg("%s", tw_error_message());
    const tw_guidance_use use = {.score = &f->score,
                                 .process = f->process,
                                 .labels = f->c.labels,
                                 .factor = strstr(words, "=classifier ") ? &f->factor : NULL,
                                 .batch = batch};
    return tw_guided_create(&f->guided, &f->guidance, &use);
}

static void destroy(fixture *f)
{
    tw_guided_destroy(&f->guided);
    tw_guidance_config_free(&f->guidance);
    tw_config_destroy(&f->config);
    tw_process_destroy(&f->process);
}

typedef struct points {
    float x[N * D], v[N * D];
    double t[N];
    int64_t index[N];
} points;

static points some_points(void)
{
    points p;
    for (int i = 0; i < N; i++) {
        p.t[i] = 0.05 + 0.9 * i / N;
        p.index[i] = FIRST + i;
        for (int d = 0; d < D; d++) {
            p.x[i * D + d] = (float)(2 * sin(1.3 * i + d));
            p.v[i * D + d] = (float)cos(0.7 * i - d);
        }
    }
    return p;
}

static const tw_labels each = {.each = true};

/* p(x) p(y | x)^w, the class's own prior part a constant: w = 0 and 1 to the last bit. */
static void scale_0_is_the_score_of_all_classes_and_1_that_of_the_class(void **state)
{
    (void)state;
    const points p = some_points();
    float met[N * D], want[N * D];
    for (int w = 0; w < 2; w++) {
        fixture f;
        assert_int_equal(make(&f, "vp",
                              w ? "kind=classifier_free scale=1" : "kind=classifier_free scale=0",
                              &each, 4),
                         TW_OK);
        const tw_score *s = tw_guided_view(f.guided);
        assert_int_equal(s->eval(s->self, N, p.x, p.t, p.index, met), TW_OK);
        assert_int_equal(f.c.points, N); /* nothing is computed that does not count */
        f.c.labels.each = w;
        f.c.labels.one = TW_NO_CLASS;
        assert_int_equal(classes_eval(&f.c, N, p.x, p.t, p.index, want), TW_OK);
        assert_memory_equal(met, want, sizeof met);
        destroy(&f);
    }
}

/* In double; the interval leaves the class's own score outside. */
static void the_classifier_free_score_is_the_sum_that_it_says(void **state)
{
    (void)state;
    const points p = some_points();
    float met[N * D];
    fixture f;
    assert_int_equal(
        make(&f, "vp", "kind=classifier_free scale=2.5 time_min=0.3 time_max=0.7", &each, 5),
        TW_OK);
    const tw_score *s = tw_guided_view(f.guided);
    assert_int_equal(s->eval(s->self, N, p.x, p.t, p.index, met), TW_OK);
    for (int i = 0; i < N; i++) {
        double u[MIXTURE_DIMS_MAX], c[MIXTURE_DIMS_MAX];
        const double w = p.t[i] >= 0.3 && p.t[i] <= 0.7 ? 2.5 : 1;
        mixture_at(&f.c.all, p.x + i * D, p.t[i], u, NULL, NULL);
        mixture_at(&f.c.of[(FIRST + i) % 2], p.x + i * D, p.t[i], c, NULL, NULL);
        for (int d = 0; d < D; d++)
            close_to((double)met[i * D + d], u[d] + w * (c[d] - u[d]), 2e-6 * (1 + fabs(c[d])));
    }
    assert_int_equal(f.c.calls, 3); /* one for a batch, both scores of it */
    destroy(&f);
}

/* With the exact posterior both guidances are one: ∇ log p(y | x) = s(x | y) − s(x). */
/* A network is planned for as many points as each evaluation has. */
static void rows_are_what_one_evaluation_asks_of_the_wrapped_score(void **state)
{
    (void)state;
    static const struct {
        const char *words;
        int64_t rows;
    } cases[] = {{"kind=classifier scale=2", 1},
                 {"kind=classifier_free scale=2", 2},
                 {"kind=classifier_free scale=-1", 2},
                 {"kind=classifier_free scale=1", 1},
                 {"kind=classifier_free scale=0", 1},
                 {"kind=classifier_free scale=2 time_min=0.1", 1},
                 {"kind=classifier_free scale=2 time_max=0.9", 1}};
    const points p = some_points();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fixture f;
        float score[N * D];
        if (make(&f, "vp", cases[i].words, &each, N) != TW_OK)
            fail_msg("%s: %s", cases[i].words, tw_error_message());
        assert_int_equal(tw_guidance_rows(&f.guidance), cases[i].rows);
        const tw_score *s = tw_guided_view(f.guided);
        assert_int_equal(s->eval(s->self, N, p.x, p.t, p.index, score), TW_OK);
        assert_int_equal(f.c.calls, 1);
        assert_true(f.c.points == cases[i].rows * N || cases[i].rows == 1);
        destroy(&f);
    }
}

static void classifier_guidance_by_the_exact_posterior_is_classifier_free_guidance(void **state)
{
    (void)state;
    const points p = some_points();
    float a[N * D], b[N * D];
    double ea[N], eb[N];
    fixture f, g, h;
    assert_int_equal(make(&f, "ve", "kind=classifier_free scale=3 time_min=0.2", &each, 4), TW_OK);
    assert_int_equal(make(&g, "ve", "kind=classifier scale=2 time_min=0.2", &each, 3), TW_OK);
    assert_int_equal(make(&h, "ve", "kind=classifier scale=3 conditional=no", &each, 3), TW_OK);
    const tw_score *s = tw_guided_view(f.guided), *r = tw_guided_view(g.guided);
    assert_int_equal(s->eval_energy(s->self, N, p.x, p.t, p.index, a, ea), TW_OK);
    assert_int_equal(r->eval_energy(r->self, N, p.x, p.t, p.index, b, eb), TW_OK);
    for (int i = 0; i < N; i++) {
        const double inside = p.t[i] >= 0.2;
        for (int d = 0; d < D; d++)
            close_to((double)b[i * D + d], (double)a[i * D + d], 1e-4 * (1 + fabs((double)a[i])));
        /* E_u + 3 (E_c − E_u) = E_c − 2 log p(y | x) + 2 log p(y) */
        close_to(eb[i] - ea[i], -2 * inside * log(two.weight[(FIRST + i) % 2]), 1e-9);
    }
    /* and from the score of all classes: s + 3 (s_c − s) */
    const tw_score *q = tw_guided_view(h.guided);
    assert_int_equal(q->eval(q->self, N, p.x, p.t, p.index, b), TW_OK);
    for (int i = 0; i < N; i++)
        for (int d = 0; d < D && p.t[i] >= 0.2; d++)
            close_to((double)b[i * D + d], (double)a[i * D + d],
                     1e-4 * (1 + fabs((double)a[i * D + d])));
    destroy(&f);
    destroy(&g);
    destroy(&h);
}

static void the_vector_jacobian_product_is_that_of_the_guided_score(void **state)
{
    (void)state;
    const points p = some_points();
    float s[N * D], vjp[N * D], plus[N * D], minus[N * D], x[N * D];
    fixture f;
    assert_int_equal(make(&f, "vp", "kind=classifier_free scale=2 time_max=0.6", &each, 4), TW_OK);
    const tw_score *g = tw_guided_view(f.guided);
    assert_int_equal(g->vjp(g->self, N, p.x, p.t, p.index, p.v, s, vjp), TW_OK);
    assert_int_equal(g->eval(g->self, N, p.x, p.t, p.index, plus), TW_OK);
    assert_memory_equal(s, plus, sizeof s);
    for (int d = 0; d < D; d++) { /* vᵀ ∂s/∂x_d by a difference; the Jacobian is symmetric too */
        const float h = 1e-2f;
        for (int sign = -1; sign < 2; sign += 2) {
            memcpy(x, p.x, sizeof x);
            for (int i = 0; i < N; i++) x[i * D + d] += (float)sign * h;
            assert_int_equal(g->eval(g->self, N, x, p.t, p.index, sign > 0 ? plus : minus), TW_OK);
        }
        for (int i = 0; i < N; i++) {
            double slope = 0;
            for (int k = 0; k < D; k++)
                slope += (double)p.v[i * D + k] * (double)(plus[i * D + k] - minus[i * D + k]) /
                         (2 * (double)h);
            close_to((double)vjp[i * D + d], slope, 0.02 * (1 + fabs(slope)));
        }
    }
    destroy(&f);
}

/* Tweedie's formula and its derivative, for guidances that look at x̂_0. */
static void the_denoised_estimate_is_tweedies_formula(void **state)
{
    (void)state;
    const points p = some_points();
    float x0[N * D], s[N * D], again[N * D], vjp[N * D], js[N * D];
    fixture f;
    assert_int_equal(make(&f, "vp", "kind=classifier_free scale=1", &each, N), TW_OK);
    const tw_guided_points all = {.n = N, .x = p.x, .t = p.t, .index = p.index};
    assert_int_equal(tw_guided_x0(f.guided, &all, x0), TW_OK);
    assert_int_equal(tw_guided_x0_vjp(f.guided, &all, p.v, again, vjp), TW_OK);
    assert_memory_equal(x0, again, sizeof x0);
    assert_int_equal(f.score.vjp(&f.c, N, p.x, p.t, p.index, p.v, s, js), TW_OK);
    for (int k = 0; k < N * D; k++) {
        const double a = tw_process_alpha(f.process, p.t[k / D]),
                     v = pow(tw_process_sigma(f.process, p.t[k / D]), 2);
        close_to((double)x0[k], ((double)p.x[k] + v * (double)s[k]) / a, 1e-5);
        close_to((double)vjp[k], ((double)p.v[k] + v * (double)js[k]) / a, 1e-5);
    }
    destroy(&f);
}

/* Samples of the guided score of w = 1 over a Gaussian class are that class's: its mean and
 * variance. */
static void samples_guided_to_a_class_have_its_moments(void **state)
{
    (void)state;
    enum { COUNT = 2000 };
    static const char *const words[] = {"kind=classifier_free scale=1", "kind=classifier scale=1"};
    static float x[COUNT * D];
    for (int k = 0; k < 2; k++) {
        rig r;
        fixture f;
        assert_int_equal(make(&f, "vp", words[k], &(tw_labels){.one = 1}, 100), TW_OK);
        if (k == 1) f.c.labels.one = TW_NO_CLASS; /* the wrapped score is that of all classes */
        assert_int_equal(make_rig(&r, f.process, *tw_guided_view(f.guided), "kind=ode", 100, false),
                         TW_OK);
        assert_int_equal(tw_sampler_run(r.sampler, 0, COUNT, x), TW_OK);
        for (int d = 0; d < D; d++) { /* five standard errors */
            double mean, variance;
            const double std = two.std[1][d];
            moments(x, COUNT, D, d, &mean, &variance);
            close_to(mean, two.mean[1][d], 5 * std / sqrt(COUNT));
            close_to(variance, std * std, 5 * std * std * sqrt(2.0 / COUNT));
        }
        break_rig(&r);
        destroy(&f);
    }
}

static void what_does_not_go_together_is_refused_with_what_would(void **state)
{
    (void)state;
    static const struct {
        const char *words, *instead;
        tw_labels labels;
        bool unlabelled;
    } bad[] = {
        {"kind=classifier_free", "network.label_dropout", {.each = true}, false},
        {"kind=classifier_free", "sample.class = none", {.one = TW_NO_CLASS}, true},
        {"kind=classifier ", "sample.class = none", {.one = TW_NO_CLASS}, true},
        {"kind=classifier_free time_min=2 time_max=1", "guidance.time_max", {.each = true}, true},
        {"kind=energy", "prediction.kind = energy", {.each = true}, true},
    };
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        fixture f;
        tw_status st = make(&f, "vp", bad[k].words, &bad[k].labels, 4);
        if (!bad[k].unlabelled) { /* make's score knows all classes together */
            tw_guided_destroy(&f.guided);
            f.score.unlabelled = false;
            const tw_guidance_use use = {
                .score = &f.score, .process = f.process, .labels = f.c.labels, .batch = 4};
            st = tw_guided_create(&f.guided, &f.guidance, &use);
        }
        assert_int_equal(st, TW_ECONFIG);
        if (!strstr(tw_error_message(), bad[k].instead))
            fail_msg("'%s' does not say %s", tw_error_message(), bad[k].instead);
        destroy(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scale_0_is_the_score_of_all_classes_and_1_that_of_the_class),
        cmocka_unit_test(the_classifier_free_score_is_the_sum_that_it_says),
        cmocka_unit_test(rows_are_what_one_evaluation_asks_of_the_wrapped_score),
        cmocka_unit_test(classifier_guidance_by_the_exact_posterior_is_classifier_free_guidance),
        cmocka_unit_test(the_vector_jacobian_product_is_that_of_the_guided_score),
        cmocka_unit_test(the_denoised_estimate_is_tweedies_formula),
        cmocka_unit_test(samples_guided_to_a_class_have_its_moments),
        cmocka_unit_test(what_does_not_go_together_is_refused_with_what_would),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
