/* Problems of group normalisation, what must come out of them by slow loops in double, and the two
 * fused operations set up for them. */
#ifndef TESTS_OPS_NORM_PROBLEMS_H
#define TESTS_OPS_NORM_PROBLEMS_H

#include <math.h>
#include <stdlib.h>

#include "ops/norm.h"
#include "ops/reference.h"
#include "ops/single.h"
#include "tweedie/rng.h"

typedef struct problem {
    int rank;
    int64_t x[TW_RANK_MAX]; /* N, spatial…, C */
    int64_t groups;
    bool embedding, activation, add, rows; /* rows: gamma and beta of each image */
    double rate;
    double offset; /* added to x */
} problem;

static const problem problems[] = {
    {.rank = 4, .x = {2, 5, 7, 32}, .groups = 8, .activation = true},
    {.rank = 4, .x = {1, 1, 1, 1}, .groups = 1, .activation = true},
    {.rank = 4,
     .x = {3, 3, 3, 35},
     .groups = 7,
     .embedding = true,
     .activation = true,
     .rate = 0.3,
     .add = true},
    {.rank = 4, .x = {2, 4, 4, 21}, .groups = 7, .activation = true, .add = true},
    {.rank = 4,
     .x = {1, 9, 5, 33},
     .groups = 3,
     .embedding = true,
     .activation = true,
     .rate = 0.1,
     .add = true},
    {.rank = 3, .x = {2, 37, 6}, .groups = 2, .embedding = true},
    {.rank = 2, .x = {5, 24}, .groups = 4, .activation = true},
    {.rank = 5, .x = {1, 3, 5, 7, 3}, .groups = 3, .rate = 0.5},
    {.rank = 4,
     .x = {2, 32, 32, 64},
     .groups = 32,
     .embedding = true,
     .activation = true,
     .rate = 0.1},
    {.rank = 3,
     .x = {1, 2, 8208},
     .groups = 3,
     .embedding = true,
     .activation = true,
     .rate = 0.2,
     .add = true},
    {.rank = 4, .x = {1, 40, 17, 35}, .groups = 5, .activation = true, .rate = 0.2},
    {.rank = 4, .x = {9, 4, 4, 64}, .groups = 64, .activation = true, .offset = 3},
    {.rank = 4, .x = {3, 5, 7, 36}, .groups = 4, .activation = true, .rate = 0.2, .rows = true},
    {.rank = 4, .x = {2, 4, 4, 13}, .groups = 13, .embedding = true, .rows = true},
    {.rank = 3, .x = {16, 6, 32}, .groups = 32, .activation = true, .add = true, .rows = true},
};
enum { PROBLEMS = sizeof problems / sizeof *problems };

static const tw_run training = {.seed = 77, .step = 5, .position = 40, .training = true};

/* ---- everything about one problem, in double ---- */

typedef struct numbers {
    int64_t n, p, c;
    int64_t affine;                                          /* numbers of gamma: c, or n c */
    double *x, *gamma, *beta, *t, *gy, *add;                 /* given */
    double *y, *stats, *gx, *ggamma, *gbeta, *gt, *mask, *u; /* computed */
    double scale; /* largest r γ g: what cancels in gx */
} numbers;

static inline double *draw(int which, int64_t n, double scale, double shift, tw_dtype type)
{
    double *v = calloc((size_t)n + 1, sizeof *v);
    for (int64_t i = 0; i < n; i++) {
        const float f = (float)(shift + scale * (double)noise(which, i));
        v[i] = (double)(type == TW_DTYPE_BF16 ? tw_from_bf16(tw_to_bf16(f)) : f);
    }
    return v;
}

static inline numbers numbers_of(const problem *k, tw_dtype act)
{
    numbers s = {.n = k->x[0], .p = 1, .c = k->x[k->rank - 1]};
    for (int d = 1; d < k->rank - 1; d++) s.p *= k->x[d];
    s.affine = k->rows ? s.n * s.c : s.c;
    const int64_t all = s.n * s.p * s.c;
    s.x = draw(1, all, 2, k->offset, act);
    s.gamma = draw(3, s.affine, 1, 0, TW_DTYPE_F32);
    s.beta = draw(4, s.affine, 1, 0, TW_DTYPE_F32);
    s.t = draw(5, s.n * s.c, k->embedding ? 1 : 0, 0, act);
    s.gy = draw(6, all, 1, 0, act);
    s.add = draw(7, all, k->add ? 1 : 0, 0, act);
    s.mask = draw(0, all, 0, 1, TW_DTYPE_F32);
    s.y = calloc((size_t)all, sizeof *s.y);
    s.u = calloc((size_t)all, sizeof *s.u);
    s.stats = calloc((size_t)(s.n * k->groups * 2), sizeof *s.stats);
    s.gx = calloc((size_t)all, sizeof *s.gx);
    s.ggamma = calloc((size_t)s.affine, sizeof *s.ggamma);
    s.gbeta = calloc((size_t)s.affine, sizeof *s.gbeta);
    s.gt = calloc((size_t)(s.n * s.c), sizeof *s.gt);
    return s;
}

static inline void numbers_free(numbers *s)
{
    double *all[] = {s->x,     s->gamma, s->beta, s->t,      s->gy,    s->add, s->y,
                     s->stats, s->gx,    s->u,    s->ggamma, s->gbeta, s->gt,  s->mask};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
}

/* Where gamma and beta of an image's channel lie. */
static inline int64_t affine(const numbers *s, int64_t n, int64_t c)
{
    return s->affine == s->c ? c : n * s->c + c;
}

static inline double at(const numbers *s, int64_t n, int64_t p, int64_t c)
{
    return s->x[(n * s->p + p) * s->c + c] + s->t[n * s->c + c];
}

static inline void draw_mask(numbers *s, const problem *k, int layer)
{
    const int64_t size = s->p * s->c;
    uint8_t *bytes = malloc((size_t)size);
    const int threshold = tw_rng_dropout_threshold(k->rate);
    for (int64_t n = 0; n < s->n; n++) {
        const tw_rng_stream stream = {.seed = training.seed,
                                      .purpose = TW_RNG_DROPOUT,
                                      .position = training.position + n,
                                      .step = training.step};
        tw_rng_bytes(bytes, &stream, layer, 0, size);
        for (int64_t i = 0; i < size; i++)
            s->mask[n * size + i] = bytes[i] < threshold ? 0 : 256.0 / (256 - threshold);
    }
    free(bytes);
}

static inline void forward(numbers *s, const problem *k, double eps)
{
    const int64_t size = s->c / k->groups;
    for (int64_t n = 0; n < s->n; n++)
        for (int64_t g = 0; g < k->groups; g++) {
            double mean = 0, variance = 0;
            for (int64_t p = 0; p < s->p; p++)
                for (int64_t c = g * size; c < (g + 1) * size; c++) mean += at(s, n, p, c);
            mean /= (double)(s->p * size);
            for (int64_t p = 0; p < s->p; p++)
                for (int64_t c = g * size; c < (g + 1) * size; c++)
                    variance += pow(at(s, n, p, c) - mean, 2);
            const double r = 1 / sqrt(variance / (double)(s->p * size) + eps);
            s->stats[2 * (n * k->groups + g)] = mean;
            s->stats[2 * (n * k->groups + g) + 1] = r;
            for (int64_t p = 0; p < s->p; p++)
                for (int64_t c = g * size; c < (g + 1) * size; c++) {
                    const int64_t i = (n * s->p + p) * s->c + c;
                    const double u = s->gamma[affine(s, n, c)] * r * (at(s, n, p, c) - mean) +
                                     s->beta[affine(s, n, c)];
                    s->u[i] = u;
                    s->y[i] = s->mask[i] * (k->activation ? u / (1 + exp(-u)) : u);
                }
        }
}

static inline double slope(const numbers *s, const problem *k, int64_t i)
{
    const double sigma = 1 / (1 + exp(-s->u[i]));
    return s->gy[i] * s->mask[i] * (k->activation ? sigma + s->u[i] * sigma * (1 - sigma) : 1);
}

/* The formula that norm.h derives, term by term and without its per-channel sums. */
static inline void backward(numbers *s, const problem *k)
{
    const int64_t size = s->c / k->groups;
    for (int64_t n = 0; n < s->n; n++)
        for (int64_t g = 0; g < k->groups; g++) {
            const double mean = s->stats[2 * (n * k->groups + g)],
                         r = s->stats[2 * (n * k->groups + g) + 1];
            const double m = (double)(s->p * size);
            double a1 = 0, a2 = 0;
            for (int64_t p = 0; p < s->p; p++)
                for (int64_t c = g * size; c < (g + 1) * size; c++) {
                    const double d = slope(s, k, (n * s->p + p) * s->c + c),
                                 hat = r * (at(s, n, p, c) - mean);
                    const double gamma = s->gamma[affine(s, n, c)];
                    s->ggamma[affine(s, n, c)] += d * hat;
                    s->gbeta[affine(s, n, c)] += d;
                    a1 += gamma * d / m;
                    a2 += gamma * d * hat / m;
                }
            for (int64_t p = 0; p < s->p; p++)
                for (int64_t c = g * size; c < (g + 1) * size; c++) {
                    const int64_t i = (n * s->p + p) * s->c + c;
                    const double d = slope(s, k, i), hat = r * (at(s, n, p, c) - mean);
                    const double gamma = s->gamma[affine(s, n, c)];
                    const double gx = r * (gamma * d - a1 - hat * a2);
                    s->scale = fmax(s->scale, fabs(r * gamma * d));
                    s->gt[n * s->c + c] += gx;
                    s->gx[i] = gx + s->add[i];
                }
        }
}

/* ---- the operations under test ---- */

static const double epsilon = 1e-5;
enum { LAYER = 3 };

typedef struct pair {
    tw_graph *g;
    single forward, backward;
} pair;

static inline void give(single *s, int i, const double *v)
{
    const int64_t n = tw_shape_count(s->task.node->in[i]->shape);
    float *f = malloc((size_t)n * sizeof *f);
    for (int64_t j = 0; j < n; j++) f[j] = (float)v[j];
    single_set(s, i, f);
    free(f);
}

static inline float *take(const single *s, int k)
{
    float *f = malloc((size_t)tw_shape_count(s->task.node->out[k].shape) * sizeof *f);
    single_get(s, k, f);
    return f;
}

static inline tw_attr attributes(const problem *k)
{
    return (tw_attr){.i = {k->groups, k->activation, LAYER}, .f = {epsilon, k->rate}};
}

static inline pair pair_of(const problem *k, const numbers *s, tw_dtype act)
{
    pair q = {.g = new_graph()};
    const tw_shape x = tw_shape_make(k->x, k->rank);
    const tw_attr a = attributes(k);
    const tw_shape affine = k->rows ? TW_SHAPE(s->n, s->c) : TW_SHAPE(s->c);
    tw_value *in[7] = {tw_input(q.g, "x", TW_ACT, x), tw_input(q.g, "gamma", TW_F32, affine),
                       tw_input(q.g, "beta", TW_F32, affine)};
    tw_value *t = k->embedding ? tw_input(q.g, "t", TW_ACT, TW_SHAPE(s->n, s->c)) : NULL;
    in[3] = t;
    tw_value *out = tw_emit_optional(q.g, &tw_op_norm_act, in, 4, 1u << 3, &a);
    in[3] = tw_output_of(out, 1);
    in[4] = tw_input(q.g, "gy", TW_ACT, x);
    in[5] = t;
    in[6] = k->add ? tw_input(q.g, "add", TW_ACT, x) : NULL;
    tw_value *gx = tw_emit_optional(q.g, &tw_op_norm_act_grad, in, 7, 3u << 5, &a);
    assert_int_equal(tw_graph_status(q.g), TW_OK);
    single_create(&q.forward, out, act, 0);
    single_create(&q.backward, gx, act, 0);
    const double *f[] = {s->x, s->gamma, s->beta, s->t},
                 *b[] = {s->x, s->gamma, s->beta, NULL, s->gy, s->t, s->add};
    for (int i = 0; i < 4; i++)
        if (q.forward.task.in[i]) give(&q.forward, i, f[i]);
    for (int i = 0; i < 7; i++)
        if (q.backward.task.in[i] && b[i]) give(&q.backward, i, b[i]);
    return q;
}

static inline void pair_run(pair *q, const tw_run *run)
{
    single_run(&q->forward, run);
    float *stats = take(&q->forward, 1);
    single_set(&q->backward, 3, stats);
    free(stats);
    single_run(&q->backward, run);
}

static inline void pair_destroy(pair *q)
{
    single_destroy(&q->forward);
    single_destroy(&q->backward);
    tw_graph_destroy(&q->g);
}

/* ---- comparison ---- */

/* Deviations are measured against the largest of the wanted numbers or `size`, since sums over a
 * group mix small and large ones. */
static inline void compare_scaled(const char *what, const single *s, int k, const double *want,
                                  double tolerance, double size)
{
    const int64_t n = tw_shape_count(s->task.node->out[k].shape);
    float *got = take(s, k);
    for (int64_t i = 0; i < n; i++) size = fmax(size, fabs(want[i]));
    for (int64_t i = 0; i < n; i++)
        if (!(fabs((double)got[i] - want[i]) <= tolerance * size))
            fail_msg("%s of %s (%s): element %lld is %.9g, wanted %.9g", what, s->task.op->name,
                     s->task.implementation, (long long)i, (double)got[i], want[i]);
    free(got);
}

static inline void compare(const char *what, const single *s, int k, const double *want,
                           double tolerance)
{
    compare_scaled(what, s, k, want, tolerance, 1e-3);
}

static inline void compare_all(const pair *q, const numbers *s, double forward_tolerance,
                               double gradient_tolerance)
{
    compare("y", &q->forward, 0, s->y, forward_tolerance);
    compare("stats", &q->forward, 1, s->stats, 1e-6);
    compare_scaled("gx", &q->backward, 0, s->gx, gradient_tolerance, s->scale);
    const double sums_tolerance = gradient_tolerance < 1e-5
                                      ? gradient_tolerance
                                      : 1e-3; /* from numbers that are not rounded to bf16 */
    compare("ggamma", &q->backward, 1, s->ggamma, sums_tolerance);
    compare("gbeta", &q->backward, 2, s->gbeta, sums_tolerance);
    compare_scaled("gembedding", &q->backward, 3, s->gt, gradient_tolerance, s->scale);
}

#endif
