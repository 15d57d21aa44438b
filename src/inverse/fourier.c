/* The Fourier transform of any size: decimation in time over the smallest prime factor, which for a
 * prime is the definition itself. Sizes are those of pictures, so O(n²) of a prime costs little. */
#include <math.h>
#include <string.h>

#include "inverse/basis.h"
#include "tweedie/memory.h"

struct tw_fourier {
    int64_t h, w;
    tw_complex *root_h, *root_w;  /* exp(−2πi k / n) */
    tw_complex *line, *out, *few; /* [max(h, w)] each */
};

static tw_complex times(tw_complex a, tw_complex b)
{
    return (tw_complex){a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}

static int64_t smallest_factor(int64_t n)
{
    for (int64_t p = 2; p * p <= n; p++)
        if (n % p == 0) return p;
    return n;
}

/* out[k] = Σ_j x[j stride] exp(−2πi j k / n); root is of size N = n · step. `few` holds p numbers,
 * p the smallest factor: no deeper call is active while it is in use. */
static void transform(int64_t n, const tw_complex *x, int64_t stride, tw_complex *out,
                      const tw_complex *root, int64_t step, tw_complex *few)
{
    if (n == 1) {
        out[0] = x[0];
        return;
    }
    const int64_t p = smallest_factor(n), m = n / p;
    for (int64_t r = 0; r < p; r++)
        transform(m, x + r * stride, stride * p, out + r * m, root, step * p, few);
    for (int64_t k = 0; k < m; k++) {
        for (int64_t r = 0; r < p; r++) few[r] = times(out[r * m + k], root[r * k * step]);
        for (int64_t q = 0; q < p; q++) {
            tw_complex sum = few[0];
            for (int64_t r = 1; r < p; r++) {
                const tw_complex t = times(few[r], root[r * q % p * m * step]);
                sum.re += t.re;
                sum.im += t.im;
            }
            out[q * m + k] = sum;
        }
    }
}

static tw_status make_roots(tw_complex **out, int64_t n)
{
    tw_status st = TW_OK;
    TW_TRY(tw_alloc(out, n, sizeof **out, "roots of unity"));
    for (int64_t k = 0; k < n; k++) {
        const double angle = -2 * M_PI * (double)k / (double)n;
        (*out)[k] = (tw_complex){cos(angle), sin(angle)};
    }
done:
    return st;
}

tw_status tw_fourier_create(tw_fourier **out, int64_t height, int64_t width)
{
    tw_status st = TW_OK;
    tw_fourier *f = NULL;
    const int64_t longest = height > width ? height : width;
    TW_TRY(tw_alloc(&f, 1, sizeof *f, "a Fourier transform"));
    f->h = height;
    f->w = width;
    TW_TRY(make_roots(&f->root_h, height));
    TW_TRY(make_roots(&f->root_w, width));
    TW_TRY(tw_alloc(&f->line, longest, sizeof *f->line, "a Fourier transform"));
    TW_TRY(tw_alloc(&f->out, longest, sizeof *f->out, "a Fourier transform"));
    TW_TRY(tw_alloc(&f->few, longest, sizeof *f->few, "a Fourier transform"));
    *out = f;
    f = NULL;
done:
    tw_fourier_destroy(&f);
    return st;
}

void tw_fourier_destroy(tw_fourier **fourier)
{
    tw_fourier *f = *fourier;
    if (!f) return;
    tw_free(&f->root_h);
    tw_free(&f->root_w);
    tw_free(&f->line);
    tw_free(&f->out);
    tw_free(&f->few);
    tw_free(fourier);
}

/* Rows, then columns, in place; scaled to be unitary. */
static void both_axes(tw_fourier *f, tw_complex *modes)
{
    const double scale = 1 / sqrt((double)(f->h * f->w));
    for (int64_t y = 0; y < f->h; y++) {
        memcpy(f->line, modes + y * f->w, (size_t)f->w * sizeof *modes);
        transform(f->w, f->line, 1, modes + y * f->w, f->root_w, 1, f->few);
    }
    for (int64_t x = 0; x < f->w; x++) {
        for (int64_t y = 0; y < f->h; y++) f->line[y] = modes[y * f->w + x];
        transform(f->h, f->line, 1, f->out, f->root_h, 1, f->few);
        for (int64_t y = 0; y < f->h; y++)
            modes[y * f->w + x] = (tw_complex){scale * f->out[y].re, scale * f->out[y].im};
    }
}

void tw_fourier_forward(tw_fourier *f, const double *x, int64_t stride, tw_complex *modes)
{
    for (int64_t i = 0; i < f->h * f->w; i++) modes[i] = (tw_complex){x[i * stride], 0};
    both_axes(f, modes);
}

/* The inverse is the conjugate of the transform of the conjugate. */
void tw_fourier_backward(tw_fourier *f, tw_complex *modes, double *x, int64_t stride)
{
    for (int64_t i = 0; i < f->h * f->w; i++) modes[i].im = -modes[i].im;
    both_axes(f, modes);
    for (int64_t i = 0; i < f->h * f->w; i++) x[i * stride] = modes[i].re;
}

int64_t tw_fourier_partner(int64_t height, int64_t width, int64_t i)
{
    return (height - i / width) % height * width + (width - i % width) % width;
}

void tw_fourier_pack(int64_t height, int64_t width, const tw_complex *modes, double *c,
                     int64_t stride)
{
    for (int64_t i = 0; i < height * width; i++) {
        const int64_t j = tw_fourier_partner(height, width, i);
        c[i * stride] = i == j  ? modes[i].re
                        : i < j ? M_SQRT2 * modes[i].re
                                : M_SQRT2 * modes[j].im;
    }
}

void tw_fourier_unpack(int64_t height, int64_t width, const double *c, int64_t stride,
                       tw_complex *modes)
{
    for (int64_t i = 0; i < height * width; i++) {
        const int64_t j = tw_fourier_partner(height, width, i);
        const double a = c[i * stride], b = c[j * stride];
        modes[i] = i == j  ? (tw_complex){a, 0}
                   : i < j ? (tw_complex){M_SQRT1_2 * a, M_SQRT1_2 * b}
                           : (tw_complex){M_SQRT1_2 * b, -M_SQRT1_2 * a};
    }
}
