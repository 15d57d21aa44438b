/* Stochastic Runge-Kutta methods for additive noise (Rößler 2010, "Runge-Kutta methods for the
 * strong approximation of solutions of stochastic differential equations", section 6.3: SRA1, SRA3)
 * on the reverse SDE. From t to s, h = t − s, with the increment W and I = ∫ w dτ of Brownian
 * motion over the step,
 *
 *   W = √h z_1,   I / h = √h (z_1 + z_2 / √3) / 2
 *   H_i = x_t + h Σ_j A_ij a(H_j, t − c_j h) + (I / h) Σ_j B_ij g(t − d_j h)
 *   x_s = x_t + h Σ_i α_i a(H_i, t − c_i h) + g(s) W + (g(t) − g(s)) I / h
 *
 * the last line being β_1 = (1, 0, …), β_2 = (−1, 1, …), d = (1, 0, …) of both schemes. Strong
 * order 1.5, weak order 2; SRA3 is of order 3 where there is no noise. z_1 and z_2 are the streams
 * 2 name and 2 name + 1 of the step. */
#include <math.h>
#include <stddef.h>

#include "sample/sde.h"

enum { SRA1, SRA3, STAGES_MAX = 3 };

typedef struct srk_config {
    int scheme;
} srk_config;

static const tw_config_field fields[] = {
    {NULL, "scheme", TW_CONFIG_CHOICE, offsetof(srk_config, scheme), "sra1", .choices = "sra1|sra3",
     .help = "two or three evaluations a step"},
};

/* b[i][0] multiplies g(s), b[i][1] g(t): d = (1, 0). */
typedef struct tableau {
    int stages;
    double c[STAGES_MAX], a[STAGES_MAX][STAGES_MAX], b[STAGES_MAX][2], alpha[STAGES_MAX];
} tableau;

static const tableau tableaus[] = {
    [SRA1] = {2, {0, 0.75}, {{0}, {0.75}}, {{0}, {1.5, 0}}, {1.0 / 3, 2.0 / 3}},
    [SRA3] = {3,
              {0, 1, 0.5},
              {{0}, {1}, {0.25, 0.25}},
              {{0}, {0}, {1, 0.5}},
              {1.0 / 6, 1.0 / 6, 2.0 / 3}},
};

static tw_status check(const void *config, const tw_part_use *use)
{
    (void)config;
    return sde_check("srk", use);
}

/* out = x + h Σ weight_j k_j + w z_1 + i z_2 */
static void combine(const tw_batch *b, int stages, const double *weight, double h, double w,
                    double i, float *out)
{
    const float *z1 = b->scratch[STAGES_MAX], *z2 = b->scratch[STAGES_MAX + 1];
    for (int64_t e = 0; e < b->n * b->dims; e++) {
        double sum = 0;
        for (int j = 0; j < stages; j++) sum += weight[j] * (double)b->scratch[j][e];
        out[e] = (float)((double)b->x[e] + h * sum + w * (double)z1[e] + i * (double)z2[e]);
    }
}

static tw_status step(const void *config, const tw_times_grid *grid, int64_t k, tw_batch *b)
{
    tw_status st = TW_OK;
    const tableau *m = &tableaus[((const srk_config *)config)->scheme];
    const tw_point *from = &grid->point[k], *to = &grid->point[k + 1];
    float *stage = b->scratch[STAGES_MAX + 2];
    if (to->data) return sde_denoise(from, b);
    const double h = from->t - to->t, gt = sde_diffusion(b, from->t), gs = sde_diffusion(b, to->t),
                 i1 = 0.5 * sqrt(h), i2 = i1 / sqrt(3); /* I / h = i1 z_1 + i2 z_2 */
    tw_batch_noise(b, b->scratch[STAGES_MAX], TW_RNG_SAMPLER_NOISE, 2 * from->name);
    tw_batch_noise(b, b->scratch[STAGES_MAX + 1], TW_RNG_SAMPLER_NOISE, 2 * from->name + 1);
    for (int i = 0; i < m->stages; i++) {
        const double g = m->b[i][0] * gs + m->b[i][1] * gt;
        combine(b, i, m->a[i], h, g * i1, g * i2, stage);
        TW_TRY(sde_drift(b, stage, from->t - m->c[i] * h, false, b->scratch[i]));
    }
    combine(b, m->stages, m->alpha, h, gs * sqrt(h) + (gt - gs) * i1, (gt - gs) * i2, b->x);
done:
    return st;
}

const tw_predictor tw_predictor_srk = {
    .kind = {"srk", "stochastic Runge-Kutta on the reverse SDE", fields,
             sizeof fields / sizeof *fields, sizeof(srk_config)},
    .check = check,
    .scratch = STAGES_MAX + 3,
    .steps = 500,
    .step = step,
};
