/* Loops of group normalisation, for each instruction set and for f32 and bf16 storage.
 *
 * Every loop walks blocks of pixels outside and channels inside: memory is read in its order, and
 * the per-channel numbers stay in the first cache. Sums are taken in f32 over the pixels of one
 * block, whose number is fixed, and added to f64; so they depend on nothing but the shape and the
 * instruction set. */
#include "ops/kern_norm.h"

#include "ops/dropout_bytes.h"
#include "ops/simd.h"

enum {
    MOMENT_ROWS = 16,   /* pixels that moments() holds in registers */
    GRADIENT_ROWS = 32, /* pixels between two additions to f64 */
    AHEAD = 2048        /* elements of what is read row by row */
};

/* The table's three versions of a loop whose storage is an argument. Where kernels are not compiled
 * for AVX-512 the third is the second. */
#define FOR_ONE_STORAGE(loop, suffix, stored)                                                      \
    static void loop##_##suffix(const tw_norm_tile *t)                                             \
    {                                                                                              \
        loop(t, stored);                                                                           \
    }
#ifdef TW_SIMD_AVX512
#define FOR_EACH_STORAGE(loop)                                                                     \
    FOR_ONE_STORAGE(loop, f32, TW_STORED_F32)                                                      \
    FOR_ONE_STORAGE(loop, bf16, TW_STORED_BF16)                                                    \
    FOR_ONE_STORAGE(loop, native, TW_STORED_BF16_NATIVE)
#else
#define FOR_EACH_STORAGE(loop)                                                                     \
    FOR_ONE_STORAGE(loop, f32, TW_STORED_F32)                                                      \
    FOR_ONE_STORAGE(loop, bf16, TW_STORED_BF16)
#define moments_native moments_bf16
#define apply_native apply_bf16
#define gradient_sums_native gradient_sums_bf16
#define gradient_apply_native gradient_apply_bf16
#endif

/* Columns are taken one after the other over some rows: too far apart for a processor to foresee,
 * so each brings its part of the next rows near. */
TW_INLINE void fetch(const void *x, int64_t at, tw_stored k)
{
    enum { SECOND_LEVEL = 2 };
    const int64_t size = k != TW_STORED_F32 ? sizeof(tw_bf16) : sizeof(float);
    __builtin_prefetch((const char *)x + at * size, 0, SECOND_LEVEL);
}

/* ---- moments ---- */

/* One column of vectors, at most MOMENT_ROWS pixels: from the column's own mean m, Σ x = rows · m +
 * Σ (x - m) and Σ x² = Σ (x - m)² + 2 m Σ (x - m) + rows · m², where only products with m need f64.
 */
TW_INLINE void moments_column(const tw_norm_tile *t, tw_stored k, int64_t pixel, int rows,
                              int64_t c, int n)
{
    tw_vec v[MOMENT_ROWS], s0 = tw_vzero(), s1 = tw_vzero(), q0 = tw_vzero(), q1 = tw_vzero();
    for (int r = 0; r < rows; r++) {
        v[r] = tw_vload(t->x, (pixel + r) * t->stride + c, k, n);
        fetch(t->x, (pixel + rows + r) * t->stride + c, k);
    }
    for (int r = 0; r < rows; r++) {
        if (r % 2)
            s1 += v[r];
        else
            s0 += v[r];
    }
    const tw_vec s = s0 + s1, mean = s * (1.0f / (float)rows);
    tw_vec e0 = tw_vzero(), e1 = tw_vzero();
    for (int r = 0; r < rows; r++) {
        const tw_vec d = v[r] - mean;
        if (r % 2) {
            q1 += d * d;
            e1 += d;
        } else {
            q0 += d * d;
            e0 += d;
        }
    }
    /* The sum of deviations is not quite 0 since the mean was rounded. bf16 has so few digits that
     * their sum was exact. */
    const tw_vec q = q0 + q1, e = k != TW_STORED_F32 ? s - mean * (float)rows : e0 + e1;
    for (int half = 0; half < 2; half++) {
        double *sum = t->sum0 + c + half * (TW_LANES / 2),
               *square = t->sum1 + c + half * (TW_LANES / 2);
        const tw_vecd m = tw_vto_double(mean, half), me = tw_vto_double(e, half);
        tw_vstore_f64(sum, tw_vload_f64(sum) + (m * (double)rows + me));
        tw_vstore_f64(square, tw_vload_f64(square) +
                                  (tw_vto_double(q, half) + m * (m * (double)rows + 2.0 * me)));
    }
}

TW_INLINE void moments_row_block(const tw_norm_tile *t, tw_stored k, int64_t pixel, int rows)
{
    int64_t c = 0;
    for (; c + TW_LANES <= t->channels; c += TW_LANES)
        moments_column(t, k, pixel, rows, c, TW_LANES);
    if (c < t->channels) moments_column(t, k, pixel, rows, c, (int)(t->channels - c));
}

TW_INLINE void moments(const tw_norm_tile *t, tw_stored k)
{
    int64_t pixel = 0;
    for (; pixel + MOMENT_ROWS <= t->pixels; pixel += MOMENT_ROWS)
        moments_row_block(t, k, pixel, MOMENT_ROWS);
    if (pixel < t->pixels) moments_row_block(t, k, pixel, (int)(t->pixels - pixel));
}

FOR_EACH_STORAGE(moments)

/* ---- forward ---- */

/* e^u for u <= 0 as (1 + more) · scale, scale a power of 2, with Cephes's series of e^r - 1:
 * neither ELU nor its slope has a bias then, which the means of channels would gather. */
typedef struct split_exp {
    tw_vec more, scale;
} split_exp;

TW_INLINE split_exp exp_negative(tw_vec u)
{
    const tw_vec x = tw_vmax(tw_vset(-87.0f), tw_vmin(tw_vzero(), u)); /* a NaN passes both */
    const tw_vec magic = tw_vset(12582912.0f); /* 1.5 · 2^23 rounds to whole numbers */
    const tw_vec m = x * 1.44269504f + magic, n = m - magic;
    const tw_vec r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
    tw_vec p = 1.9875691500e-4f * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    return (split_exp){.more = p * (r * r) + r, .scale = (tw_vec)(((tw_veci)m << 23) + 0x3f800000)};
}

/* `up` where u > 0, else `down`. */
TW_INLINE tw_vec by_sign(tw_vec u, tw_vec up, tw_vec down)
{
    const tw_veci positive = u > tw_vzero();
    return (tw_vec)(((tw_veci)up & positive) | ((tw_veci)down & ~positive));
}

TW_INLINE tw_vec elu(tw_vec u)
{
    const split_exp e = exp_negative(u);
    return by_sign(u, u, e.more * e.scale + (e.scale - 1.0f));
}

TW_INLINE tw_vec elu_slope(tw_vec u)
{
    const split_exp e = exp_negative(u);
    return by_sign(u, tw_vset(1.0f), e.more * e.scale + e.scale);
}

TW_INLINE void apply_vector(const tw_norm_tile *t, tw_stored k, tw_norm_activation activation,
                            bool dropout, int64_t pixel, int64_t c, int n)
{
    const tw_vec x = tw_vload(t->x, pixel * t->stride + c, k, n);
    const tw_vec shift = tw_vload_f32(t->shift + c, TW_LANES), a = tw_vload_f32(t->a + c, TW_LANES),
                 b = tw_vload_f32(t->b + c, TW_LANES);
    tw_vec y = a * (x - shift) + b;
    if (activation == TW_NORM_SILU) y = y * tw_vsigmoid(y, k == TW_STORED_F32);
    if (activation == TW_NORM_ELU) y = elu(y);
    if (dropout) y = tw_vkeep(y * t->keep, t->bytes + pixel * t->bytes_stride + c, t->threshold, n);
    tw_vstore(t->y, pixel * t->stride + c, y, k, n);
}

TW_INLINE void apply_rows(const tw_norm_tile *t, tw_stored k, tw_norm_activation activation,
                          bool dropout)
{
    const int64_t whole = t->channels / TW_LANES * TW_LANES;
    for (int64_t pixel = 0; pixel < t->pixels; pixel++) {
        for (int64_t c = 0; c < whole; c += TW_LANES)
            apply_vector(t, k, activation, dropout, pixel, c, TW_LANES);
        if (whole < t->channels)
            apply_vector(t, k, activation, dropout, pixel, whole, (int)(t->channels - whole));
    }
}

TW_INLINE void apply(const tw_norm_tile *tile, tw_stored k)
{
    const tw_norm_tile
        copy = *tile,
        *t = &copy; /* stores to y cannot change a local copy, so its members stay in registers */
    if (t->activation == TW_NORM_ELU)
        apply_rows(t, k, TW_NORM_ELU, false);
    else if (t->activation && t->bytes)
        apply_rows(t, k, TW_NORM_SILU, true);
    else if (t->activation)
        apply_rows(t, k, TW_NORM_SILU, false);
    else if (t->bytes)
        apply_rows(t, k, TW_NORM_NONE, true);
    else
        apply_rows(t, k, TW_NORM_NONE, false);
}

FOR_EACH_STORAGE(apply)

/* ---- backward ---- */

typedef struct gradient_flags {
    tw_stored stored;
    tw_norm_activation activation;
    bool dropout, store;
} gradient_flags;

TW_INLINE void gradient_column(const tw_norm_tile *t, gradient_flags f, int64_t pixel, int64_t rows,
                               int64_t c, int n)
{
    const tw_vec shift = tw_vload_f32(t->shift + c, TW_LANES), a = tw_vload_f32(t->a + c, TW_LANES),
                 b = tw_vload_f32(t->b + c, TW_LANES);
    tw_vec s0 = tw_vzero(), s1 = tw_vzero(), s2 = tw_vzero();
    for (int64_t r = pixel; r < pixel + rows; r++) {
        const tw_vec d = tw_vload(t->x, r * t->stride + c, f.stored, n) - shift;
        tw_vec g = tw_vload(t->gy, r * t->stride + c, f.stored, n);
        fetch(t->x, (r + rows) * t->stride + c, f.stored);
        fetch(t->gy, (r + rows) * t->stride + c, f.stored);
        if (f.activation == TW_NORM_ELU) g = g * elu_slope(a * d + b);
        if (f.activation == TW_NORM_SILU) { /* (u σ(u))' = σ + u σ (1 - σ) */
            const tw_vec u = a * d + b, s = tw_vsigmoid(u, f.stored == TW_STORED_F32);
            g = g * (s * (u * (1.0f - s) + 1.0f));
        }
        if (f.dropout)
            g = tw_vkeep(g * t->keep, t->bytes + r * t->bytes_stride + c, t->threshold, n);
        if (f.store) tw_vstore(t->gx, r * t->stride + c, g, f.stored, n);
        s0 += g;
        s1 += g * d;
        s2 += d;
    }
    for (int half = 0; half < 2; half++) {
        const int64_t at = c + half * (TW_LANES / 2);
        tw_vstore_f64(t->sum0 + at, tw_vload_f64(t->sum0 + at) + tw_vto_double(s0, half));
        tw_vstore_f64(t->sum1 + at, tw_vload_f64(t->sum1 + at) + tw_vto_double(s1, half));
        tw_vstore_f64(t->sum2 + at, tw_vload_f64(t->sum2 + at) + tw_vto_double(s2, half));
    }
}

TW_INLINE void gradient_blocks(const tw_norm_tile *t, gradient_flags f)
{
    const int64_t whole = t->channels / TW_LANES * TW_LANES;
    for (int64_t pixel = 0; pixel < t->pixels; pixel += GRADIENT_ROWS) {
        const int64_t left = t->pixels - pixel, rows = left < GRADIENT_ROWS ? left : GRADIENT_ROWS;
        for (int64_t c = 0; c < whole; c += TW_LANES)
            gradient_column(t, f, pixel, rows, c, TW_LANES);
        if (whole < t->channels)
            gradient_column(t, f, pixel, rows, whole, (int)(t->channels - whole));
    }
}

TW_INLINE void gradient_sums_stored(const tw_norm_tile *t, tw_stored k, bool store)
{
    if (t->activation == TW_NORM_ELU)
        gradient_blocks(t, (gradient_flags){k, TW_NORM_ELU, false, store});
    else if (t->activation && t->bytes)
        gradient_blocks(t, (gradient_flags){k, TW_NORM_SILU, true, store});
    else if (t->activation)
        gradient_blocks(t, (gradient_flags){k, TW_NORM_SILU, false, store});
    else if (t->bytes)
        gradient_blocks(t, (gradient_flags){k, TW_NORM_NONE, true, store});
    else
        gradient_blocks(t, (gradient_flags){k, TW_NORM_NONE, false, store});
}

TW_INLINE void gradient_sums(const tw_norm_tile *tile, tw_stored k)
{
    const tw_norm_tile copy = *tile, *t = &copy;
    if (t->gx)
        gradient_sums_stored(t, k, true);
    else
        gradient_sums_stored(t, k, false);
}

FOR_EACH_STORAGE(gradient_sums)

TW_INLINE void gradient_vector(const tw_norm_tile *t, tw_stored k, bool add, int64_t pixel,
                               int64_t c, int n)
{
    const tw_vec shift = tw_vload_f32(t->shift + c, TW_LANES),
                 c1 = tw_vload_f32(t->c1 + c, TW_LANES);
    const tw_vec c2 = tw_vload_f32(t->c2 + c, TW_LANES), c3 = tw_vload_f32(t->c3 + c, TW_LANES);
    const int64_t at = pixel * t->stride + c;
    const tw_vec d = tw_vload(t->x, pixel * t->stride + c, k, n) - shift;
    tw_vec gx = c1 * tw_vload(t->gx, at, k, n) + (c2 * d + c3);
    if (add) {
        gx += tw_vload(t->add, at, k, n);
        fetch(t->add, at + AHEAD, k);
    }
    tw_vstore(t->gx, at, gx * t->gain, k, n);
}

TW_INLINE void gradient_rows(const tw_norm_tile *t, tw_stored k, bool add)
{
    const int64_t whole = t->channels / TW_LANES * TW_LANES;
    for (int64_t pixel = 0; pixel < t->pixels; pixel++) {
        for (int64_t c = 0; c < whole; c += TW_LANES)
            gradient_vector(t, k, add, pixel, c, TW_LANES);
        if (whole < t->channels)
            gradient_vector(t, k, add, pixel, whole, (int)(t->channels - whole));
    }
}

TW_INLINE void gradient_apply(const tw_norm_tile *tile, tw_stored k)
{
    const tw_norm_tile copy = *tile, *t = &copy;
    if (t->add)
        gradient_rows(t, k, true);
    else
        gradient_rows(t, k, false);
}

FOR_EACH_STORAGE(gradient_apply)

static void bytes(uint8_t *out, tw_rng_key key, int layer, int64_t first, int64_t n)
{
    for (int64_t e = 0; e < n; e += 256)
        tw_dropout_bytes256(out + e, key, layer, (uint32_t)((first + e) / 16));
}

const tw_kern_norm TW_KERNEL(tw_kern_norm) = {
    .moments = {moments_f32, moments_bf16, moments_native},
    .apply = {apply_f32, apply_bf16, apply_native},
    .gradient_sums = {gradient_sums_f32, gradient_sums_bf16, gradient_sums_native},
    .gradient_apply = {gradient_apply_f32, gradient_apply_bf16, gradient_apply_native},
    .bytes = bytes,
};
