/* The driver of group normalisation: cuts images into chunks, lets threads take sums and apply
 * them, and does the arithmetic on sums.
 *
 * A chunk is a range of pixels that depends on the shape of one image alone, and chunk sums are
 * added in their order. So an image's result depends neither on the number of threads nor on the
 * batch. Where there are enough images, a thread does whole images: its second pass then finds the
 * image in its cache. Else all threads share all chunks, with a barrier between the passes. */
#include "ops/norm.h"

#include <math.h>
#include <omp.h>
#include <string.h>

#include "ops/share.h"
#include "ops/task.h"

enum {
    CHUNK_ELEMENTS = 16384, /* at least, so that a chunk's sums cost little beside it */
    CHUNKS_MAX = 16,
    TILE_ELEMENTS = 8192, /* dropout bytes that are generated at once */
    SUMS = 3,
    COEFFICIENTS = 6
};

/* One call: what all threads see. */
typedef struct job {
    const tw_norm *p;
    const tw_norm_tensors *x;
    const tw_run *run;
    int threshold; /* of dropout bytes; 0: no dropout in this run */
    float keep;
    double *sums;        /* [slots][SUMS][width] */
    float *coefficients; /* [slots][COEFFICIENTS][width] */
    double *partial;     /* [images][2][width]: Σ g x̂ and Σ g of each image */
} job;

typedef enum phase { MOMENTS, APPLY, GRADIENT_SUMS, GRADIENT_APPLY } phase;

/* ---- memory ---- */

/* A thread's image has two sets of sums, of the chunk at work and of the whole. Shared images keep
 * one for each chunk and one for all. */
static int64_t slots_per_image(const tw_norm *p)
{
    return p->by_image ? 2 : p->chunks + 1;
}

static int64_t images_at_once(const tw_norm *p)
{
    return p->by_image ? p->threads : p->images;
}

static int64_t place(const tw_norm *p, int64_t image)
{
    return p->by_image ? omp_get_thread_num() : image;
}

static double *sums_of(const job *j, int64_t image, int64_t slot)
{
    return j->sums + (place(j->p, image) * slots_per_image(j->p) + slot) * SUMS * j->p->width;
}

static double *total_of(const job *j, int64_t image)
{
    return sums_of(j, image, slots_per_image(j->p) - 1);
}

static float *coefficients_of(const job *j, int64_t image)
{
    return j->coefficients + place(j->p, image) * COEFFICIENTS * j->p->width;
}

static size_t sums_bytes(const tw_norm *p)
{
    return (size_t)(images_at_once(p) * slots_per_image(p) * SUMS * p->width) * sizeof(double);
}

static size_t coefficients_bytes(const tw_norm *p)
{
    return (size_t)(images_at_once(p) * COEFFICIENTS * p->width) * sizeof(float);
}

static job begin(const tw_norm *p, const tw_norm_tensors *x, const tw_run *run, void *scratch)
{
    job j = {.p = p, .x = x, .run = run, .sums = scratch};
    j.coefficients = (float *)(void *)((char *)scratch + sums_bytes(p));
    j.partial = (double *)(void *)((char *)j.coefficients + coefficients_bytes(p));
    if (p->rate > 0 && run->training) {
        const int k = tw_rng_dropout_threshold(p->rate);
        j.threshold = k > 255 ? 255 : k;
        j.keep = k > 255 ? 0.0f : 256.0f / (float)(256 - k);
    }
    return j;
}

/* ---- tiles ---- */

/* Element i of a tensor that may be absent. */
static void *element(const tw_norm *p, const void *data, int64_t i)
{
    return data ? tw_at((void *)(uintptr_t)data, i, p->dtype) : NULL;
}

/* Pixels [first, first + pixels) and channels [c0, c1) of an image. `bytes` of dropout belong to
 * these elements alone. */
static void run_loop(const job *j, phase what, int64_t image, int64_t chunk, int64_t first,
                     int64_t pixels, int64_t c0, int64_t c1, const uint8_t *bytes)
{
    const tw_norm *p = j->p;
    const int64_t at = (image * p->pixels + first) * p->channels + c0;
    const float *f = coefficients_of(j, image) + c0;
    double *s = sums_of(j, image, p->by_image ? 0 : chunk) + c0;
    const tw_norm_tile t = {
        .pixels = pixels,
        .channels = c1 - c0,
        .x = element(p, j->x->x, at),
        .y = element(p, j->x->y, at),
        .gy = element(p, j->x->gy, at),
        .gx = element(p, j->x->gx, at),
        .add = element(p, j->x->add, at),
        .stride = p->channels,
        .bytes = bytes,
        .bytes_stride = c1 - c0,
        .threshold = (uint8_t)j->threshold,
        .keep = j->keep,
        .activation = p->activation ? TW_NORM_SILU : TW_NORM_NONE,
        .shift = f,
        .a = f + p->width,
        .b = f + 2 * p->width,
        .c1 = f + 3 * p->width,
        .c2 = f + 4 * p->width,
        .c3 = f + 5 * p->width,
        .gain = p->gain,
        .sum0 = s,
        .sum1 = s + p->width,
        .sum2 = s + 2 * p->width,
    };
    switch (what) {
    case MOMENTS:
        p->kernel->moments[p->stored](&t);
        break;
    case APPLY:
        p->kernel->apply[p->stored](&t);
        break;
    case GRADIENT_SUMS:
        p->kernel->gradient_sums[p->stored](&t);
        break;
    case GRADIENT_APPLY:
        if (t.gx) p->kernel->gradient_apply[p->stored](&t);
        break;
    }
}

/* As run_loop, with the bytes of dropout generated here. They are one range of elements, since a
 * tile is either whole pixels or a piece of one. */
static void run_tile(const job *j, phase what, int64_t image, int64_t chunk, int64_t first,
                     int64_t pixels, int64_t c0, int64_t c1)
{
    const tw_norm *p = j->p;
    uint8_t buffer[TILE_ELEMENTS + 512];
    const uint8_t *bytes = NULL;
    if (j->threshold && (what == APPLY || what == GRADIENT_SUMS)) {
        const tw_rng_stream stream = {.seed = j->run->seed,
                                      .purpose = TW_RNG_DROPOUT,
                                      .position = j->run->position + image,
                                      .step = j->run->step};
        const int64_t element0 = first * p->channels + c0, aligned = element0 / 16 * 16;
        p->kernel->bytes(buffer, tw_rng_key_of(&stream), p->layer, aligned,
                         element0 - aligned + pixels * (c1 - c0));
        bytes = buffer + (element0 - aligned);
    }
    run_loop(j, what, image, chunk, first, pixels, c0, c1, bytes);
}

/* A chunk without dropout is one tile. With it, a tile has at most TILE_ELEMENTS: some pixels or,
 * where one has more channels than that, pieces of one, all but the last of whole vectors. */
static void run_chunk(const job *j, phase what, int64_t image, int64_t chunk)
{
    const tw_norm *p = j->p;
    const int64_t begin_pixel = chunk * p->chunk_pixels, left = p->pixels - begin_pixel;
    const int64_t end = begin_pixel + (left < p->chunk_pixels ? left : p->chunk_pixels);
    if (what == MOMENTS || what == GRADIENT_SUMS)
        memset(sums_of(j, image, p->by_image ? 0 : chunk), 0,
               (size_t)(SUMS * p->width) * sizeof(double));
    if (!j->threshold || what == MOMENTS || what == GRADIENT_APPLY) {
        run_tile(j, what, image, chunk, begin_pixel, end - begin_pixel, 0, p->channels);
    } else if (p->channels <= TILE_ELEMENTS) {
        const int64_t rows = TILE_ELEMENTS / p->channels;
        for (int64_t i = begin_pixel; i < end; i += rows)
            run_tile(j, what, image, chunk, i, i + rows < end ? rows : end - i, 0, p->channels);
    } else {
        for (int64_t i = begin_pixel; i < end; i++)
            for (int64_t c = 0; c < p->channels; c += TILE_ELEMENTS) {
                const int64_t more = p->channels - c;
                run_tile(j, what, image, chunk, i, 1, c,
                         c + (more < TILE_ELEMENTS ? more : TILE_ELEMENTS));
            }
    }
}

/* ---- arithmetic on sums ---- */

static void add_sums(const tw_norm *p, double *restrict total, const double *restrict chunk)
{
    for (int64_t i = 0; i < SUMS * p->width; i++) total[i] += chunk[i];
}

static double embedding_at(const job *j, int64_t image, int64_t c)
{
    const void *e = j->x->embedding;
    if (!e) return 0;
    return (double)tw_load(e, image * j->p->channels + c, j->p->dtype);
}

/* μ and r of a group; its channels' sums are shifted by the embedding here. */
static void group_statistics(const job *j, int64_t image, int64_t group, double *mean, double *r)
{
    const tw_norm *p = j->p;
    const double *s = total_of(j, image), *q = s + p->width, pixels = (double)p->pixels;
    const int64_t size = p->channels / p->groups;
    double sum = 0, square = 0;
    for (int64_t c = group * size; c < (group + 1) * size; c++) {
        const double t = embedding_at(j, image, c);
        sum += s[c] + t * pixels;
        square += q[c] + t * (2 * s[c] + t * pixels);
    }
    const double m = pixels * (double)size, variance = square / m - (sum / m) * (sum / m);
    *mean = sum / m;
    *r = 1 / sqrt((variance > 0 || isnan(variance) ? variance : 0) + p->eps);
}

static double gamma_at(const job *j, int64_t image, int64_t c)
{
    return (double)j->x->gamma[image * j->p->affine_stride + c];
}

/* s, a and b of a group's channels, from μ and r. */
static void affine_coefficients(const job *j, int64_t image, int64_t group, double mean, double r)
{
    const tw_norm *p = j->p;
    float *shift = coefficients_of(j, image), *a = shift + p->width, *b = a + p->width;
    const int64_t size = p->channels / p->groups;
    const float *beta = j->x->beta ? j->x->beta + image * p->affine_stride : NULL;
    for (int64_t c = group * size; c < (group + 1) * size; c++) {
        const double wanted = mean - embedding_at(j, image, c), gain = gamma_at(j, image, c) * r;
        shift[c] = (float)wanted;
        a[c] = (float)gain;
        b[c] = (float)((beta ? (double)beta[c] : 0.0) + gain * ((double)shift[c] - wanted));
    }
}

static void forward_coefficients(const job *j, int64_t image)
{
    for (int64_t g = 0; g < j->p->groups; g++) {
        double mean, r;
        group_statistics(j, image, g, &mean, &r);
        affine_coefficients(j, image, g, mean, r);
        float *stats = j->x->stats ? j->x->stats + 2 * (image * j->p->groups + g) : NULL;
        if (!stats) continue;
        stats[0] = (float)mean;
        stats[1] = (float)r;
    }
}

static void backward_start(const job *j, int64_t image)
{
    for (int64_t g = 0; g < j->p->groups; g++) {
        const float *stats = j->x->stats + 2 * (image * j->p->groups + g);
        affine_coefficients(j, image, g, (double)stats[0], (double)stats[1]);
    }
}

/* A group's c1, c2, c3, its share of the gradients of γ and β, and that of the embedding. x̂ = r (x
 * - s) here: what s was rounded by is no more than what μ was rounded by when it was stored. */
static void backward_group(const job *j, int64_t image, int64_t group)
{
    const tw_norm *p = j->p;
    const double *g = total_of(j, image), *gd = g + p->width, *d = gd + p->width;
    float *c1 = coefficients_of(j, image) + 3 * p->width, *c2 = c1 + p->width, *c3 = c2 + p->width;
    double *ggamma = j->partial + image * 2 * p->width, *gbeta = ggamma + p->width;
    const int64_t size = p->channels / p->groups;
    const double r = (double)j->x->stats[2 * (image * p->groups + group) + 1],
                 m = (double)(p->pixels * size);
    double a1 = 0, a2 = 0;
    for (int64_t c = group * size; c < (group + 1) * size; c++) {
        const double gamma = gamma_at(j, image, c);
        ggamma[c] = r * gd[c];
        gbeta[c] = g[c];
        a1 += gamma * g[c];
        a2 += gamma * ggamma[c];
    }
    const double k2 = -r * r * a2 / m, k3 = -r * a1 / m;
    for (int64_t c = group * size; c < (group + 1) * size; c++) {
        const double k1 = r * gamma_at(j, image, c);
        c1[c] = (float)k1;
        c2[c] = (float)k2;
        c3[c] = (float)k3;
        if (!j->x->gembedding) continue;
        const double sum = k1 * g[c] + k2 * d[c] + k3 * (double)p->pixels;
        tw_store(j->x->gembedding, image * p->channels + c, p->dtype, (float)sum);
    }
}

static void finish_sums(const job *j, phase what, int64_t image)
{
    const tw_norm *p = j->p;
    if (!p->by_image) {
        memset(total_of(j, image), 0, (size_t)(SUMS * p->width) * sizeof(double));
        for (int64_t k = 0; k < p->chunks; k++)
            add_sums(p, total_of(j, image), sums_of(j, image, k));
    }
    if (what == MOMENTS)
        forward_coefficients(j, image);
    else
        for (int64_t g = 0; g < p->groups; g++) backward_group(j, image, g);
}

/* ---- the two passes ---- */

static void one_image(const job *j, phase sums, phase apply, int64_t image)
{
    const tw_norm *p = j->p;
    memset(total_of(j, image), 0, (size_t)(SUMS * p->width) * sizeof(double));
    if (sums == GRADIENT_SUMS) backward_start(j, image);
    for (int64_t k = 0; k < p->chunks; k++) {
        run_chunk(j, sums, image, k);
        add_sums(p, total_of(j, image), sums_of(j, image, 0));
    }
    finish_sums(j, sums, image);
    for (int64_t k = 0; k < p->chunks; k++) run_chunk(j, apply, image, k);
}

/* Where each image has γ and β of its own: its sums are their gradients. */
static void store_rows(const job *j)
{
    const tw_norm *p = j->p;
#pragma omp for schedule(static)
    for (int64_t n = 0; n < p->images; n++) {
        const double *ggamma = j->partial + n * 2 * p->width, *gbeta = ggamma + p->width;
        for (int64_t c = 0; c < p->channels; c++) {
            if (j->x->ggamma) j->x->ggamma[n * p->channels + c] = (float)ggamma[c];
            if (j->x->gbeta) j->x->gbeta[n * p->channels + c] = (float)gbeta[c];
        }
    }
}

/* The gradients of γ and β: images in their order, threads share the channels. */
static void combine_parameters(const job *j)
{
    const tw_norm *p = j->p;
#pragma omp for schedule(static)
    for (int64_t c = 0; c < p->channels; c++) {
        double ggamma = 0, gbeta = 0;
        for (int64_t n = 0; n < p->images; n++) {
            ggamma += j->partial[n * 2 * p->width + c];
            gbeta += j->partial[(n * 2 + 1) * p->width + c];
        }
        if (j->x->ggamma) j->x->ggamma[c] = (float)ggamma;
        if (j->x->gbeta) j->x->gbeta[c] = (float)gbeta;
    }
}

static void run_shared(const job *j, phase sums, phase apply)
{
    const tw_norm *p = j->p;
    const int64_t pieces = p->images * p->chunks;
    if (sums == GRADIENT_SUMS) {
#pragma omp for schedule(static)
        for (int64_t n = 0; n < p->images; n++) backward_start(j, n);
    }
#pragma omp for schedule(static)
    for (int64_t i = 0; i < pieces; i++) run_chunk(j, sums, i / p->chunks, i % p->chunks);
#pragma omp for schedule(static)
    for (int64_t n = 0; n < p->images; n++) finish_sums(j, sums, n);
#pragma omp for schedule(static)
    for (int64_t i = 0; i < pieces; i++) run_chunk(j, apply, i / p->chunks, i % p->chunks);
}

static void run_passes(const job *j, phase sums, phase apply)
{
    tw_share share;
    tw_share_begin(&share, j->p->threads, j->p->images);
#pragma omp parallel num_threads(j->p->threads)
    {
        if (j->p->by_image) {
            bool more;
            for (int64_t n; (n = tw_share_next(&share, omp_get_thread_num(), &more)) >= 0;)
                one_image(j, sums, apply, n);
#pragma omp barrier
        } else {
            run_shared(j, sums, apply);
        }
        if (sums == GRADIENT_SUMS && j->p->affine_stride)
            store_rows(j);
        else if (sums == GRADIENT_SUMS)
            combine_parameters(j);
    }
}

void tw_norm_forward(const tw_norm *p, const tw_norm_tensors *x, const tw_run *run, void *scratch)
{
    const job j = begin(p, x, run, scratch);
    run_passes(&j, MOMENTS, APPLY);
}

void tw_norm_backward(const tw_norm *p, const tw_norm_tensors *x, const tw_run *run, void *scratch)
{
    const job j = begin(p, x, run, scratch);
    run_passes(&j, GRADIENT_SUMS, GRADIENT_APPLY);
}

/* ---- plan ---- */

tw_status tw_norm_plan(tw_norm *p, tw_task *t, bool backward)
{
    const tw_attr *attr = &t->node->attr;
    const tw_shape s = t->node->in[0]->shape;
    *p = (tw_norm){
        .images = s.dims[0], .pixels = 1, .groups = attr->i[0], .eps = attr->f[0], .gain = 1};
    for (int d = 1; d + 1 < s.rank; d++) p->pixels *= s.dims[d];
    p->channels = tw_shape_channels(s);
    p->width = TW_PADDED(p->channels);
    p->affine_stride = t->node->in[1]->shape.rank == 2 ? p->channels : 0;
    const int64_t most = p->pixels * p->channels / CHUNK_ELEMENTS, chunks = most < 1 ? 1
                                                                            : most > CHUNKS_MAX
                                                                                ? CHUNKS_MAX
                                                                                : most;
    p->chunk_pixels = (p->pixels + chunks - 1) / chunks;
    p->chunks = (p->pixels + p->chunk_pixels - 1) / p->chunk_pixels;
    p->dtype = tw_task_dtype(t, t->node->in[0]);
    p->stored = tw_stored_of(p->dtype);
    p->threads = omp_get_max_threads();
    p->by_image = p->images % p->threads == 0 || p->images >= 4 * (int64_t)p->threads;
    p->kernel = TW_KERNEL_SELECT(tw_kern_norm);
    t->scratch_bytes = sums_bytes(p) + coefficients_bytes(p);
    if (backward) t->scratch_bytes += (size_t)(p->images * 2 * p->width) * sizeof(double);
    return tw_task_plan_c(t,
                          (backward ? 40.0 : 20.0) * (double)(p->images * p->pixels * p->channels));
}

void tw_norm_fuse(tw_norm *p, const tw_attr *attr)
{
    p->activation = attr->i[1] != 0;
    p->layer = (int)attr->i[2];
    p->rate = attr->f[1];
    if (attr->f[2] != 0) p->gain = (float)attr->f[2];
}
