/* The step that all linear predictors share. */
#include "sample/sampler.h"

#include <string.h>

tw_status tw_sampler_eval(tw_sampler_batch *b, double time)
{
    for (int64_t i = 0; i < b->n; i++) b->t[i] = time;
    return b->score->eval(b->score->self, b->n, b->x, b->t, b->index, b->s);
}

enum {
    PIECE = 1024
}; /* numbers of one sample that are updated at once: their noise stays in the first-level cache */

/* Bounds that a number beyond takes, and that a NaN passes: it must be seen. Infinite where nothing
 * is clipped. */
typedef struct bounds {
    float low, high;
} bounds;

/* x, s [n] and the noise of elements first … first + n − 1 of one sample. */
static void update(float *restrict x, const float *restrict s, const tw_sampler_step *step,
                   bounds clip, const tw_rng_stream *noise, int64_t first, int64_t n)
{
    float z[PIECE];
    const float x0_x = (float)step->x0_x, x0_score = (float)step->x0_score;
    const float a = (float)step->next_x0, b = (float)step->next_x, c = (float)step->next_noise;
    if (c > 0)
        tw_rng_normal(z, noise, first, n);
    else
        memset(z, 0, (size_t)n * sizeof *z);
    for (int64_t i = 0; i < n; i++) {
        float x0 = x0_x * x[i] + x0_score * s[i];
        x0 = x0 < clip.low ? clip.low : x0;
        x0 = x0 > clip.high ? clip.high : x0;
        x[i] = a * x0 + b * x[i] + c * z[i];
    }
}

tw_status tw_sampler_linear_step(const tw_sampler *sampler, tw_sampler_batch *b, int64_t k)
{
    tw_status st = TW_OK;
    const tw_sampler_step *step = &sampler->step[k];
    const tw_sampler_settings *settings = &sampler->settings;
    const bounds clip = {.low = settings->clip ? (float)settings->clip_min : -__builtin_inff(),
                         .high = settings->clip ? (float)settings->clip_max : __builtin_inff()};
    const int64_t pieces = (b->dims + PIECE - 1) / PIECE;
    TW_TRY(tw_sampler_eval(b, step->time));
#pragma omp parallel for schedule(static) if (b->n * b->dims > 8192)
    for (int64_t piece = 0; piece < b->n * pieces; piece++) {
        const int64_t i = piece / pieces, first = piece % pieces * PIECE, at = i * b->dims + first;
        const tw_rng_stream noise = {.seed = settings->seed,
                                     .purpose = TW_RNG_SAMPLER_NOISE,
                                     .position = b->index[i],
                                     .step = step->index};
        update(b->x + at, b->s + at, step, clip, &noise, first,
               b->dims - first < PIECE ? b->dims - first : PIECE);
    }
done:
    return st;
}
