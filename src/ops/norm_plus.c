/* The driver of instance normalisation ++, cut as norm.c cuts: chunks depend on the shape of one
 * image alone and their sums are added in order, so an image's result depends neither on threads
 * nor on the batch. */
#include "ops/norm_plus.h"

#include <math.h>
#include <omp.h>
#include <string.h>

#include "ops/task.h"

enum {
    CHUNK_ELEMENTS = 16384, /* at least, so that a chunk's sums cost little beside it */
    CHUNKS_MAX = 16,
    SUMS = 3,
    COEFFICIENTS = 8 /* shift, a, b, c1, c2, c3 of kern_norm.h; μ and r */
};

typedef enum phase { MOMENTS, APPLY, GRADIENT_SUMS, GRADIENT_APPLY } phase;

/* One call: what all threads see. */
typedef struct job {
    const tw_norm_plus *p;
    const tw_norm_plus_tensors *x;
    double *sums;        /* [images at once][chunks + 1][SUMS][width]; the last is their total */
    float *coefficients; /* [images at once][COEFFICIENTS][width] */
    double *partial;     /* [images][3][C]: gradients of p of each image */
} job;

static int64_t images_at_once(const tw_norm_plus *p)
{
    return p->by_image ? p->threads : p->images;
}

static int64_t place(const tw_norm_plus *p, int64_t image)
{
    return p->by_image ? omp_get_thread_num() : image;
}

static double *sums_of(const job *j, int64_t image, int64_t chunk)
{
    return j->sums + (place(j->p, image) * (j->p->chunks + 1) + chunk) * SUMS * j->p->width;
}

static float *coefficients_of(const job *j, int64_t image)
{
    return j->coefficients + place(j->p, image) * COEFFICIENTS * j->p->width;
}

static size_t sums_bytes(const tw_norm_plus *p)
{
    return (size_t)(images_at_once(p) * (p->chunks + 1) * SUMS * p->width) * sizeof(double);
}

static size_t coefficients_bytes(const tw_norm_plus *p)
{
    return (size_t)(images_at_once(p) * COEFFICIENTS * p->width) * sizeof(float);
}

static job begin(const tw_norm_plus *p, const tw_norm_plus_tensors *x, void *scratch)
{
    job j = {.p = p, .x = x, .sums = scratch};
    j.coefficients = (float *)(void *)((char *)scratch + sums_bytes(p));
    j.partial = (double *)(void *)((char *)j.coefficients + coefficients_bytes(p));
    return j;
}

static void run_chunk(const job *j, phase what, int64_t image, int64_t chunk)
{
    const tw_norm_plus *p = j->p;
    const int64_t first = chunk * p->chunk_pixels, left = p->pixels - first;
    const int64_t at = (image * p->pixels + first) * p->channels;
    const float *f = coefficients_of(j, image);
    double *s = sums_of(j, image, chunk);
    const tw_norm_tile t = {
        .gain = 1,
        .pixels = left < p->chunk_pixels ? left : p->chunk_pixels,
        .channels = p->channels,
        .x = tw_at_const(j->x->x, at, p->dtype),
        .y = j->x->y ? tw_at(j->x->y, at, p->dtype) : NULL,
        .gy = j->x->gy ? tw_at_const(j->x->gy, at, p->dtype) : NULL,
        .gx = j->x->gx ? tw_at(j->x->gx, at, p->dtype) : NULL,
        .stride = p->channels,
        .keep = 1,
        .activation = p->activation,
        .shift = f,
        .a = f + p->width,
        .b = f + 2 * p->width,
        .c1 = f + 3 * p->width,
        .c2 = f + 4 * p->width,
        .c3 = f + 5 * p->width,
        .sum0 = s,
        .sum1 = s + p->width,
        .sum2 = s + 2 * p->width,
    };
    if (what == MOMENTS || what == GRADIENT_SUMS)
        memset(s, 0, (size_t)(SUMS * p->width) * sizeof *s);
    if (what == MOMENTS)
        p->kernel->moments[p->stored](&t);
    else if (what == APPLY)
        p->kernel->apply[p->stored](&t);
    else if (what == GRADIENT_SUMS)
        p->kernel->gradient_sums[p->stored](&t);
    else if (t.gx)
        p->kernel->gradient_apply[p->stored](&t);
}

/* ---- arithmetic on sums ---- */

/* The chunks of an image in their order. */
static const double *total_of(const job *j, int64_t image)
{
    const tw_norm_plus *p = j->p;
    double *total = sums_of(j, image, p->chunks);
    memset(total, 0, (size_t)(SUMS * p->width) * sizeof *total);
    for (int64_t k = 0; k < p->chunks; k++) {
        const double *s = sums_of(j, image, k);
        for (int64_t i = 0; i < SUMS * p->width; i++) total[i] += s[i];
    }
    return total;
}

/* γ of an image; α and β follow. */
static const float *scales_of(const job *j, int64_t image)
{
    return j->x->p + (j->p->shared ? 0 : image * 3 * j->p->channels);
}

/* μ of an image; r follows at a distance of width. */
static float *moments_of(const job *j, int64_t image)
{
    return coefficients_of(j, image) + 6 * j->p->width;
}

static void copy_stats(const job *j, int64_t image, bool to_tensor)
{
    const tw_norm_plus *p = j->p;
    const size_t bytes = (size_t)p->channels * sizeof(float);
    for (int k = 0; j->x->stats && k < 2; k++) {
        float *tensor = j->x->stats + (image * 2 + k) * p->channels,
              *own = moments_of(j, image) + k * p->width;
        memcpy(to_tensor ? tensor : own, to_tensor ? own : tensor, bytes);
    }
}

/* m and 1 / s from the means as they are stored. */
static void spread_of_means(const job *j, int64_t image, double *mean, double *scale)
{
    const int64_t channels = j->p->channels;
    const float *mu = moments_of(j, image);
    double m = 0, v = 0;
    for (int64_t c = 0; c < channels; c++) m += (double)mu[c];
    m /= (double)channels;
    for (int64_t c = 0; c < channels; c++) v += ((double)mu[c] - m) * ((double)mu[c] - m);
    *mean = m;
    *scale = 1 / sqrt(v / (double)(channels - 1) + j->p->eps);
}

static void affine_coefficients(const job *j, int64_t image)
{
    const tw_norm_plus *p = j->p;
    const int64_t channels = p->channels;
    const float *gamma = scales_of(j, image), *alpha = gamma + channels, *beta = alpha + channels;
    const float *mu = moments_of(j, image), *r = mu + p->width;
    float *shift = coefficients_of(j, image), *a = shift + p->width, *b = a + p->width;
    double m, scale;
    spread_of_means(j, image, &m, &scale);
    for (int64_t c = 0; c < channels; c++) {
        const double hat = ((double)mu[c] - m) * scale;
        shift[c] = mu[c];
        a[c] = (float)((double)gamma[c] * (double)r[c]);
        b[c] = (float)((double)beta[c] + (double)gamma[c] * (double)alpha[c] * hat);
    }
}

static void finish_moments(const job *j, int64_t image)
{
    const tw_norm_plus *p = j->p;
    const double *sum = total_of(j, image), *square = sum + p->width;
    const double pixels = (double)p->pixels;
    float *mu = moments_of(j, image), *r = mu + p->width;
    for (int64_t c = 0; c < p->channels; c++) {
        const double mean = sum[c] / pixels, variance = square[c] / pixels - mean * mean;
        mu[c] = (float)mean;
        r[c] = (float)(1 / sqrt((variance > 0 || isnan(variance) ? variance : 0) + p->eps));
    }
    copy_stats(j, image, true);
    affine_coefficients(j, image);
}

static void start_gradient(const job *j, int64_t image)
{
    copy_stats(j, image, false);
    affine_coefficients(j, image);
}

static void finish_gradient(const job *j, int64_t image)
{
    const tw_norm_plus *p = j->p;
    const int64_t channels = p->channels;
    const double *g = total_of(j, image), *gd = g + p->width, pixels = (double)p->pixels;
    const float *gamma = scales_of(j, image), *alpha = gamma + channels;
    const float *mu = moments_of(j, image), *r = mu + p->width;
    float *c1 = coefficients_of(j, image) + 3 * p->width, *c2 = c1 + p->width, *c3 = c2 + p->width;
    double *ggamma = j->partial + image * 3 * channels, *galpha = ggamma + channels,
           *gbeta = galpha + channels;
    double m, scale, k_sum = 0, k_hat = 0;
    spread_of_means(j, image, &m, &scale);
    for (int64_t c = 0; c < channels; c++) {
        const double hat = ((double)mu[c] - m) * scale, of_alpha = (double)gamma[c] * g[c],
                     k = of_alpha * (double)alpha[c];
        ggamma[c] = (double)r[c] * gd[c] + (double)alpha[c] * hat * g[c];
        galpha[c] = of_alpha * hat;
        gbeta[c] = g[c];
        k_sum += k;
        k_hat += k * hat;
    }
    k_sum /= (double)channels;
    k_hat /= (double)(channels - 1);
    for (int64_t c = 0; c < channels; c++) {
        const double hat = ((double)mu[c] - m) * scale, gain = (double)gamma[c] * (double)r[c],
                     k = (double)gamma[c] * (double)alpha[c] * g[c];
        const double q = (k - k_sum - hat * k_hat) * scale;
        c1[c] = (float)gain;
        c2[c] = (float)(-gain * (double)r[c] * (double)r[c] * gd[c] / pixels);
        c3[c] = (float)((q - gain * g[c]) / pixels);
    }
}

static void finish_sums(const job *j, phase what, int64_t image)
{
    if (what == MOMENTS)
        finish_moments(j, image);
    else
        finish_gradient(j, image);
}

/* ---- the two passes ---- */

static void one_image(const job *j, phase sums, phase apply, int64_t image)
{
    if (sums == GRADIENT_SUMS) start_gradient(j, image);
    for (int64_t k = 0; k < j->p->chunks; k++) run_chunk(j, sums, image, k);
    finish_sums(j, sums, image);
    for (int64_t k = 0; k < j->p->chunks; k++) run_chunk(j, apply, image, k);
}

static void run_shared(const job *j, phase sums, phase apply)
{
    const tw_norm_plus *p = j->p;
    const int64_t pieces = p->images * p->chunks;
    if (sums == GRADIENT_SUMS) {
#pragma omp for schedule(static)
        for (int64_t n = 0; n < p->images; n++) start_gradient(j, n);
    }
#pragma omp for schedule(static)
    for (int64_t i = 0; i < pieces; i++) run_chunk(j, sums, i / p->chunks, i % p->chunks);
#pragma omp for schedule(static)
    for (int64_t n = 0; n < p->images; n++) finish_sums(j, sums, n);
#pragma omp for schedule(static)
    for (int64_t i = 0; i < pieces; i++) run_chunk(j, apply, i / p->chunks, i % p->chunks);
}

/* Shared parameters take the sum over the images in their order; threads share the columns. */
static void write_parameters(const job *j)
{
    const tw_norm_plus *p = j->p;
    const int64_t columns = 3 * p->channels;
    if (!j->x->gp) return;
#pragma omp for schedule(static)
    for (int64_t c = 0; c < columns; c++) {
        double sum = 0;
        for (int64_t n = 0; n < p->images; n++) {
            if (!p->shared) j->x->gp[n * columns + c] = (float)j->partial[n * columns + c];
            sum += j->partial[n * columns + c];
        }
        if (p->shared) j->x->gp[c] = (float)sum;
    }
}

static void run_passes(const job *j, phase sums, phase apply)
{
#pragma omp parallel num_threads(j->p->threads)
    {
        if (j->p->by_image) {
#pragma omp for schedule(static)
            for (int64_t n = 0; n < j->p->images; n++) one_image(j, sums, apply, n);
        } else {
            run_shared(j, sums, apply);
        }
        if (sums == GRADIENT_SUMS) write_parameters(j);
    }
}

void tw_norm_plus_forward(const tw_norm_plus *p, const tw_norm_plus_tensors *x, void *scratch)
{
    const job j = begin(p, x, scratch);
    run_passes(&j, MOMENTS, APPLY);
}

void tw_norm_plus_backward(const tw_norm_plus *p, const tw_norm_plus_tensors *x, void *scratch)
{
    const job j = begin(p, x, scratch);
    run_passes(&j, GRADIENT_SUMS, GRADIENT_APPLY);
}

/* ---- plan ---- */

tw_status tw_norm_plus_plan(tw_norm_plus *p, tw_task *t, bool backward)
{
    const tw_node *n = t->node;
    const tw_shape s = n->in[0]->shape;
    *p = (tw_norm_plus){.images = s.dims[0], .pixels = 1, .channels = tw_shape_channels(s)};
    p->eps = n->attr.f[0];
    for (int d = 1; d + 1 < s.rank; d++) p->pixels *= s.dims[d];
    p->width = TW_PADDED(p->channels);
    p->shared = n->in[1]->shape.rank == 1;
    p->activation = n->attr.i[0] ? TW_NORM_ELU : TW_NORM_NONE;
    int64_t chunks = p->pixels * p->channels / CHUNK_ELEMENTS;
    if (chunks < 1) chunks = 1;
    if (chunks > CHUNKS_MAX) chunks = CHUNKS_MAX;
    p->chunk_pixels = (p->pixels + chunks - 1) / chunks;
    p->chunks = (p->pixels + p->chunk_pixels - 1) / p->chunk_pixels;
    p->dtype = tw_task_dtype(t, n->in[0]);
    p->stored = tw_stored_of(p->dtype);
    p->threads = omp_get_max_threads();
    p->by_image = p->images % p->threads == 0 || p->images >= 4 * (int64_t)p->threads;
    p->kernel = TW_KERNEL_SELECT(tw_kern_norm);
    t->scratch_bytes = sums_bytes(p) + coefficients_bytes(p);
    if (backward) t->scratch_bytes += (size_t)(p->images * 3 * p->channels) * sizeof(double);
    return tw_task_plan_c(t, (backward ? 40.0 : 20.0) * (double)tw_shape_count(s));
}

tw_status tw_norm_plus_check(const tw_node *n, const tw_value *x, const tw_value *p)
{
    const int64_t channels = tw_shape_channels(x->shape);
    if (x->shape.rank < 3 || x->type == TW_I32)
        return tw_op_shape_error(n, "wanted floating numbers [N, spatial…, C]");
    if (channels < 2)
        return tw_op_shape_error(n, "a variance over channels needs at least 2 of them");
    const tw_shape own = TW_SHAPE(x->shape.dims[0], 3 * channels), all = TW_SHAPE(3 * channels);
    if (p->type != TW_F32 || (!tw_shape_equal(p->shape, own) && !tw_shape_equal(p->shape, all)))
        return tw_op_shape_error(n, "the scales must be f32 [%lld, %lld] or [%lld]",
                                 (long long)own.dims[0], (long long)own.dims[1],
                                 (long long)all.dims[0]);
    if (!(n->attr.f[0] > 0))
        return tw_error_set(TW_EINTERNAL, "%s: epsilon is %g, not positive", n->op->name,
                            n->attr.f[0]);
    return TW_OK;
}
