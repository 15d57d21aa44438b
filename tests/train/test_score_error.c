/* slow */
/* The score that each family of objectives learns of a mixture in the plane, against the exact one:
 * one table, error by noise level. Relative, √(E ‖s − s*‖² / E ‖s*‖²) over samples of p_t. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>

#include "exact_mixture.h"
#include "model/model_fixture.h"
#include "tweedie/objective.h"
#include "tweedie/optim.h"

enum { BATCH = 128, STEPS = 4000, POINTS = 2000, LEVELS = 4, DIMS = 2 };
static const double ratios[LEVELS] = {0.1, 0.3, 1, 3}; /* sigma / alpha */

/* What a family must be better than: scores in closed form that know less of the data (the numbers
 * are of 400,000 samples of p_t). At 0.3 and 1 the Gaussian of the data's mean and covariance,
 * which is off by 0.880 and 0.262. At 3 that Gaussian is almost exact (0.014), and what is met is
 * the noise of the gradient; there it is the score of the noise alone, −x / σ², which knows nothing
 * of the data and is off by 0.113. At 0.1 x0-prediction divides its error by σ², and nothing is
 * claimed. */
static const double worst[LEVELS] = {INFINITY, 0.880, 0.262, 0.113};

/* At 3 the score is A x with A = −I / q, q = σ² + the data's variance. There the gradient to A of
 * sliced score matching has mean 0, and in two dimensions the second moment E ‖v v' − x x' / q‖² =
 * 2 + 6 with v = ±1 and the variance reduced, E ‖v v' (I − x x' / q)‖² = 4 · 6 with Gaussian v and
 * without. Errors go with its root. */
static const double not_reduced = 1.7320508; /* √(24 / 8) */

#define NET "[network]\nkind = mlp\nwidth = 64\ndepth = 2\nactivation = softplus\ntime_dim = 32\n"
#define LADDER "[process]\nkind = ladder\nlevels = 12\nsigma_max = 5\nsigma_min = 0.1\n"
#define VE "[process]\nkind = ve\nsigma_max = 5\nsigma_min = 0.05\n"

static const struct {
    const char *name, *text;
} families[] = {
    {"ddpm, epsilon", NET "[process]\ntimesteps = 200\n"},
    {"ddpm, x0, min-SNR", NET "[process]\ntimesteps = 200\n[prediction]\nkind = x0\n[objective]\n"
                              "weighting = min_snr\n"},
    {"ddpm, v", NET "[process]\ntimesteps = 200\n[prediction]\nkind = v\n"},
    {"ddpm, hybrid", NET "[process]\ntimesteps = 200\n[prediction]\nvariance = learned_range\n"
                         "[objective]\nkind = hybrid\ndecoder = gaussian\n"},
    {"ddpm, bound, second moment",
     NET "[process]\ntimesteps = 200\n[prediction]\nvariance = learned_range\n[objective]\n"
         "kind = variational\ndecoder = gaussian\ntimes = second_moment\n"},
    {"ladder, annealed denoising", NET LADDER "[objective]\nweighting = ncsn\n"},
    {"ladder, exact", NET LADDER "[objective]\nkind = exact\nweighting = ncsn\n"},
    {"ladder, sliced", NET LADDER "[objective]\nkind = sliced\nvariance_reduced = no\n"
                                  "probe = gaussian\nweighting = ncsn\n"},
    {"ladder, sliced, reduced", NET LADDER "[objective]\nkind = sliced\nweighting = ncsn\n"},
    {"ve, energy", NET VE "[prediction]\nkind = energy\n[objective]\nweighting = score\n"},
    {"ve, score", NET VE "[objective]\nweighting = score\nstratified = yes\n"},
    {"vp, score", NET "[process]\nkind = vp\n[objective]\nweighting = score\n"},
    {"vp, likelihood", NET "[process]\nkind = vp\n[objective]\nweighting = likelihood\ntimes = "
                           "likelihood\n"},
    {"sub-vp, score", NET "[process]\nkind = subvp\n[objective]\nweighting = score\n"},
    {"edm", NET "[process]\nkind = edm\n[objective]\nweighting = edm\ntimes = lognormal\n"
                "log_mean = -0.5\n"},
    {"flow", NET "[process]\nkind = flow\n"},
};

static mixture data = {.modes = 3,
                       .dims = DIMS,
                       .weight = {0.5, 0.3, 0.2},
                       .mean = {{1.2, 0}, {-0.8, 0.9}, {-0.3, -1.1}},
                       .std = {{0.3, 0.2}, {0.2, 0.3}, {0.25, 0.25}}};

/* Sample i of the mixture. */
static void sample_data(int64_t i, float *x)
{
    double u;
    float z[DIMS];
    const tw_rng_stream s = {.seed = 11, .purpose = TW_RNG_DATA, .position = i};
    tw_rng_uniform_double(&u, &s, 0, 1);
    tw_rng_normal(z, &s, 4, DIMS);
    const int k = u < 0.5 ? 0 : u < 0.8 ? 1 : 2;
    for (int d = 0; d < DIMS; d++) x[d] = (float)(data.mean[k][d] + data.std[k][d] * (double)z[d]);
}

static void train(tw_model *m, tw_objective *objective)
{
    const int64_t n = m->params->trainable;
    float *moments = calloc((size_t)(2 * n), sizeof *moments), x0[BATCH * DIMS];
    const tw_adam adam = {0.9, 0.999, 1e-8, 0};
    for (int64_t k = 0; k < STEPS; k++) {
        const tw_objective_step step = {
            .seed = 3, .step = k, .count = BATCH, .weight = 1.0 / BATCH};
        const double *t, *loss;
        for (int64_t i = 0; i < BATCH; i++) sample_data(k * BATCH + i, x0 + i * DIMS);
        tw_objective_refresh(objective);
        tw_objective_run(objective, &step, x0);
        tw_objective_last(objective, &t, &loss);
        tw_objective_observe(objective, BATCH, t, loss);
        const double norm = sqrt(tw_optim_sum_squares(m->params->gradient, n)),
                     rate = 3e-3 * (1 - (double)k / STEPS);
        const tw_update update = {.k = k + 1,
                                  .learning_rate = rate,
                                  .gradient_scale = tw_optim_clip_scale(norm, 1),
                                  .n = n,
                                  .theta = m->params->value,
                                  .gradient = m->params->gradient,
                                  .array = {moments, moments + n}};
        tw_adam_update(&adam, &update);
    }
    free(moments);
}

static double error_at(tw_model *m, const tw_score *score, double ratio)
{
    static float x[POINTS * DIMS], s[POINTS * DIMS];
    static double t[POINTS];
    static int64_t index[POINTS];
    const double time = tw_process_time_at(m->process, ratio);
    const float a = (float)tw_process_alpha(m->process, time),
                b = (float)tw_process_sigma(m->process, time);
    double off = 0, size = 0;
    data.process = m->process;
    for (int64_t i = 0; i < POINTS; i++) {
        float z[DIMS];
        const tw_rng_stream noise = {.seed = 13, .purpose = TW_RNG_TEST, .position = i};
        sample_data((1 << 30) + i, x + i * DIMS);
        tw_rng_normal(z, &noise, 0, DIMS);
        for (int d = 0; d < DIMS; d++) x[i * DIMS + d] = a * x[i * DIMS + d] + b * z[d];
        t[i] = time;
    }
    ok(score->eval(score->self, POINTS, x, t, index, s));
    for (int64_t i = 0; i < POINTS; i++) {
        double exact[DIMS];
        mixture_at(&data, x + i * DIMS, time, exact, NULL, NULL);
        for (int d = 0; d < DIMS; d++) {
            off += pow((double)s[i * DIMS + d] - exact[d], 2);
            size += exact[d] * exact[d];
        }
    }
    return sqrt(off / size);
}

static void measure(size_t f, double *error)
{
    tw_config *config = NULL;
    tw_model *m = NULL;
    tw_objective_config oc = {0};
    tw_objective *objective = NULL;
    tw_model_score *score = NULL;
    const tw_objective_options options = {
        .batch = BATCH, .global_batch = BATCH, .precision = TW_PRECISION_F32, .gradients = true};
    ok(tw_config_create(&config));
    ok(tw_config_parse(config, families[f].text, (int64_t)strlen(families[f].text), "test"));
    ok(tw_model_configure(&m, config));
    ok(tw_objective_bind(&oc, config));
    ok(tw_config_finish(config));
    ok(tw_model_create(m, TW_SHAPE(DIMS), 1));
    ok(tw_params_use_gradient(m->params, NULL));
    ok(tw_objective_create(&objective, m, &oc, &options));
    train(m, objective);
    ok(tw_model_score_create(&score, m, 500, TW_PRECISION_F32, TW_CONVOLUTION_DIRECT));
    tw_model_score_refresh(score);
    for (int l = 0; l < LEVELS; l++) error[l] = error_at(m, tw_model_score_view(score), ratios[l]);
    tw_model_score_destroy(&score);
    tw_objective_destroy(&objective);
    tw_objective_config_free(&oc);
    tw_model_destroy(&m);
    tw_config_destroy(&config);
}

static void every_family_learns_the_score_of_a_mixture(void **state)
{
    bool good = true;
    (void)state;
    printf("%-28s", "relative error of the score");
    for (int l = 0; l < LEVELS; l++) printf("  sigma/alpha %-4g", ratios[l]);
    printf("\n");
    for (size_t f = 0; f < sizeof families / sizeof *families; f++) {
        double error[LEVELS];
        measure(f, error);
        printf("%-28s", families[f].name);
        for (int l = 0; l < LEVELS; l++) printf("  %-16.3f", error[l]);
        printf("\n");
        fflush(stdout);
        const bool reduced = !strstr(families[f].text, "variance_reduced = no");
        for (int l = 1; l < LEVELS; l++)
            good = good && error[l] <= worst[l] * (l == 3 && !reduced ? not_reduced : 1);
    }
    assert_true(good);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_family_learns_the_score_of_a_mixture),
    };
    omp_set_num_threads(1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
