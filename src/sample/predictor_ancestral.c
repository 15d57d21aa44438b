/* Ancestral sampling: x_s from the posterior q(x_s | x_t, x_0) with x_0 from Tweedie's formula. Of
 * DDPM (Ho, Jain, Abbeel 2020, algorithm 2 and equation 7), of NCSN's ladder (Song et al. 2021,
 * equation 47), and of every linear Gaussian process at any spacing:
 *
 *   x̂_0 = (x_t + σ_t² s) / α_t, clipped;   x_s = c1 x̂_0 + c2 x_t + √v z   (tw_bridge)
 *
 * v = σ_ts² (fixedlarge, β of DDPM: optimal for x_0 ~ N(0, I)), the posterior's own (fixedsmall,
 * β̃: for one point), or learned between the two (Nichol and Dhariwal 2021, equation 15): with the
 * network's u in [−1, 1], of each number,
 *
 *   log v = (u + 1)/2 log σ_ts² + (1 − u)/2 log β̃
 *
 * The last step has no noise. */
#include <math.h>
#include <stddef.h>

#include "sample/sampler.h"

typedef struct ancestral_config {
    int variance;
} ancestral_config;

enum { AUTO, FIXED_LARGE, FIXED_SMALL, LEARNED };

static const tw_config_field fields[] = {
    {NULL, "variance", TW_CONFIG_CHOICE, offsetof(ancestral_config, variance), "auto",
     .choices = "auto|fixedlarge|fixedsmall|learned",
     .help = "variance of a step: of the forward step, of the posterior, or learned between them; "
             "auto: learned where the model has it, else as published, fixedsmall where alpha = 1 "
             "and fixedlarge elsewhere"},
};

static tw_status check(const void *config, const tw_part_use *use)
{
    tw_status st = TW_OK;
    TW_CHECK(((const ancestral_config *)config)->variance != LEARNED || use->score->eval_variance,
             TW_ECONFIG,
             "sample.variance: the model has learned no variances; take fixedlarge or fixedsmall");
done:
    return st;
}

enum { PIECE = 1024 };

/* x += √v z of elements first … first + n − 1 of sample i; u their place between the variances. */
static void add_noise(const tw_batch *b, const tw_point *at, const tw_bridge *q, const float *u,
                      int64_t i, int64_t first, int64_t n)
{
    const tw_rng_stream stream = {.seed = b->seed,
                                  .purpose = TW_RNG_SAMPLER_NOISE,
                                  .position = b->index[i],
                                  .step = at->name};
    const float large = (float)log(q->sigma), small = (float)log(q->std);
    float z[PIECE], *x = b->x + i * b->dims + first;
    u += i * b->dims + first;
    tw_rng_normal(z, &stream, first, n);
    for (int64_t k = 0; k < n; k++)
        x[k] += expf(0.5f * ((u[k] + 1) * large + (1 - u[k]) * small)) * z[k];
}

/* With the variance that the model has learned, in scratch. */
static tw_status learned_step(const tw_point *from, const tw_point *to, const tw_bridge *q,
                              tw_batch *b)
{
    tw_status st = TW_OK;
    const tw_linear_step mean = {.x0 = q->x0, .x = q->xt};
    const int64_t pieces = (b->dims + PIECE - 1) / PIECE;
    float *u = b->scratch[0];
    for (int64_t i = 0; i < b->n; i++) b->t[i] = from->t;
    *b->evaluations += b->n;
    TW_TRY(b->score->eval_variance(b->score->self, b->n, b->x, b->t, b->index, b->s, u));
    tw_batch_linear(b, from, &mean);
    if (to->data) goto done;
#pragma omp parallel for schedule(static) if (b->n * b->dims > 8192)
    for (int64_t piece = 0; piece < b->n * pieces; piece++) {
        const int64_t first = piece % pieces * PIECE, left = b->dims - first;
        add_noise(b, from, q, u, piece / pieces, first, left < PIECE ? left : PIECE);
    }
done:
    return st;
}

/* Published are β for DDPM and the posterior's variance for SMLD. */
static bool takes_small(const ancestral_config *c, const tw_point *from)
{
    return c->variance == FIXED_SMALL || (c->variance == AUTO && from->alpha == 1);
}

static tw_status step(const void *config, const tw_times_grid *grid, int64_t k, tw_batch *b)
{
    tw_status st = TW_OK;
    const ancestral_config *c = config;
    const tw_point *from = &grid->point[k], *to = &grid->point[k + 1];
    const tw_bridge q = tw_bridge_between(to->alpha, to->sigma, from->alpha, from->sigma);
    if (c->variance == LEARNED || (c->variance == AUTO && b->score->eval_variance))
        return learned_step(from, to, &q, b);
    const tw_linear_step s = {
        .x0 = q.x0,
        .x = q.xt,
        .noise = to->data               ? 0
                 : takes_small(c, from) ? q.std
                                        : q.sigma,
    };
    TW_TRY(tw_batch_score(b, b->x, from->t));
    tw_batch_linear(b, from, &s);
done:
    return st;
}

const tw_predictor tw_predictor_ancestral = {
    .kind = {"ancestral", "ancestral sampling", fields, sizeof fields / sizeof *fields,
             sizeof(ancestral_config)},
    .check = check,
    .scratch = 1,
    .step = step,
};
