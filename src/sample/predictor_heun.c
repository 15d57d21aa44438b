/* Heun's method in the noise level, with churn (Karras et al. 2022, algorithm 2). With y = x / α
 * and r = σ / α every process becomes dy/dr = (y − D(x, t)) / r, D the denoised sample:
 *
 *   r̂ = r (1 + γ),  ŷ = y + √(r̂² − r²) S_noise z,   γ = min(S_churn / N, √2 − 1) in [S_min, S_max]
 *   d = (ŷ − D̂) / r̂,  y' = ŷ + (r' − r̂) d;   unless r' = 0:  y' = ŷ + (r' − r̂) (d + d') / 2
 *
 * Two evaluations a step, one in the last. Without churn it is deterministic. */
#include <math.h>
#include <stddef.h>

#include "sample/sampler.h"

typedef struct heun_config {
    double churn, low, high, noise;
} heun_config;

static const tw_config_field fields[] = {
    {NULL, "s_churn", TW_CONFIG_DOUBLE, offsetof(heun_config, churn), "0", 0, 1e6,
     .help = "noise added during sampling; 0: none"},
    {NULL, "s_min", TW_CONFIG_DOUBLE, offsetof(heun_config, low), "0", 0, 1e30,
     .help = "smallest noise level with churn"},
    {NULL, "s_max", TW_CONFIG_DOUBLE, offsetof(heun_config, high), "1e30", 0, 1e30,
     .help = "largest noise level with churn"},
    {NULL, "s_noise", TW_CONFIG_DOUBLE, offsetof(heun_config, noise), "1", 0, 10,
     .help = "standard deviation of the noise that churn adds"},
};

static double ratio(const tw_point *p)
{
    return p->sigma / p->alpha;
}

/* Where the step begins: at the point, or with more noise. */
static tw_point churned(const heun_config *c, const tw_times_grid *grid, const tw_point *from,
                        const tw_process *p)
{
    const double r = ratio(from);
    if (c->churn <= 0 || r < c->low || r > c->high) return *from;
    const double gamma = fmin(c->churn / (double)grid->steps, M_SQRT2 - 1);
    tw_point hat = tw_point_at(p, tw_process_time_at(p, r * (1 + gamma)));
    if (ratio(&hat) <= r) return *from; /* the process ends there, or has no index between */
    hat.name = from->name;
    return hat;
}

static float clipped(const tw_batch *b, double v)
{
    const float x = (float)v;
    return x < b->clip.low ? b->clip.low : x > b->clip.high ? b->clip.high : x;
}

/* d = (y − D) / r at x, from the score in b->s. */
static void slopes(const tw_batch *b, const tw_point *at, const float *x, float *d)
{
    for (int64_t k = 0; k < b->n * b->dims; k++) {
        const double denoised =
            ((double)x[k] + at->sigma * at->sigma * (double)b->s[k]) / at->alpha;
        d[k] = (float)(((double)x[k] / at->alpha - (double)clipped(b, denoised)) / ratio(at));
    }
}

static void add_noise(const heun_config *c, tw_batch *b, const tw_point *from, const tw_point *hat,
                      float *z)
{
    const double r = ratio(from), more = ratio(hat);
    const double size = c->noise * sqrt(more * more - r * r);
    tw_batch_noise(b, z, TW_RNG_SAMPLER_NOISE, from->name);
    for (int64_t k = 0; k < b->n * b->dims; k++)
        b->x[k] = (float)(hat->alpha * ((double)b->x[k] / from->alpha + size * (double)z[k]));
}

static tw_status step(const void *config, const tw_times_grid *grid, int64_t k, tw_batch *b)
{
    tw_status st = TW_OK;
    const heun_config *c = config;
    const tw_point *from = &grid->point[k], *to = &grid->point[k + 1];
    const tw_point hat = churned(c, grid, from, b->process);
    const double h = ratio(to) - ratio(&hat);
    float *start = b->scratch[0], *d = b->scratch[1], *d2 = b->scratch[2];
    const int64_t n = b->n * b->dims;
    if (hat.t != from->t) add_noise(c, b, from, &hat, d);
    TW_TRY(tw_batch_score(b, b->x, hat.t));
    slopes(b, &hat, b->x, d);
    for (int64_t i = 0; i < n; i++) {
        start[i] = (float)((double)b->x[i] / hat.alpha);
        b->x[i] = (float)(to->alpha * ((double)start[i] + h * (double)d[i]));
    }
    if (to->data) return TW_OK;
    TW_TRY(tw_batch_score(b, b->x, to->t));
    slopes(b, to, b->x, d2);
    for (int64_t i = 0; i < n; i++)
        b->x[i] =
            (float)(to->alpha * ((double)start[i] + 0.5 * h * ((double)d[i] + (double)d2[i])));
done:
    return st;
}

const tw_predictor tw_predictor_heun = {
    .kind = {"heun", "Heun's method with churn (EDM)", fields, sizeof fields / sizeof *fields,
             sizeof(heun_config)},
    .scratch = 3,
    .steps = 18,
    .spacing = "karras",
    .step = step,
};
