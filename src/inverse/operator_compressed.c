/* Compressed sensing: a fraction of all numbers is measured, m = fraction · D, as points.
 *
 *   random    A [m][D], A_ij ~ N(0, 1 / D): row i of the stream (task.seed, TW_RNG_OPERATOR, i)
 *   fourier   modes of each channel's unitary Fourier transform, real and imaginary parts, pairs
 *             whole; V is that basis, s 1 where a mode was measured
 *   dct       the same of the cosine transform
 *
 * Which modes: the mean, then others in a random order that the seed gives. */
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "inverse/basis.h"
#include "inverse/operator.h"
#include "tweedie/memory.h"
#include "tweedie/rng.h"

extern const tw_operator_kind tw_operator_compressed;

enum { RANDOM, FOURIER, DCT };

typedef struct compressed_config {
    double fraction;
    int transform;
} compressed_config;

static const tw_config_field fields[] = {
    {NULL, "fraction", TW_CONFIG_DOUBLE, offsetof(compressed_config, fraction), "0.2",
     TW_CONFIG_ABOVE_ZERO, 1, .help = "measurements for each number of a sample"},
    {NULL, "transform", TW_CONFIG_CHOICE, offsetof(compressed_config, transform), "random",
     .choices = "random|fourier|dct", .help = "what is measured: random projections, or modes"},
};

typedef struct sensing {
    double *matrix; /* random: [m][D] */
    tw_fourier *fourier;
    tw_complex *modes;    /* [H][W] */
    double *rows, *cols;  /* dct: [H][H], [W][W] */
    double *half, *image; /* [H][W], [dims] */
    int64_t *measured;    /* [m]: coefficients, ascending */
} sensing;

static int transform_of(const tw_operator *a)
{
    return ((const compressed_config *)a->config)->transform;
}

static void release(tw_operator *a)
{
    sensing *s = a->own;
    tw_free(&s->matrix);
    tw_fourier_destroy(&s->fourier);
    tw_free(&s->modes);
    tw_free(&s->rows);
    tw_free(&s->cols);
    tw_free(&s->half);
    tw_free(&s->image);
    tw_free(&s->measured);
}

static tw_status make_matrix(const tw_operator *a, sensing *s, int64_t m)
{
    tw_status st = TW_OK;
    int64_t all;
    float *row = NULL;
    TW_TRY(tw_multiply(&all, m, a->dims, "random projections"));
    TW_TRY(tw_alloc(&s->matrix, all, sizeof *s->matrix, "random projections"));
    TW_TRY(tw_alloc(&row, a->dims, sizeof *row, "a random projection"));
    for (int64_t i = 0; i < m; i++) {
        const tw_rng_stream stream = {.seed = a->seed, .purpose = TW_RNG_OPERATOR, .position = i};
        tw_rng_normal(row, &stream, 0, a->dims);
        for (int64_t j = 0; j < a->dims; j++)
            s->matrix[i * a->dims + j] = (double)row[j] / sqrt((double)a->dims);
    }
done:
    tw_free(&row);
    return st;
}

/* Marks about m / channels modes of a channel, the same ones in each; whole pairs. */
static int64_t choose_modes(const tw_operator *a, int64_t pixels)
{
    const int64_t wanted =
        (int64_t)llround(((const compressed_config *)a->config)->fraction * (double)pixels);
    const tw_rng_stream stream = {.seed = a->seed, .purpose = TW_RNG_OPERATOR};
    tw_rng_permutation order;
    int64_t have = 1;
    tw_rng_permutation_init(&order, &stream, pixels);
    for (int64_t c = 0; c < a->in.channels; c++) a->singular[c] = 1;
    for (int64_t k = 0; k < pixels && have < wanted; k++) {
        const int64_t i = tw_rng_permute(&order, k), ch = a->in.channels;
        if (a->singular[i * ch] > 0) continue;
        const int64_t j =
            transform_of(a) == FOURIER ? tw_fourier_partner(a->in.height, a->in.width, i) : i;
        for (int64_t c = 0; c < ch; c++) a->singular[i * ch + c] = a->singular[j * ch + c] = 1;
        have += j == i ? 1 : 2;
    }
    return have * a->in.channels;
}

static tw_status use_modes(tw_operator *a, sensing *s, int64_t *m)
{
    tw_status st = TW_OK;
    const int64_t h = a->in.height, w = a->in.width;
    int64_t at = 0;
    TW_TRY(operator_alloc_singular(a));
    TW_TRY(tw_alloc(&s->image, a->dims, sizeof *s->image, "modes"));
    TW_TRY(tw_alloc(&s->half, h * w, sizeof *s->half, "modes"));
    if (transform_of(a) == FOURIER) {
        TW_TRY(tw_fourier_create(&s->fourier, h, w));
        TW_TRY(tw_alloc(&s->modes, h * w, sizeof *s->modes, "modes"));
    } else {
        TW_TRY(tw_alloc(&s->rows, h * h, sizeof *s->rows, "a cosine transform"));
        TW_TRY(tw_alloc(&s->cols, w * w, sizeof *s->cols, "a cosine transform"));
        tw_cosine_matrix(h, s->rows);
        tw_cosine_matrix(w, s->cols);
    }
    *m = choose_modes(a, h * w);
    TW_TRY(tw_alloc(&s->measured, *m, sizeof *s->measured, "modes"));
    for (int64_t i = 0; i < a->dims; i++)
        if (a->singular[i] > 0) s->measured[at++] = i;
done:
    return st;
}

static tw_status setup(tw_operator *a)
{
    tw_status st = TW_OK;
    const compressed_config *c = a->config;
    sensing *s = NULL;
    int64_t m = (int64_t)llround(c->fraction * (double)a->dims);
    if (m < 1) m = 1;
    TW_CHECK(c->transform == RANDOM || !a->in.points, TW_ECONFIG,
             "task.transform: points have random projections alone");
    TW_TRY(tw_alloc(&s, 1, sizeof *s, "compressed sensing"));
    a->own = s;
    TW_TRY(c->transform == RANDOM ? make_matrix(a, s, m) : use_modes(a, s, &m));
    a->out = (tw_extent){1, 1, m, true};
done:
    return st;
}

/* ---- applying ---- */

/* One channel's cosines, or the way back: out = R x Cᵀ, or Rᵀ x C. */
static void cosines(const tw_operator *a, const double *x, bool back, double *out)
{
    const sensing *s = a->own;
    const int64_t h = a->in.height, w = a->in.width, ch = a->in.channels;
    for (int64_t i = 0; i < h; i++)
        for (int64_t k = 0; k < w; k++) {
            double sum = 0;
            for (int64_t j = 0; j < w; j++)
                sum += x[(i * w + j) * ch] * (back ? s->cols[j * w + k] : s->cols[k * w + j]);
            s->half[i * w + k] = sum;
        }
    for (int64_t k = 0; k < h; k++)
        for (int64_t j = 0; j < w; j++) {
            double sum = 0;
            for (int64_t i = 0; i < h; i++)
                sum += (back ? s->rows[i * h + k] : s->rows[k * h + i]) * s->half[i * w + j];
            out[(k * w + j) * ch] = sum;
        }
}

static void to_basis(const tw_operator *a, const double *x, double *c)
{
    const sensing *s = a->own;
    for (int64_t k = 0; k < a->in.channels; k++) {
        if (!s->fourier) {
            cosines(a, x + k, false, c + k);
            continue;
        }
        tw_fourier_forward(s->fourier, x + k, a->in.channels, s->modes);
        tw_fourier_pack(a->in.height, a->in.width, s->modes, c + k, a->in.channels);
    }
}

static void from_basis(const tw_operator *a, const double *c, double *x)
{
    const sensing *s = a->own;
    for (int64_t k = 0; k < a->in.channels; k++) {
        if (!s->fourier) {
            cosines(a, c + k, true, x + k);
            continue;
        }
        tw_fourier_unpack(a->in.height, a->in.width, c + k, a->in.channels, s->modes);
        tw_fourier_backward(s->fourier, s->modes, x + k, a->in.channels);
    }
}

static void forward(const tw_operator *a, const double *x, double *y)
{
    const sensing *s = a->own;
    const int64_t m = tw_extent_count(&a->out);
    if (!s->matrix) {
        to_basis(a, x, s->image);
        for (int64_t i = 0; i < m; i++) y[i] = s->image[s->measured[i]];
        return;
    }
    for (int64_t i = 0; i < m; i++) {
        const double *row = s->matrix + i * a->dims;
        y[i] = 0;
        for (int64_t j = 0; j < a->dims; j++) y[i] += row[j] * x[j];
    }
}

static void adjoint(const tw_operator *a, const double *y, double *x)
{
    const sensing *s = a->own;
    const int64_t m = tw_extent_count(&a->out);
    if (!s->matrix) {
        memset(s->image, 0, (size_t)a->dims * sizeof *x);
        for (int64_t i = 0; i < m; i++) s->image[s->measured[i]] = y[i];
        from_basis(a, s->image, x);
        return;
    }
    memset(x, 0, (size_t)a->dims * sizeof *x);
    for (int64_t i = 0; i < m; i++) {
        const double *row = s->matrix + i * a->dims;
        for (int64_t j = 0; j < a->dims; j++) x[j] += row[j] * y[i];
    }
}

const tw_operator_kind tw_operator_compressed = {
    .kind = {"compressed", "a fraction of projections or modes", fields,
             sizeof fields / sizeof *fields, sizeof(compressed_config)},
    .setup = setup,
    .forward = forward,
    .adjoint = adjoint,
    .to_basis = to_basis,
    .from_basis = from_basis,
    .release = release,
    .channelwise = true,
};
