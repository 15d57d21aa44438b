/* What predictors and correctors do to a batch. */
#include <math.h>
#include <string.h>

#include "sample/sampler.h"

/* Numbers of one sample that are updated at once: their noise stays in the first-level cache. */
enum { PIECE = 1024 };

tw_status tw_batch_score(tw_batch *b, const float *x, double t)
{
    for (int64_t i = 0; i < b->n; i++) b->t[i] = t;
    *b->evaluations += b->n;
    return b->score->eval(b->score->self, b->n, x, b->t, b->index, b->s);
}

tw_status tw_batch_clipped_score(tw_batch *b, const float *x, const tw_point *at)
{
    tw_status st = TW_OK;
    const float low = b->clip.low, high = b->clip.high;
    const double v = at->sigma * at->sigma;
    TW_TRY(tw_batch_score(b, x, at->t));
    if (isinf(low) && isinf(high)) goto done;
#pragma omp parallel for schedule(static) if (b->n * b->dims > 8192)
    for (int64_t k = 0; k < b->n * b->dims; k++) {
        const double x0 = ((double)x[k] + v * (double)b->s[k]) / at->alpha;
        if (x0 < (double)low) b->s[k] = (float)((at->alpha * (double)low - (double)x[k]) / v);
        if (x0 > (double)high) b->s[k] = (float)((at->alpha * (double)high - (double)x[k]) / v);
    }
done:
    return st;
}

tw_status tw_batch_energy(tw_batch *b, const float *x, double t, double *energy)
{
    for (int64_t i = 0; i < b->n; i++) b->t[i] = t;
    *b->evaluations += b->n;
    return b->score->eval_energy(b->score->self, b->n, x, b->t, b->index, b->s, energy);
}

void tw_batch_report(tw_batch *b, const char *name, double sum, double count)
{
    tw_sampler_numbers *r = b->numbers;
    int i = 0;
    while (i < r->found && strcmp(r->number[i].name, name) != 0) i++;
    if (i == TW_SAMPLER_NUMBERS) return;
    if (i == r->found) r->number[r->found++] = (tw_sampler_number){.name = name};
    r->number[i].sum += sum;
    r->number[i].count += count;
}

/* z of sample i of rows of columns, from the streams at 2 row and 2 row + 1. */
static void mix(const tw_batch *b, float *z, tw_rng_stream stream, int64_t i)
{
    float other[PIECE];
    const int64_t row = b->index[i] / b->columns, column = b->index[i] % b->columns;
    const double angle = M_PI_2 * (double)column / (double)(b->columns - 1);
    const float c = (float)cos(angle), s = (float)sin(angle);
    z += i * b->dims;
    for (int64_t first = 0; first < b->dims; first += PIECE) {
        const int64_t n = b->dims - first < PIECE ? b->dims - first : PIECE;
        stream.position = 2 * row;
        tw_rng_normal(z + first, &stream, first, n);
        stream.position = 2 * row + 1;
        tw_rng_normal(other, &stream, first, n);
        for (int64_t k = 0; k < n; k++) z[first + k] = c * z[first + k] + s * other[k];
    }
}

void tw_batch_noise(const tw_batch *b, float *z, tw_rng_purpose purpose, int64_t name)
{
    if (b->columns > 0) {
        const tw_rng_stream rows = {.seed = b->seed, .purpose = purpose, .step = name};
        for (int64_t i = 0; i < b->n; i++) mix(b, z, rows, i);
        return;
    }
    const tw_rng_stream stream = {.seed = b->seed, .purpose = purpose, .step = name};
    tw_rng_normal_rows(z, &stream, b->index, b->n, b->dims);
}

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
