/* Posterior samplers: exact ones are, on Gaussian random fields and on mixtures in the plane;
 * a sample depends on its measurement and its index alone; what does not go together is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exact_mixture.h"
#include "inverse/basis.h"
#include "inverse/posterior_table.h"

static const tw_extent small = {5, 3, 2, false};

static tw_process *make_process(const char *kind)
{
    tw_process *p = NULL;
    if (tw_process_make(&p, kind, 0, NULL) != TW_OK) fail_msg("%s", tw_error_message());
    return p;
}

static tw_grf *make_field(tw_extent e, double mean)
{
    tw_grf *g = NULL;
    double *power = numbers(e.height * e.width, 0);
    tw_grf_spectrum(power, e.height, e.width, 1, 1.5, 3);
    if (tw_grf_create(&g, &e, power, mean) != TW_OK) fail_msg("%s", tw_error_message());
    free(power);
    return g;
}

/* ---- the oracle ---- */

/* C_jk of a field is the mean of cosines over its modes; s = −(α² C + σ² I)⁻¹ (x − α mean). */
static void the_score_of_a_field_is_exact(void **state)
{
    (void)state;
    enum { N = 30 };
    tw_process *p = make_process("vp");
    tw_grf *g = make_field(small, 0.4);
    const tw_score score = tw_grf_score(g, p);
    double power[15], c[N * N] = {0}, *x = numbers(N, 3), r[N];
    float xf[N], s[N], v[N], jv[N];
    const double t = 0.37, alpha = tw_process_alpha(p, t), sigma = tw_process_sigma(p, t);
    tw_grf_spectrum(power, 5, 3, 1, 1.5, 3);
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            for (int m = 0; m < 15 && i % 2 == j % 2; m++)
                c[i * N + j] += alpha * alpha * power[m] / 15 *
                                cos(2 * M_PI *
                                    ((m / 3) * (i / 6 - j / 6) / 5.0 +
                                     (m % 3) * (i / 2 % 3 - j / 2 % 3) / 3.0));
            if (i == j) near_to(c[i * N + j], alpha * alpha, 1e-12, "variance");
            if (i == j) c[i * N + j] += sigma * sigma;
        }
    assert_int_equal(tw_cholesky(N, c), TW_OK);
    for (int i = 0; i < N; i++) {
        xf[i] = (float)x[i];
        v[i] = (float)(i == 7);
        r[i] = (double)xf[i] - alpha * 0.4;
    }
    const int64_t index = 0;
    assert_int_equal(score.vjp(score.self, 1, xf, &t, &index, v, s, jv), TW_OK);
    tw_cholesky_solve(N, c, r);
    for (int i = 0; i < N; i++) near_to((double)s[i], -r[i], 1e-5, "score");
    memset(r, 0, sizeof r);
    r[7] = 1;
    tw_cholesky_solve(N, c, r);
    for (int i = 0; i < N; i++) near_to((double)jv[i], -r[i], 1e-5, "vjp");
    free(x);
    tw_grf_destroy(&g);
    tw_process_destroy(&p);
}

/* Of y = x + σ n each mode is shrunk by power / (power + σ²); and the score at α = 1 and that σ
 * says the same by Tweedie's formula. */
static void the_exact_posterior_agrees_with_tweedies_formula(void **state)
{
    (void)state;
    enum { N = 30 };
    tw_process *p = make_process("ve");
    tw_grf *g = make_field(small, 0.4);
    tw_operator *a = make_operator(small, "denoise", 0, NULL);
    const tw_score score = tw_grf_score(g, p);
    const double t = 0.3, sigma = tw_process_sigma(p, t);
    double y[N], mean[N], covariance[N * N];
    float yf[N], s[N];
    const int64_t index = 0;
    tw_grf_sample(g, 1, 0, y);
    for (int i = 0; i < N; i++) yf[i] = (float)y[i];
    for (int i = 0; i < N; i++) y[i] = (double)yf[i];
    assert_int_equal(tw_grf_posterior(g, a, sigma, y, mean, covariance), TW_OK);
    assert_int_equal(score.eval(score.self, 1, yf, &t, &index, s), TW_OK);
    for (int i = 0; i < N; i++)
        near_to(mean[i], y[i] + sigma * sigma * (double)s[i], 1e-5, "posterior mean");
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++)
            near_to(covariance[i * N + j], covariance[j * N + i], 1e-12, "symmetry");
    tw_operator_destroy(&a);
    tw_grf_destroy(&g);
    tw_process_destroy(&p);
}

/* ---- exact methods ---- */

static void exact_methods_have_the_exact_posterior_of_a_field(void **state)
{
    (void)state;
    for (int m = 0; m < table_methods; m++) {
        if (!table_method_list[m].exact) continue;
        const against a =
            table_row(1, m, 2, 60, 0, false); /* few samples: 400 of the slow test have 2 % */
        assert_true(a.mean < 0.2);
        near_to(a.coverage, 0.9, 0.04, table_method_list[m].name);
    }
}

/* Of a white field x₀ given x_t is white, which is all that this method assumes. */
static void pigdm_is_exact_for_a_white_field(void **state)
{
    (void)state;
    int pigdm = 0;
    while (strcmp(table_method_list[pigdm].name, "pigdm") != 0) pigdm++;
    for (int task = 0; task < 2; task++) {
        const against a = table_row(task, pigdm, 0, 400, 0, true);
        assert_true(a.mean < 0.1);
        assert_true(a.covariance < 0.1);
        near_to(a.coverage, 0.9, 0.02, table_task_list[task].name);
    }
}

/* Weights undo what the proposal has wrong, the more the more particles there are. */
static void the_error_of_a_particle_filter_falls_with_its_particles(void **state)
{
    (void)state;
    double error[2];
    for (int k = 0; k < 2; k++) {
        char words[256];
        snprintf(words, sizeof words,
                 "task.kind=inpaint task.half=left task.noise=0.5 restore.method=smc "
                 "restore.particles=%d sample.steps=40 sample.spacing=logsnr",
                 k ? 16 : 1);
        const against a = table_compare(words, 2, 100, 3);
        error[k] = a.mean;
    }
    assert_true(error[1] < 0.5 * error[0]);
}

/* ---- toys in the plane ---- */

/* The exact posterior of two round modes under y = A x + noise: each mode is a Gaussian again, with
 * the weight of its evidence N(y; A m, s² AAᵀ + noise² I). m <= 2 numbers are measured. */
typedef struct toy {
    double weight, mean[2]; /* of the upper mode, and its mean */
} toy;

static toy exact_toy(const tw_operator *a, const double at[2][2], double std, double noise,
                     const double *y)
{
    double column[2][2], evidence[2], mean[2][2];
    const int64_t m = a->outputs;
    for (int j = 0; j < 2; j++) tw_operator_forward(a, (const double[]){j == 0, j == 1}, column[j]);
    for (int k = 0; k < 2; k++) {
        double g[4] = {0}, r[2] = {0}, u[2], square = 0, half_log = 0;
        for (int64_t i = 0; i < m; i++) {
            r[i] = y[i];
            for (int j = 0; j < 2; j++) r[i] -= column[j][i] * at[k][j];
            for (int64_t l = 0; l < m; l++)
                g[i * m + l] =
                    (i == l) * noise * noise +
                    std * std * (column[0][i] * column[0][l] + column[1][i] * column[1][l]);
        }
        memcpy(u, r, sizeof u);
        assert_int_equal(tw_cholesky(m, g), TW_OK);
        tw_cholesky_solve(m, g, u);
        for (int64_t i = 0; i < m; i++) {
            square += r[i] * u[i];
            half_log += log(g[i * m + i]);
        }
        evidence[k] = exp(-square / 2 - half_log);
        for (int j = 0; j < 2; j++) {
            mean[k][j] = at[k][j];
            for (int64_t i = 0; i < m; i++) mean[k][j] += std * std * column[j][i] * u[i];
        }
    }
    return (toy){evidence[1] / (evidence[0] + evidence[1]), {mean[1][0], mean[1][1]}};
}

static void a_mixture_in_the_plane_keeps_its_weights(void **state)
{
    (void)state;
    enum { N = 200 };
    static const char *const tasks[] = {"task.kind=inpaint task.coordinates=0",
                                        "task.kind=denoise task.noise=1.2",
                                        "task.kind=compressed task.fraction=0.5 task.seed=2"};
    const double at[2][2] = {{-0.4, -1}, {0.4, 1}}, std = 0.3;
    const tw_extent point = {1, 1, 2, true};
    static const char *const methods[] = {
        "restore.method=gibbs restore.rho_max=5 restore.rho_min=0.1 restore.sweeps=40 "
        "restore.inner=6 sample.kind=stochastic_heun",
        "restore.method=smc restore.particles=32 sample.steps=60 sample.spacing=logsnr"};
    for (int t = 0; t < 6; t++) {
        tw_process *p = make_process("vp");
        mixture m = {.modes = 2, .dims = 2, .weight = {0.5, 0.5}, .process = p};
        for (int k = 0; k < 4; k++) {
            m.mean[k / 2][k % 2] = at[k / 2][k % 2];
            m.std[k / 2][k % 2] = std;
        }
        rig r;
        float x[2 * N];
        char words[512];
        double y[2] = {0.15, 0.2}, upper = 0, mean[2] = {0};
        snprintf(words, sizeof words, "task.noise=0.5 %s %s", tasks[t % 3], methods[t / 3]);
        if (make_rig(&r, p, mixture_score(&m), point, words, N, 100) != TW_OK ||
            tw_posterior_run(r.posterior, 0, 1, y, x) != TW_OK)
            fail_msg("%s: %s", words, tw_error_message());
        const toy wanted = exact_toy(r.a, at, std, r.settings.noise, y);
        for (int i = 0; i < N; i++) {
            if (!(x[2 * i] * 0.4f + x[2 * i + 1] > 0)) continue;
            upper++;
            for (int d = 0; d < 2; d++) mean[d] += (double)x[2 * i + d];
        }
        assert_true(wanted.weight > 0.5 && wanted.weight < 0.95);
        near_to(upper / N, wanted.weight, 0.1, words);
        for (int d = 0; d < 2; d++) near_to(mean[d] / upper, wanted.mean[d], 0.08, words);
        break_rig(&r);
        tw_process_destroy(&p);
    }
}

/* ---- every method ---- */

/* Short versions: what is claimed here does not depend on how well they do. */
static const char *const all_methods[] = {
    "restore.method=moments sample.steps=8 restore.iterations=3",
    "restore.method=pigdm sample.steps=8",
    "restore.method=dps sample.steps=8",
    "restore.method=mcg sample.steps=8",
    "restore.method=sde sample.steps=8",
    "restore.method=replacement sample.steps=8",
    "restore.method=repaint sample.steps=8 restore.jump=3 restore.resample=2",
    "restore.method=ddrm sample.steps=8",
    "restore.method=ddnm sample.steps=8",
    "restore.method=langevin sample.steps=6 sample.corrector_steps=2",
    "restore.method=gibbs restore.sweeps=3 restore.stay=1 restore.inner=4",
    "restore.method=smc sample.steps=6 restore.particles=3",
};
enum { METHODS = sizeof all_methods / sizeof *all_methods };

static const char *const all_tasks[] = {
    "task.kind=inpaint task.half=top",
    "task.kind=denoise",
    "task.kind=deblur",
    "task.kind=deblur task.border=zero",
    "task.kind=compressed task.fraction=0.4",
};
enum { TASKS = sizeof all_tasks / sizeof *all_tasks };

static void a_sample_depends_on_its_measurement_and_index_alone(void **state)
{
    (void)state;
    enum { ROWS = 4, PER = 3, N = 30 };
    tw_process *p = make_process("vp");
    tw_grf *g = make_field(small, 0);
    for (int k = 0; k < METHODS * TASKS; k++) {
        rig r;
        char words[512];
        snprintf(words, sizeof words, "%s %s task.noise=%s", all_tasks[k % TASKS],
                 all_methods[k / TASKS], k % 2 || k / TASKS == METHODS - 1 ? "0.3" : "0");
        if (make_rig(&r, p, tw_grf_score(g, p), small, words, PER, 5) != TW_OK)
            fail_msg("%s: %s", words, tw_error_message());
        float whole[ROWS * PER * N], part[2 * PER * N];
        double *y = numbers(ROWS * r.a->outputs, 4);
        if (tw_posterior_run(r.posterior, 0, ROWS, y, whole) != TW_OK ||
            tw_posterior_run(r.posterior, 1, 2, y + r.a->outputs, part) != TW_OK)
            fail_msg("%s: %s", words, tw_error_message());
        for (int i = 0; i < 2 * PER * N; i++)
            if (!isfinite(part[i])) fail_msg("%s: not finite", words);
        if (memcmp(part, whole + PER * N, sizeof part) != 0) fail_msg("%s: differs", words);
        if (k % TASKS == 0 && memcmp(whole, whole + N, N * sizeof *whole) == 0)
            fail_msg("%s: all the same", words);
        free(y);
        break_rig(&r);
    }
    tw_grf_destroy(&g);
    tw_process_destroy(&p);
}

/* Methods that keep to a measurement without noise do so to rounding. */
static void what_is_measured_without_noise_is_in_the_samples(void **state)
{
    (void)state;
    enum { N = 30 };
    static const int keeping[] = {3, 5, 6, 7, 8};
    tw_process *p = make_process("vp");
    tw_grf *g = make_field(small, 0);
    for (size_t k = 0; k < sizeof keeping / sizeof *keeping; k++) {
        rig r;
        char words[512];
        float x[2 * N];
        double *y = numbers(N, 9), xd[N], ax[N];
        snprintf(words, sizeof words, "task.kind=inpaint task.half=left %s",
                 all_methods[keeping[k]]);
        if (make_rig(&r, p, tw_grf_score(g, p), small, words, 2, 2) != TW_OK ||
            tw_posterior_run(r.posterior, 0, 1, y, x) != TW_OK)
            fail_msg("%s: %s", words, tw_error_message());
        for (int i = 0; i < N; i++) xd[i] = (double)x[i];
        tw_operator_forward(r.a, xd, ax);
        for (int i = 0; i < N; i++)
            if (r.a->measured[i] > 0) near_to(ax[i], y[i], 1e-5, words);
        free(y);
        break_rig(&r);
    }
    tw_grf_destroy(&g);
    tw_process_destroy(&p);
}

/* ---- refusals and identity ---- */

static void refused(const char *words, bool derivative, const char *word)
{
    rig r;
    tw_process *p = make_process("vp");
    tw_grf *g = make_field(small, 0);
    tw_score score = tw_grf_score(g, p);
    if (!derivative) score.vjp = NULL;
    assert_int_equal(make_rig(&r, p, score, small, words, 2, 4), TW_ECONFIG);
    if (!strstr(tw_error_message(), word))
        fail_msg("%s: no '%s' in: %s", words, word, tw_error_message());
    break_rig(&r);
    tw_grf_destroy(&g);
    tw_process_destroy(&p);
}

static void what_does_not_go_together_is_refused(void **state)
{
    (void)state;
    refused("restore.method=dps", false, "differentiates the score");
    refused("restore.method=replacement sample.kind=ode", true, "grid of times");
    refused("restore.method=ddrm sample.kind=annealed_langevin", true, "takes a predictor");
    refused("restore.method=gibbs restore.rho_max=0.01", true, "restore.rho_min");
    refused("restore.method=sde restore.weight=0", true, "task.noise");
    refused("restore.method=smc", true, "task.noise");
    refused("restore.method=none", true, "restore.method");
    refused("task.kind=superres", true, "task.factor");
}

static void task_noise_and_method_identify_a_sample_set(void **state)
{
    (void)state;
    static const char *const words[] = {"task.kind=deblur restore.method=ddrm",
                                        "task.kind=deblur task.width=3 restore.method=ddrm",
                                        "task.kind=deblur task.noise=0.1 restore.method=ddrm",
                                        "task.kind=deblur restore.method=ddrm restore.eta=0.5",
                                        "task.kind=deblur restore.method=ddnm",
                                        "task.kind=deblur restore.method=ddrm task.seed=4"};
    enum { COUNT = sizeof words / sizeof *words };
    tw_text text[COUNT] = {{0}};
    tw_process *p = make_process("vp");
    tw_grf *g = make_field(small, 0);
    for (int i = 0; i < COUNT; i++) {
        rig r;
        if (make_rig(&r, p, tw_grf_score(g, p), small, words[i], 2, 4) != TW_OK)
            fail_msg("%s", tw_error_message());
        assert_int_equal(tw_posterior_describe(&text[i], r.posterior), TW_OK);
        for (int j = 0; j < i; j++) assert_string_not_equal(text[i].data, text[j].data);
        break_rig(&r);
    }
    for (int i = 0; i < COUNT; i++) tw_text_free(&text[i]);
    tw_grf_destroy(&g);
    tw_process_destroy(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_score_of_a_field_is_exact),
        cmocka_unit_test(the_exact_posterior_agrees_with_tweedies_formula),
        cmocka_unit_test(exact_methods_have_the_exact_posterior_of_a_field),
        cmocka_unit_test(the_error_of_a_particle_filter_falls_with_its_particles),
        cmocka_unit_test(pigdm_is_exact_for_a_white_field),
        cmocka_unit_test(a_mixture_in_the_plane_keeps_its_weights),
        cmocka_unit_test(a_sample_depends_on_its_measurement_and_index_alone),
        cmocka_unit_test(what_is_measured_without_noise_is_in_the_samples),
        cmocka_unit_test(what_does_not_go_together_is_refused),
        cmocka_unit_test(task_noise_and_method_identify_a_sample_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
