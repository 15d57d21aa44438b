/* Exact score matching (Hyvärinen 2005): J = Σ_n tr(∂s/∂x) + |s|²/2 of a small network takes
 * gradients of gradients; its own gradient with respect to the parameters takes a third derivative
 * of the activation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>

#include "tweedie/plan.h"

enum { N = 7, DIM = 2, HIDDEN = 5 };

/* s(x) = W2 f(W1 x + b1) + b2 */
static tw_value *network(tw_graph *g, tw_value *x, tw_activation_kind kind)
{
    const tw_init init = {.kind = TW_INIT_NORMAL, .std = 0.8};
    tw_value *w1 = tw_param(g, "w1", TW_SHAPE(HIDDEN, DIM), init),
             *b1 = tw_param(g, "b1", TW_SHAPE(HIDDEN), init);
    tw_value *w2 = tw_param(g, "w2", TW_SHAPE(DIM, HIDDEN), init),
             *b2 = tw_param(g, "b2", TW_SHAPE(DIM), init);
    return tw_linear(g, tw_activation(g, tw_linear(g, x, w1, b1), kind), w2, b2);
}

static tw_value *objective(tw_graph *g, tw_value *x, tw_value *s)
{
    const tw_shape scalar = {.rank = 0};
    tw_value *total = tw_sum_to(g, tw_affine(g, tw_mul(g, s, s), 0.5, 0), scalar);
    for (int i = 0; i < DIM; i++) {
        tw_value *row;
        tw_graph_gradient(g, tw_slice(g, s, i, 1), NULL, &x, 1, &row);
        total = tw_add(g, total, tw_sum_to(g, tw_slice(g, row, i, 1), scalar));
    }
    return total;
}

/* The same J for SiLU, from the closed form of the Jacobian: tr = Σ_k f'(h_k) Σ_i W2[i][k]
 * W1[k][i]. */
static double closed_form(const float *x, const float *w1, const float *b1, const float *w2,
                          const float *b2)
{
    double total = 0;
    for (int n = 0; n < N; n++) {
        double s[DIM] = {(double)b2[0], (double)b2[1]};
        for (int k = 0; k < HIDDEN; k++) {
            const double h = (double)w1[2 * k] * (double)x[2 * n] +
                             (double)w1[2 * k + 1] * (double)x[2 * n + 1] + (double)b1[k];
            const double sigma = 1 / (1 + exp(-h)), slope = sigma * (1 + h * (1 - sigma));
            for (int i = 0; i < DIM; i++) {
                s[i] += (double)w2[i * HIDDEN + k] * h * sigma;
                total += slope * (double)w2[i * HIDDEN + k] * (double)w1[DIM * k + i];
            }
        }
        total += 0.5 * (s[0] * s[0] + s[1] * s[1]);
    }
    return total;
}

typedef struct setting {
    tw_graph *g;
    tw_params *params;
    tw_plan *plan;
} setting;

static void set_up(setting *s, tw_activation_kind kind)
{
    const tw_plan_options options = {.precision = TW_PRECISION_F32, .poison = true};
    assert_int_equal(tw_graph_create(&s->g), TW_OK);
    tw_value *x = tw_input(s->g, "x", TW_F32, TW_SHAPE(N, DIM));
    tw_value *J = objective(s->g, x, network(s->g, x, kind));
    tw_graph_output(s->g, "J", J);
    tw_graph_gradient_of_params(s->g, J);
    if (tw_graph_status(s->g) != TW_OK) fail_msg("%s", tw_error_message());
    assert_int_equal(tw_params_create(&s->params, s->g), TW_OK);
    assert_int_equal(tw_params_use_gradient(s->params, NULL), TW_OK);
    (void)tw_params_initialise(s->params, 3);
    assert_int_equal(tw_plan_create(&s->plan, s->g, s->params, &options), TW_OK);
    float *data = tw_plan_input(s->plan, "x");
    for (int i = 0; i < N * DIM; i++) data[i] = (float)sin(1.0 + 2.3 * i);
}

static void tear_down(setting *s)
{
    tw_plan_destroy(&s->plan);
    tw_params_destroy(&s->params);
    tw_graph_destroy(&s->g);
}

static double evaluate(setting *s)
{
    const tw_plan_run run = {.training = true};
    tw_plan_refresh(s->plan);
    tw_plan_execute(s->plan, &run);
    return (double)*(const float *)tw_plan_output(s->plan, "J");
}

static float *values_of(setting *s, const char *name)
{
    return s->params->value + tw_params_find(s->params, name)->offset;
}

static void objective_is_its_closed_form(void **state)
{
    (void)state;
    setting s = {0};
    set_up(&s, TW_SILU);
    const double J = evaluate(&s);
    const double want = closed_form(tw_plan_input(s.plan, "x"), values_of(&s, "w1"),
                                    values_of(&s, "b1"), values_of(&s, "w2"), values_of(&s, "b2"));
    assert_true(fabs(J - want) < 1e-5 * (1 + fabs(want)));
    tear_down(&s);
}

static void its_gradient_is_its_slope_in_every_parameter(void **state)
{
    (void)state;
    static const tw_activation_kind smooth[] = {TW_SILU, TW_SOFTPLUS, TW_TANH, TW_SIGMOID};
    for (int k = 0; k < 4; k++) {
        setting s = {0};
        set_up(&s, smooth[k]);
        evaluate(&s);
        float gradient[64];
        assert_true(s.params->trainable <= 64);
        for (int64_t i = 0; i < s.params->trainable; i++) gradient[i] = s.params->gradient[i];
        for (int v = 0; v < s.params->view_count; v++)
            for (int64_t i = s.params->views[v].offset;
                 i < s.params->views[v].offset + s.params->views[v].count; i++) {
                const float x = s.params->value[i], h = 0x1p-5f;
                double J[4];
                for (int m = 0; m < 4; m++) {
                    s.params->value[i] = x + h * (float[]){-2, -1, 1, 2}[m];
                    J[m] = evaluate(&s);
                }
                s.params->value[i] = x;
                const double slope = (8 * (J[2] - J[1]) - (J[3] - J[0])) / (12 * (double)h);
                if (!(fabs(slope - (double)gradient[i]) <= 5e-4 * (1 + fabs(slope))))
                    fail_msg("activation %d, %s: slope %.6g, gradient %.6g", (int)smooth[k],
                             s.params->views[v].name, slope, (double)gradient[i]);
            }
        tear_down(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(objective_is_its_closed_form),
        cmocka_unit_test(its_gradient_is_its_slope_in_every_parameter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
