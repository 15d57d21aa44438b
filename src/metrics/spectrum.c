/* Sums over rings of Fourier modes. Blocks of samples are shared by the threads and added in their
 * order, so a spectrum does not depend on how many there are. */
#include "tweedie/spectrum.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "metrics/fft.h"
#include "tweedie/memory.h"

enum { BLOCK = 16 };

typedef struct work {
    int64_t height, width, channels, rings;
    fft *rows, *columns;
    int32_t *ring;       /* [height][width]; −1: beyond half a cycle per pixel */
    fft_number *field;   /* [BLOCK][channels][height][width] */
    fft_number *scratch; /* [BLOCK][scratch] */
    double *sums;        /* [BLOCK][channels][channels][rings] */
} work;

/* Signed frequency of index i of n, cycles per pixel. */
static double frequency_of(int64_t i, int64_t n)
{
    return (double)(2 * i <= n ? i : i - n) / (double)n;
}

static void make_rings(work *w, tw_spectrum *s)
{
    const int64_t longer = w->height > w->width ? w->height : w->width;
    for (int64_t y = 0; y < w->height; y++)
        for (int64_t x = 0; x < w->width; x++) {
            const double k = hypot(frequency_of(y, w->height), frequency_of(x, w->width));
            const int64_t ring = llround(k * (double)longer);
            const bool inside = ring < w->rings;
            w->ring[y * w->width + x] = inside ? (int32_t)ring : -1;
            if (!inside) continue;
            s->modes[ring]++;
            s->frequency[ring] += k;
        }
    for (int64_t j = 0; j < w->rings; j++)
        if (s->modes[j]) s->frequency[j] /= (double)s->modes[j];
}

static tw_status make_work(work *w, tw_spectrum *s)
{
    tw_status st = TW_OK;
    int64_t pixels, numbers, sums;
    TW_TRY(tw_multiply(&pixels, w->height, w->width, "a spectrum"));
    TW_TRY(tw_multiply(&numbers, pixels, BLOCK * w->channels, "a spectrum"));
    TW_TRY(tw_multiply(&sums, w->channels * w->channels, w->rings, "a spectrum"));
    TW_TRY(fft_create(&w->rows, w->width));
    TW_TRY(fft_create(&w->columns, w->height));
    const int64_t a = fft_scratch(w->rows), b = fft_scratch(w->columns);
    TW_TRY(tw_alloc(&w->ring, pixels, sizeof *w->ring, "a spectrum"));
    TW_TRY(tw_alloc(&w->field, numbers, sizeof *w->field, "a spectrum"));
    TW_TRY(tw_alloc(&w->scratch, BLOCK * (a > b ? a : b), sizeof *w->scratch, "a spectrum"));
    TW_TRY(tw_alloc(&w->sums, BLOCK * sums, sizeof *w->sums, "a spectrum"));
    TW_TRY(tw_alloc(&s->modes, w->rings, sizeof *s->modes, "a spectrum"));
    TW_TRY(tw_alloc(&s->frequency, w->rings, sizeof *s->frequency, "a spectrum"));
    TW_TRY(tw_alloc(&s->cross, sums, sizeof *s->cross, "a spectrum"));
    make_rings(w, s);
done:
    return st;
}

static void free_work(work *w)
{
    fft_destroy(&w->rows);
    fft_destroy(&w->columns);
    tw_free(&w->ring);
    tw_free(&w->field);
    tw_free(&w->scratch);
    tw_free(&w->sums);
}

/* The modes of one sample, channel by channel. */
static void transform(const work *w, const float *x, fft_number *field, fft_number *scratch)
{
    const int64_t pixels = w->height * w->width;
    for (int64_t c = 0; c < w->channels; c++) {
        fft_number *f = field + c * pixels;
        for (int64_t p = 0; p < pixels; p++) f[p] = (fft_number){(double)x[p * w->channels + c], 0};
        for (int64_t y = 0; y < w->height; y++) fft_run(w->rows, f + y * w->width, 1, scratch);
        for (int64_t k = 0; k < w->width; k++) fft_run(w->columns, f + k, w->width, scratch);
    }
}

static void add_pairs(const work *w, const fft_number *field, double *sums)
{
    const int64_t pixels = w->height * w->width;
    memset(sums, 0, (size_t)(w->channels * w->channels * w->rings) * sizeof *sums);
    for (int64_t a = 0; a < w->channels; a++)
        for (int64_t b = 0; b <= a; b++) {
            const fft_number *u = field + a * pixels, *v = field + b * pixels;
            double *sum = sums + (a * w->channels + b) * w->rings;
            for (int64_t p = 0; p < pixels; p++)
                if (w->ring[p] >= 0) sum[w->ring[p]] += u[p].re * v[p].re + u[p].im * v[p].im;
        }
}

static void add_block(const work *w, const float *x, int64_t n, double *cross)
{
    const int64_t pixels = w->height * w->width, numbers = pixels * w->channels,
                  sums = w->channels * w->channels * w->rings, a = fft_scratch(w->rows),
                  b = fft_scratch(w->columns), scratch = a > b ? a : b;
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < n; i++) {
        transform(w, x + i * numbers, w->field + i * numbers, w->scratch + i * scratch);
        add_pairs(w, w->field + i * numbers, w->sums + i * sums);
    }
    for (int64_t i = 0; i < n; i++)
        for (int64_t k = 0; k < sums; k++) cross[k] += w->sums[i * sums + k];
}

/* Sums as means over samples and modes; the other half of the pairs. */
static void finish(tw_spectrum *s, const work *w, int64_t count)
{
    const double pixels = (double)(w->height * w->width);
    for (int64_t a = 0; a < s->channels; a++)
        for (int64_t b = 0; b <= a; b++)
            for (int64_t j = 0; j < s->rings; j++) {
                double *one = &s->cross[(a * s->channels + b) * s->rings + j];
                *one /= (double)count * pixels * (double)(s->modes[j] ? s->modes[j] : 1);
                s->cross[(b * s->channels + a) * s->rings + j] = *one;
            }
}

tw_status tw_spectrum_compute(tw_spectrum *out, const float *x, int64_t count, int64_t height,
                              int64_t width, int64_t channels)
{
    tw_status st = TW_OK;
    const int64_t longer = height > width ? height : width;
    work w = {.height = height, .width = width, .channels = channels, .rings = longer / 2 + 1};
    tw_spectrum s = {.channels = channels, .rings = w.rings};
    TW_TRY(make_work(&w, &s));
    for (int64_t first = 0; first < count; first += BLOCK)
        add_block(&w, x + first * height * width * channels,
                  count - first < BLOCK ? count - first : BLOCK, s.cross);
    finish(&s, &w, count);
    *out = s;
    s = (tw_spectrum){0};
done:
    free_work(&w);
    tw_spectrum_free(&s);
    return st;
}

void tw_spectrum_free(tw_spectrum *s)
{
    tw_free(&s->modes);
    tw_free(&s->frequency);
    tw_free(&s->cross);
    *s = (tw_spectrum){0};
}

const double *tw_spectrum_of(const tw_spectrum *s, int64_t a, int64_t b)
{
    return s->cross + (a * s->channels + b) * s->rings;
}

double tw_spectrum_coherence(const tw_spectrum *s, int64_t a, int64_t b, int64_t ring)
{
    const double both = tw_spectrum_of(s, a, b)[ring];
    return both * both / (tw_spectrum_of(s, a, a)[ring] * tw_spectrum_of(s, b, b)[ring]);
}

double tw_spectrum_distance(const tw_spectrum *p, const tw_spectrum *q)
{
    double sum = 0;
    int64_t count = 0;
    for (int64_t c = 0; c < p->channels; c++)
        for (int64_t j = 1; j < p->rings; j++) {
            const double a = tw_spectrum_of(p, c, c)[j], b = tw_spectrum_of(q, c, c)[j];
            if (!(a > 0 && b > 0)) continue;
            sum += log(a / b) * log(a / b);
            count++;
        }
    return count ? sqrt(sum / (double)count) : NAN;
}
