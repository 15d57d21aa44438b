/* Models of p(x | y): what the network is given beside a sample, and what is not done to it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>

#include "model/model_fixture.h"
#include "tweedie/objective.h"

enum { N = 6, NUMBERS = 8 * 8 * 3 };

#define DDPM "[process]\ntimesteps = 50\nbeta_min = 0.0001\nbeta_max = 0.02\n"

/* A linear layer with a constant over all that it is given: what the score of a Gaussian is. */
static tw_status any_shape(const void *config, tw_shape sample)
{
    (void)config, (void)sample;
    return TW_OK;
}

static tw_value *build_linear(tw_graph *g, const void *config, const tw_net_inputs *in)
{
    (void)config;
    if (!in->x) return NULL;
    tw_value *w = tw_param(g, "linear.weight",
                           TW_SHAPE(in->outputs, tw_shape_channels(in->x->shape)), tw_init_zeros),
             *b = tw_param(g, "linear.bias", TW_SHAPE(in->outputs), tw_init_zeros);
    return tw_linear(g, in->x, w, b);
}

static const tw_net linear = {
    .kind = {"linear", "", NULL, 0, 0}, .check = any_shape, .build = build_linear};

static tw_status try_model(tw_model **m, tw_config **config, const char *text, const tw_net *net,
                           tw_shape sample, int64_t condition, tw_objective_config *objective)
{
    tw_status st = TW_OK;
    TW_TRY(tw_config_create(config));
    TW_TRY(tw_config_parse(*config, text, (int64_t)strlen(text), "test"));
    TW_TRY(tw_model_configure(m, *config));
    if (objective) TW_TRY(tw_objective_bind(objective, *config));
    TW_TRY(tw_config_finish(*config));
    if (net) (*m)->net = net;
    (*m)->condition = condition;
    TW_TRY(tw_model_create(*m, sample, 1));
done:
    return st;
}

/* Away from where parameters begin, since last layers begin at zero. */
static tw_model *make_given(tw_config **config, const char *text, const tw_net *net,
                            tw_shape sample, int64_t condition, tw_objective_config *objective)
{
    tw_model *m = NULL;
    ok(try_model(&m, config, text, net, sample, condition, objective));
    float *move = malloc((size_t)m->params->size * sizeof *move);
    fill_normal(move, 99, m->params->size);
    for (int64_t k = 0; k < m->params->trainable; k++) m->params->value[k] += 0.1f * move[k];
    free(move);
    return m;
}

/* x | y ~ N(a y, v): x_t | y ~ N(α a y, α² v + σ²), whose score the network is set to at a time.
 * The same y enters unscaled where the prediction scales x (EDM's c_in). */
static void the_score_of_a_gaussian_given_y_is_the_closed_form(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "[network]\nkind = mlp\n[process]\nkind = vp\n",
        "[network]\nkind = mlp\n[process]\nkind = edm\n",
        "[network]\nkind = mlp\n[process]\nkind = vp\n[prediction]\nkind = v\n",
    };
    const double a = 1.5, v = 0.25;
    for (size_t c = 0; c < sizeof texts / sizeof *texts; c++) {
        tw_config *config = NULL;
        tw_model *m = make_given(&config, texts[c], &linear, TW_SHAPE(1), 1, NULL);
        tw_model_score *score = NULL;
        ok(tw_model_score_create(&score, m, 4, TW_PRECISION_F32, TW_CONVOLUTION_DIRECT));
        float *w = m->params->value + tw_params_find(m->params, "linear.weight")->offset,
              *b = m->params->value + tw_params_find(m->params, "linear.bias")->offset;
        for (int k = 1; k < 5; k++) {
            float x[N], y[3] = {-2, 0.5f, 1}, s[N];
            double t[N];
            int64_t index[N];
            const double at = 0.2 * k, alpha = tw_process_alpha(m->process, at),
                         sigma = tw_process_sigma(m->process, at);
            const double variance = alpha * alpha * v + sigma * sigma;
            const tw_model_view q = tw_model_view_at(m, at);
            /* score = score_x x + score_f F = (α a y − x) / variance */
            w[0] = (float)((-1 / variance - q.score_x) / q.score_f / q.input);
            w[1] = (float)(alpha * a / variance / q.score_f);
            b[0] = 0;
            for (int i = 0; i < N; i++) {
                t[i] = at;
                index[i] = 100 + i;
                x[i] = 0.7f * (float)i - 2;
            }
            tw_model_score_refresh(score);
            tw_model_score_give(score, &(tw_given){.y = y, .first = 100, .count = 3});
            const tw_score *view = tw_model_score_view(score);
            ok(view->eval(view->self, N, x, t, index, s));
            for (int i = 0; i < N; i++) {
                const double exact = (alpha * a * (double)y[i % 3] - (double)x[i]) / variance;
                assert_float_equal(s[i], exact, 1e-5 * (1 + fabs(exact)) / sigma);
            }
        }
        tw_model_score_destroy(&score);
        destroy_model(&m, &config);
    }
}

/* Row (index − first) mod count, below and above the rows; without rows y is zero. */
static void a_row_hangs_on_the_index_of_a_sample(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        tw_shape sample;
        int64_t condition;
    } cases[] = {{MLP DDPM, {.rank = 1, .dims = {3}}, 2},
                 {UNET DDPM, {.rank = 3, .dims = {8, 8, 2}}, 8 * 8 * 3},
                 {"[network]\nkind = ncsnpp\nbase = 8\nmult = 1, 2\nblocks = 1\nattention = 4\n"
                  "[process]\nkind = vp\n",
                  {.rank = 3, .dims = {8, 8, 2}},
                  8 * 8 * 3}};
    static float x[N * 128], s[N * 128], y[3 * NUMBERS];
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        tw_config *config = NULL;
        tw_model *m =
            make_given(&config, cases[c].text, NULL, cases[c].sample, cases[c].condition, NULL);
        tw_model_score *score = NULL;
        double t[N];
        int64_t index[N];
        const size_t bytes = (size_t)m->dims * sizeof *s;
        ok(tw_model_score_create(&score, m, 4, TW_PRECISION_F32, TW_CONVOLUTION_DIRECT));
        fill_normal(y, 1, 3 * m->condition);
        for (int i = 0; i < N; i++) {
            fill_normal(x + i * m->dims, 0, m->dims);
            t[i] = tw_process_is_discrete(m->process) ? 7 : 0.5;
            index[i] = 10 + i;
        }
        const tw_score *view = tw_model_score_view(score);
        tw_model_score_give(score, &(tw_given){.y = y, .first = 12, .count = 3});
        ok(view->eval(view->self, N, x, t, index, s));
        for (int i = 0; i < N; i++)
            for (int j = 0; j < i; j++)
                assert_true((memcmp(s + i * m->dims, s + j * m->dims, bytes) == 0) ==
                            (i % 3 == j % 3));
        float own[128];
        memcpy(own, s, bytes); /* sample 10 has row (10 − 12) mod 3 = 1 */
        tw_model_score_give(score, &(tw_given){.y = y + m->condition, .first = 0, .count = 1});
        ok(view->eval(view->self, N, x, t, index, s));
        assert_memory_equal(own, s, bytes);
        memset(y, 0, sizeof y);
        ok(view->eval(view->self, N, x, t, index, s));
        memcpy(own, s, bytes);
        tw_model_score_give(score, &(tw_given){0});
        ok(view->eval(view->self, N, x, t, index, s));
        assert_memory_equal(own, s, bytes);
        tw_model_score_destroy(&score);
        destroy_model(&m, &config);
    }
}

/* Squared loss of a linear network of (x_t, y) is least at the closed form, where its gradient
 * vanishes: of N points whose x_t, y and target are orthogonal enough to be told apart. */
static void training_differentiates_what_is_given(void **state)
{
    (void)state;
    enum { POINTS = 4096 };
    static float x0[POINTS], y[POINTS], z[POINTS];
    tw_config *config = NULL;
    tw_objective_config objective = {0};
    tw_model *m = make_given(&config, "[network]\nkind = mlp\n[process]\nkind = single\n", &linear,
                             TW_SHAPE(1), 1, &objective);
    tw_objective *o = NULL;
    ok(tw_params_use_gradient(m->params, NULL));
    ok(tw_objective_create(&o, m, &objective,
                           &(tw_objective_options){.batch = POINTS,
                                                   .global_batch = POINTS,
                                                   .precision = TW_PRECISION_F32,
                                                   .gradients = true}));
    fill_normal(y, 1, POINTS);
    fill_normal(z, 2, POINTS);
    for (int i = 0; i < POINTS; i++) x0[i] = 1.5f * y[i] + 0.5f * z[i];
    const tw_objective_step step = {
        .seed = 3, .count = POINTS, .weight = 1.0 / POINTS, .condition = y};
    float *w = m->params->value + tw_params_find(m->params, "linear.weight")->offset;
    const float *g = m->params->gradient + tw_params_find(m->params, "linear.weight")->offset;
    for (int k = 0; k < 400; k++) {
        tw_objective_refresh(o);
        tw_objective_run(o, &step, x0);
        w[0] -= 0.1f * g[0];
        w[1] -= 0.1f * g[1];
    }
    /* ε̂ = σ (x_t − α a y) / variance, which both weights have found: five deviations of the mean */
    const double alpha = tw_process_alpha(m->process, 0), sigma = tw_process_sigma(m->process, 0),
                 variance = alpha * alpha * 0.25 + sigma * sigma;
    double a, b;
    m->prediction->target(m->predicted.config, m->process, 0, &a, &b);
    const double slope = a * alpha * 0.25 / variance + b * sigma / variance, /* of x_t */
        shift = a * 1.5 - slope * alpha * 1.5;                               /* of y */
    assert_float_equal(w[0], slope, 0.08 * (1 + fabs(slope)));
    assert_float_equal(w[1], shift, 0.08 * (1 + fabs(shift)));
    tw_objective_destroy(&o);
    tw_objective_config_free(&objective);
    destroy_model(&m, &config);
}

/* Every objective of the table plans with a condition, second derivatives included, and its loss
 * depends on it. */
static void each_objective_takes_a_condition(void **state)
{
    (void)state;
    static const char *const texts[] = {
        MLP DDPM "[objective]\nkind = denoising\n",
        MLP DDPM "[objective]\nkind = variational\ndecoder = gaussian\n[prediction]\nvariance = "
                 "learned_range\n",
        MLP DDPM
        "[objective]\nkind = hybrid\ndecoder = gaussian\n[prediction]\nvariance = learned_range\n",
        MLP "[process]\nkind = single\n[objective]\nkind = exact\n[prediction]\nkind = score\n",
        MLP "[process]\nkind = single\n[objective]\nkind = sliced\n[prediction]\nkind = score\n",
        MLP "[process]\nkind = single\n[objective]\nkind = exact\n[prediction]\nkind = energy\n",
        MLP "[process]\nkind = single\n[objective]\nkind = denoising\n[prediction]\nkind = "
            "energy\n",
    };
    float x0[N * 2], y[N * 3], none[N * 3] = {0};
    fill_normal(x0, 0, N * 2);
    fill_normal(y, 1, N * 3);
    for (size_t c = 0; c < sizeof texts / sizeof *texts; c++) {
        tw_config *config = NULL;
        tw_objective_config objective = {0};
        tw_model *m = make_given(&config, texts[c], NULL, TW_SHAPE(2), 3, &objective);
        tw_objective *o = NULL;
        ok(tw_params_use_gradient(m->params, NULL));
        ok(tw_objective_create(
            &o, m, &objective,
            &(tw_objective_options){
                .batch = N, .global_batch = N, .precision = TW_PRECISION_F32, .gradients = true}));
        tw_objective_refresh(o);
        tw_objective_step step = {.seed = 3, .count = N - 1, .weight = 1, .condition = y};
        const double with = tw_objective_run(o, &step, x0);
        step.condition = none;
        const double without = tw_objective_run(o, &step, x0);
        assert_true(isfinite(with) && isfinite(without) && with != without);
        tw_objective_destroy(&o);
        tw_objective_config_free(&objective);
        destroy_model(&m, &config);
    }
}

/* vᵀ ∂s/∂x of a model that is given y: differences of the score in x, y held. */
static void derivatives_are_of_x_alone(void **state)
{
    (void)state;
    enum { D = 3 };
    static const char *const texts[] = {MLP "[process]\nkind = vp\n",
                                        MLP "[process]\nkind = vp\n[prediction]\nkind = energy\n"};
    for (size_t c = 0; c < 2; c++) {
        tw_config *config = NULL;
        tw_model *m = make_given(&config, texts[c], NULL, TW_SHAPE(D), 2, NULL);
        tw_model_score *score = NULL;
        float x[D], moved[D], v[D], s[D], more[D], less[D], product[D], y[2];
        double t = 0.6;
        int64_t index = 0;
        ok(tw_model_score_create(&score, m, 1, TW_PRECISION_F32, TW_CONVOLUTION_DIRECT));
        fill_normal(x, 0, D);
        fill_normal(v, 1, D);
        fill_normal(y, 2, 2);
        tw_model_score_give(score, &(tw_given){.y = y, .count = 1});
        const tw_score *view = tw_model_score_view(score);
        ok(view->vjp(view->self, 1, x, &t, &index, v, s, product));
        for (int k = 0; k < D; k++) {
            const float h = 1e-2f;
            double slope = 0;
            memcpy(moved, x, sizeof x);
            moved[k] = x[k] + h;
            ok(view->eval(view->self, 1, moved, &t, &index, more));
            moved[k] = x[k] - h;
            ok(view->eval(view->self, 1, moved, &t, &index, less));
            for (int i = 0; i < D; i++)
                slope += (double)v[i] * (double)(more[i] - less[i]) / (2 * (double)h);
            assert_float_equal(product[k], slope, 2e-3 * (1 + fabs(slope)));
        }
        tw_model_score_destroy(&score);
        destroy_model(&m, &config);
    }
}

static void a_condition_that_is_no_channels_of_what_is_seen_is_refused(void **state)
{
    (void)state;
    tw_config *config = NULL;
    tw_model *m = NULL;
    assert_int_equal(try_model(&m, &config,
                               "[network]\nkind = unet\nbase = 8\ngroups = 4\nmult = 1\nshape = "
                               "4, 4, 8\n" DDPM,
                               NULL, TW_SHAPE(8, 8, 2), 8 * 3, NULL),
                     TW_ECONFIG);
    assert_non_null(strstr(tw_error_message(), "which are no channels of the 16 pixels"));
    destroy_model(&m, &config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_score_of_a_gaussian_given_y_is_the_closed_form),
        cmocka_unit_test(a_row_hangs_on_the_index_of_a_sample),
        cmocka_unit_test(training_differentiates_what_is_given),
        cmocka_unit_test(each_objective_takes_a_condition),
        cmocka_unit_test(derivatives_are_of_x_alone),
        cmocka_unit_test(a_condition_that_is_no_channels_of_what_is_seen_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
