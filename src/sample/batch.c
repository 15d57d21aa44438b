/* What predictors and correctors do to a batch. */
#include <string.h>

#include "sample/sampler.h"

tw_status tw_batch_score(tw_batch *b, const float *x, double t)
{
    for (int64_t i = 0; i < b->n; i++) b->t[i] = t;
    *b->evaluations += b->n;
    return b->score->eval(b->score->self, b->n, x, b->t, b->index, b->s);
}

void tw_batch_noise(const tw_batch *b, float *z, tw_rng_purpose purpose, int64_t name)
{
    const tw_rng_stream stream = {.seed = b->seed, .purpose = purpose, .step = name};
    tw_rng_normal_rows(z, &stream, b->index, b->n, b->dims);
}

enum {
    PIECE = 1024
}; /* numbers of one sample that are updated at once: their noise stays in the first-level cache */

/* The step with its coefficients as floats. */
typedef struct coefficients {
    float x0_x, x0_s, x0, x, noise;
} coefficients;

/* x, s [n] and the noise of elements first … first + n − 1 of one sample. */
static void update(float *restrict x, const float *restrict s, const coefficients *c,
                   tw_bounds clip, const tw_rng_stream *noise, int64_t first, int64_t n)
{
    float z[PIECE];
    if (c->noise > 0)
        tw_rng_normal(z, noise, first, n);
    else
        memset(z, 0, (size_t)n * sizeof *z);
    for (int64_t i = 0; i < n; i++) {
        float x0 = c->x0_x * x[i] + c->x0_s * s[i];
        x0 = x0 < clip.low ? clip.low : x0;
        x0 = x0 > clip.high ? clip.high : x0;
        x[i] = c->x0 * x0 + c->x * x[i] + c->noise * z[i];
    }
}

void tw_batch_linear(tw_batch *b, const tw_point *at, const tw_linear_step *step)
{
    const int64_t pieces = (b->dims + PIECE - 1) / PIECE;
    const coefficients c = {.x0_x = (float)(1 / at->alpha),
                            .x0_s = (float)(at->sigma * at->sigma / at->alpha),
                            .x0 = (float)step->x0,
                            .x = (float)step->x,
                            .noise = (float)step->noise};
#pragma omp parallel for schedule(static) if (b->n * b->dims > 8192)
    for (int64_t piece = 0; piece < b->n * pieces; piece++) {
        const int64_t i = piece / pieces, first = piece % pieces * PIECE, k = i * b->dims + first;
        const tw_rng_stream noise = {.seed = b->seed,
                                     .purpose = TW_RNG_SAMPLER_NOISE,
                                     .position = b->index[i],
                                     .step = at->name};
        update(b->x + k, b->s + k, &c, b->clip, &noise, first,
               b->dims - first < PIECE ? b->dims - first : PIECE);
    }
}
