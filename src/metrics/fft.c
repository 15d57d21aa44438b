/* Radix 2 (Cooley and Tukey 1965) where n is a power of two, else as a convolution of a power of
 * two (Bluestein 1970): jk = (j² + k² − (k − j)²) / 2, so
 *
 *   X[k] = w_k Σ_j (x[j] w_j) conj w_{k − j},   w_j = exp(−πi j² / n). */
#include "metrics/fft.h"

#include <math.h>
#include <string.h>

#include "tweedie/memory.h"

struct fft {
    int64_t n, m;      /* m: the power of two that is transformed */
    fft_number *root;  /* [m / 2]: exp(−2πi j / m) */
    fft_number *chirp; /* [n]: w; NULL where n = m */
    fft_number *image; /* [m]: the transform of conj w, over m */
};

static fft_number times(fft_number a, fft_number b)
{
    return (fft_number){a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}

/* Of length m, in order. */
static void transform(const fft *f, fft_number *x)
{
    for (int64_t i = 1, j = 0; i < f->m; i++) {
        int64_t bit = f->m >> 1;
        for (; j & bit; bit >>= 1) j ^= bit;
        j ^= bit;
        if (i >= j) continue;
        const fft_number kept = x[i];
        x[i] = x[j];
        x[j] = kept;
    }
    for (int64_t half = 1; half < f->m; half *= 2)
        for (int64_t first = 0; first < f->m; first += 2 * half)
            for (int64_t k = 0; k < half; k++) {
                const fft_number b = times(f->root[k * (f->m / (2 * half))], x[first + k + half]),
                                 a = x[first + k];
                x[first + k] = (fft_number){a.re + b.re, a.im + b.im};
                x[first + k + half] = (fft_number){a.re - b.re, a.im - b.im};
            }
}

/* w_j, from j² modulo 2n so that large lengths lose nothing. */
static fft_number chirp_of(int64_t j, int64_t n)
{
    const double angle = -M_PI * (double)(j * j % (2 * n)) / (double)n;
    return (fft_number){cos(angle), sin(angle)};
}

static tw_status make_chirp(fft *f)
{
    tw_status st = TW_OK;
    TW_TRY(tw_alloc(&f->chirp, f->n, sizeof *f->chirp, "a Fourier transform"));
    TW_TRY(tw_alloc(&f->image, f->m, sizeof *f->image, "a Fourier transform"));
    for (int64_t j = 0; j < f->n; j++) {
        const fft_number w = f->chirp[j] = chirp_of(j, f->n);
        const fft_number turned = {w.re / (double)f->m, -w.im / (double)f->m};
        f->image[j] = turned;
        if (j > 0) f->image[f->m - j] = turned;
    }
    transform(f, f->image);
done:
    return st;
}

tw_status fft_create(fft **out, int64_t n)
{
    tw_status st = TW_OK;
    fft *f = NULL;
    TW_TRY(tw_alloc(&f, 1, sizeof *f, "a Fourier transform"));
    f->n = n;
    for (f->m = 1; f->m < n; f->m *= 2) continue;
    if (f->m != n)
        for (f->m = 1; f->m < 2 * n - 1; f->m *= 2) continue;
    TW_TRY(tw_alloc(&f->root, f->m / 2 + 1, sizeof *f->root, "a Fourier transform"));
    for (int64_t j = 0; j < f->m / 2; j++)
        f->root[j] = (fft_number){cos(2 * M_PI * (double)j / (double)f->m),
                                  -sin(2 * M_PI * (double)j / (double)f->m)};
    if (f->m != n) TW_TRY(make_chirp(f));
    *out = f;
    f = NULL;
done:
    fft_destroy(&f);
    return st;
}

void fft_destroy(fft **f)
{
    if (!*f) return;
    tw_free(&(*f)->root);
    tw_free(&(*f)->chirp);
    tw_free(&(*f)->image);
    tw_free(f);
}

int64_t fft_scratch(const fft *f)
{
    return f->m;
}

void fft_run(const fft *f, fft_number *x, int64_t stride, fft_number *y)
{
    for (int64_t j = 0; j < f->n; j++)
        y[j] = f->chirp ? times(x[j * stride], f->chirp[j]) : x[j * stride];
    memset(y + f->n, 0, (size_t)(f->m - f->n) * sizeof *y);
    transform(f, y);
    if (f->chirp) {
        /* the inverse is the transform between two conjugations; 1 / m is in the image */
        for (int64_t k = 0; k < f->m; k++) {
            y[k] = times(y[k], f->image[k]);
            y[k].im = -y[k].im;
        }
        transform(f, y);
        for (int64_t k = 0; k < f->n; k++) {
            y[k].im = -y[k].im;
            y[k] = times(y[k], f->chirp[k]);
        }
    }
    for (int64_t k = 0; k < f->n; k++) x[k * stride] = y[k];
}
