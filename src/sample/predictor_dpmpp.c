/* DPM-Solver++ (Lu et al. 2022b): multistep methods in λ = ln(α / σ) for the denoised sample m.
 * From s to t, h = λ_t − λ_s, with the m of up to two earlier times:
 *
 *   x_t = (σ_t / σ_s) x − α_t (e^{−h} − 1) m_0                                          order 1
 *         − α_t (e^{−h} − 1) ½ D1,  D1 = (m_0 − m_1) / r_0,  r_0 = h_0 / h              order 2
 *         + α_t ((e^{−h} − 1) / h + 1) D1 − 2 α_t ((e^{−h} − 1 + h) / h² − ½) D2        order 3
 *
 * D2 is half of h² m'': the integral of its term has the factor 2 that published code leaves out,
 * which costs it an order.
 *
 * and as an SDE, of orders 1 and 2, with factors e^{−h} and 1 − e^{−2h} and noise σ_t √(1 −
 * e^{−2h}) z. The first steps, and the one to the data, where h is infinite, are of lower order.
 * One evaluation a step. */
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "sample/sampler.h"

typedef struct dpmpp_config {
    int64_t order;
    bool sde;
} dpmpp_config;

static const tw_config_field fields[] = {
    {NULL, "order", TW_CONFIG_INT64, offsetof(dpmpp_config, order), "2", 1, 3,
     .help = "order of the multistep method"},
    {NULL, "sde", TW_CONFIG_BOOL, offsetof(dpmpp_config, sde), "no",
     .help = "solve the SDE instead of the ODE; orders 1 and 2"},
};

static tw_status check(const void *config, const tw_part_use *use)
{
    const dpmpp_config *c = config;
    (void)use;
    if (!c->sde || c->order < 3) return TW_OK;
    return tw_error_set(TW_ECONFIG, "sample.order: 3 is of the ODE; sample.sde goes with 1 and 2");
}

/* x ← a x + Σ m_k weight[k] + noise z. */
typedef struct weights {
    double x, m[3], noise;
} weights;

static double lambda(const tw_point *p)
{
    return log(p->alpha / p->sigma);
}

static weights of_step(const dpmpp_config *c, const tw_times_grid *grid, int64_t k)
{
    const tw_point *p = &grid->point[k], *to = p + 1;
    if (to->data) return (weights){.m = {1}};
    const int64_t order = c->order < k + 1 ? c->order : k + 1;
    const double h = lambda(to) - lambda(p), e = expm1(-h);
    const double first = c->sde ? -to->alpha * expm1(-2 * h) : -to->alpha * e;
    weights w = {.x = to->sigma / p->sigma * (c->sde ? exp(-h) : 1),
                 .m = {first},
                 .noise = c->sde ? to->sigma * sqrt(-expm1(-2 * h)) : 0};
    if (order == 1) return w;
    const double r0 = (lambda(p) - lambda(p - 1)) / h;
    if (order == 2) {
        w.m[0] += 0.5 * first / r0;
        w.m[1] -= 0.5 * first / r0;
        return w;
    }
    const double r1 = (lambda(p - 1) - lambda(p - 2)) / h;
    const double of_d1 = to->alpha * (e / h + 1),
                 of_d2 = -2 * to->alpha * ((e + h) / (h * h) - 0.5);
    /* D1 = A + r0 / (r0 + r1) (A − B), D2 = (A − B) / (r0 + r1); A = (m0 − m1) / r0, B = (m1 − m2)
     * / r1 */
    const double of_a = of_d1 * (1 + r0 / (r0 + r1)) + of_d2 / (r0 + r1),
                 of_b = -of_d1 * r0 / (r0 + r1) - of_d2 / (r0 + r1);
    w.m[0] += of_a / r0;
    w.m[1] += -of_a / r0 + of_b / r1;
    w.m[2] -= of_b / r1;
    return w;
}

/* m_0 into the oldest array of the three, which turn. */
static void denoise(const tw_batch *b, const tw_point *at, float *m)
{
    for (int64_t i = 0; i < b->n * b->dims; i++) {
        const float v =
            (float)(((double)b->x[i] + at->sigma * at->sigma * (double)b->s[i]) / at->alpha);
        m[i] = v < b->clip.low ? b->clip.low : v > b->clip.high ? b->clip.high : v;
    }
}

static tw_status step(const void *config, const tw_times_grid *grid, int64_t k, tw_batch *b)
{
    tw_status st = TW_OK;
    const weights w = of_step(config, grid, k);
    float *const m0 = b->scratch[k % 3], *const m1 = b->scratch[(k + 2) % 3],
                 *const m2 = b->scratch[(k + 1) % 3], *z = b->scratch[3];
    TW_TRY(tw_batch_score(b, b->x, grid->point[k].t));
    denoise(b, &grid->point[k], m0);
    if (w.noise > 0) tw_batch_noise(b, z, TW_RNG_SAMPLER_NOISE, grid->point[k].name);
    for (int64_t i = 0; i < b->n * b->dims; i++) {
        double v = w.x * (double)b->x[i] + w.m[0] * (double)m0[i];
        if (w.m[1] != 0) v += w.m[1] * (double)m1[i];
        if (w.m[2] != 0) v += w.m[2] * (double)m2[i];
        if (w.noise > 0) v += w.noise * (double)z[i];
        b->x[i] = (float)v;
    }
done:
    return st;
}

const tw_predictor tw_predictor_dpmpp = {
    .kind = {"dpmpp", "DPM-Solver++, multistep", fields, sizeof fields / sizeof *fields,
             sizeof(dpmpp_config)},
    .check = check,
    .scratch = 4,
    .steps = 25,
    .spacing = "logsnr",
    .step = step,
};
