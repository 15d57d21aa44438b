/* One row of an image, filtered and resampled: first over the rows, a column of pixels at a time,
 * into a ring of the columns that the filter reaches; then along the ring. */
#include "ops/kern_fir.h"

#include "ops/element.h"

enum { WIDTH = 128, RING = 16 };

/* out[to + i] = [sum[i] +] Σ_k w[k] x[k][from + i] over one to four x. */
TW_INLINE void combine4(void *out, int64_t to, tw_dtype out_type, const float *sum,
                        const void *const *x, int64_t from, tw_dtype type, const float *w,
                        int64_t count, int64_t n)
{
    const void *x0 = x[0], *x1 = count > 1 ? x[1] : x0, *x2 = count > 2 ? x[2] : x0,
               *x3 = count > 3 ? x[3] : x0;
    const float w0 = w[0], w1 = count > 1 ? w[1] : 0, w2 = count > 2 ? w[2] : 0,
                w3 = count > 3 ? w[3] : 0;
    if (count > 2 || sum) {
#pragma omp simd
        for (int64_t i = 0; i < n; i++)
            tw_store(out, to + i, out_type,
                     (sum ? sum[i] : 0) +
                         (w0 * tw_load(x0, from + i, type) + w1 * tw_load(x1, from + i, type)) +
                         (w2 * tw_load(x2, from + i, type) + w3 * tw_load(x3, from + i, type)));
        return;
    }
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        tw_store(out, to + i, out_type,
                 w0 * tw_load(x0, from + i, type) + w1 * tw_load(x1, from + i, type));
}

/* The same over any number of x, n <= WIDTH. */
TW_INLINE void combine(void *out, int64_t to, tw_dtype out_type, const void *const *x, int64_t from,
                       tw_dtype type, const float *w, int64_t count, int64_t n)
{
    float sum[WIDTH];
    if (count == 0) {
        for (int64_t i = 0; i < n; i++) tw_store(out, to + i, out_type, 0);
        return;
    }
    if (count <= 4) {
        combine4(out, to, out_type, NULL, x, from, type, w, count, n);
        return;
    }
    combine4(sum, 0, TW_DTYPE_F32, NULL, x, from, type, w, 4, n);
    for (x += 4, w += 4, count -= 4; count > 4; x += 4, w += 4, count -= 4)
        combine4(sum, 0, TW_DTYPE_F32, sum, x, from, type, w, 4, n);
    combine4(out, to, out_type, sum, x, from, type, w, count, n);
}

/* Output pixel j from the columns that are there; those outside of the image are zero. */
TW_INLINE void along(void *out, int64_t to, float (*ring)[WIDTH], const tw_fir_pattern *p,
                     int64_t first, int64_t columns, int64_t n, tw_dtype type)
{
    const void *x[TW_FIR_TAPS];
    float w[TW_FIR_TAPS];
    int64_t used = 0;
    for (int64_t k = 0; k < p->count; k++) {
        if (first + k < 0 || first + k >= columns) continue;
        x[used] = ring[(first + k) % RING];
        w[used++] = p->weight[k];
    }
    combine(out, to, type, x, 0, TW_DTYPE_F32, w, used, n);
}

/* Channels [c, c + n) of the whole row. */
TW_INLINE void channels(void *out, const tw_fir_row *r, int64_t c, int64_t n, tw_dtype type)
{
    float ring[RING][WIDTH];
    int64_t done = 0;
    for (int64_t j = 0; j < r->pixels; j++) {
        const tw_fir_pattern *p = &r->pattern[j % r->period];
        const int64_t first = p->first + j / r->period * r->advance;
        const int64_t end = first + p->count < r->columns ? first + p->count : r->columns;
        if (done < first) done = first;
        for (; done < end; done++)
            combine(ring[done % RING], 0, TW_DTYPE_F32, r->rows, done * r->c + c, type, r->weight,
                    r->count, n);
        along(out, j * r->c + c, ring, p, first, r->columns, n, type);
    }
}

TW_INLINE void filter(void *out, const tw_fir_row *r, tw_dtype type)
{
    for (int64_t c = 0; c < r->c; c += WIDTH)
        channels(out, r, c, r->c - c < WIDTH ? r->c - c : WIDTH, type);
}

static void filter_f(void *out, const tw_fir_row *r)
{
    filter(out, r, TW_DTYPE_F32);
}

static void filter_h(void *out, const tw_fir_row *r)
{
    filter(out, r, TW_DTYPE_BF16);
}

const tw_kern_fir TW_KERNEL(tw_kern_fir) = {.filter = {filter_f, filter_h}};
