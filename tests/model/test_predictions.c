/* Every prediction with every process: what it says of data, noise and score is true where its
 * output is what it should be, and the published forms are met. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "model/model_fixture.h"

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

/* ---- a network behind each preconditioning ---- */

enum { POINTS = 5, DIMS = 2 };
static const double levels[POINTS] = {0.03, 0.2, 0.9, 4, 60};

/* c_skip, c_out, c_in, c_noise of table 1. */
typedef void table(double s, double c[4]);

static void of_edm(double s, double c[4])
{
    const double sum = s * s + 0.25;
    c[0] = 0.25 / sum, c[1] = 0.5 * s / sqrt(sum), c[2] = 1 / sqrt(sum), c[3] = log(s) / 4;
}

static void of_vp(double s, double c[4])
{
    const double t = (sqrt(0.01 + 2 * 19.9 * log(1 + s * s)) - 0.1) / 19.9;
    c[0] = 1, c[1] = -s, c[2] = 1 / sqrt(s * s + 1), c[3] = 999 * t;
}

static void of_ve(double s, double c[4])
{
    c[0] = 1, c[1] = s, c[2] = 1, c[3] = log(s / 2);
}

static void of_iddpm(double s, double c[4])
{
    enum { M = 1000 };
    double u = 0, best = 1e300;
    c[0] = 1, c[1] = -s, c[2] = 1 / sqrt(s * s + 1);
    for (int j = M; j >= 0; j--) { /* u is u_j */
        if (fabs(u - s) < best) best = fabs(u - s), c[3] = M - 1 - j;
        const double one = sin(M_PI_2 * j / M / 1.008), less = sin(M_PI_2 * (j - 1) / M / 1.008);
        if (j) u = sqrt((u * u + 1) / fmax(less * less / (one * one), 0.001) - 1);
    }
}

/* F at c_in x and c_noise, which are given to the network's own graph by hand. */
static void network_alone(tw_model *m, table *of, const float *x, float *f)
{
    tw_graph *g = NULL;
    tw_plan *plan = NULL;
    ok(tw_graph_create(&g));
    tw_graph_output(g, "f", tw_model_build(g, m, POINTS, NULL).net);
    ok(tw_plan_create(&plan, g, m->params, &(tw_plan_options){.precision = TW_PRECISION_F32}));
    float *in = tw_plan_input(plan, "x"), *t = tw_plan_input(plan, "t");
    for (int i = 0; i < POINTS; i++) {
        double c[4];
        of(levels[i], c);
        t[i] = (float)c[3];
        for (int k = 0; k < DIMS; k++) in[i * DIMS + k] = (float)(c[2] * (double)x[i * DIMS + k]);
    }
    tw_plan_refresh(plan);
    tw_plan_execute(plan, &(tw_plan_run){0});
    memcpy(f, tw_plan_output(plan, "f"), POINTS * DIMS * sizeof *f);
    tw_plan_destroy(&plan);
    tw_graph_destroy(&g);
}

/* D = c_skip x + c_out F(c_in x; c_noise), and the score (D − x) / σ². */
static void denoisers_are_the_published_forms_of_the_network(void **state)
{
    static const struct {
        const char *name;
        table *of;
    } kinds[] = {{"edm", of_edm}, {"edm_vp", of_vp}, {"edm_ve", of_ve}, {"edm_iddpm", of_iddpm}};
    (void)state;
    for (int k = 0; k < 4; k++) {
        char text[256];
        float x[POINTS * DIMS], f[POINTS * DIMS], d[POINTS * DIMS], score[POINTS * DIMS];
        const int64_t index[POINTS] = {0};
        tw_config *config = NULL;
        tw_model_score *s = NULL;
        snprintf(text, sizeof text, MLP "[process]\nkind = edm\n[prediction]\nkind = %s\n",
                 kinds[k].name);
        tw_model *m = make_model(&config, text, TW_SHAPE(DIMS));
        for (int i = 0; i < POINTS; i++) {
            fill_normal(x + i * DIMS, i, DIMS);
            for (int j = 0; j < DIMS; j++) x[i * DIMS + j] *= (float)sqrt(0.25 + pow(levels[i], 2));
        }
        network_alone(m, kinds[k].of, x, f);
        ok(tw_model_score_create(&s, m, POINTS, TW_PRECISION_F32, TW_CONVOLUTION_DIRECT));
        tw_model_score_refresh(s);
        ok(tw_model_score_quantity(s, TW_MODEL_X0, POINTS, x, levels, index, d));
        const tw_score *view = tw_model_score_view(s);
        ok(view->eval(view->self, POINTS, x, levels, index, score));
        for (int i = 0; i < POINTS * DIMS; i++) {
            double c[4];
            const double sigma = levels[i / DIMS], y = (double)x[i];
            kinds[k].of(sigma, c);
            const double want = c[0] * y + c[1] * (double)f[i],
                         size = fabs(c[0] * y) + fabs(c[1] * (double)f[i]);
            close_to(kinds[k].name, (double)d[i], want, 1e-6 * size);
            close_to(kinds[k].name, (double)score[i] * sigma * sigma, want - y,
                     2e-6 * (size + fabs(y)));
        }
        tw_model_score_destroy(&s);
        destroy_model(&m, &config);
    }
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
        cmocka_unit_test(denoisers_are_the_published_forms_of_the_network),
        cmocka_unit_test(edm_vp_is_epsilon_of_the_process_vp),
        cmocka_unit_test(edm_iddpm_is_told_the_nearest_index_of_the_published_levels),
        cmocka_unit_test(the_velocity_of_straight_paths_is_noise_minus_data),
        cmocka_unit_test(the_score_of_a_noise_prediction_is_the_noise_over_minus_sigma),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
