/* Philox words and Box–Muller normals, 16 blocks at a time.
 *
 * Box and Muller 1958: for u uniform on (0, 1] and an angle φ uniform on the circle, r = √(−2 ln
 * u), (r cos φ, r sin φ) are two standard normals. Of a block's words 0 and 2 give u, words 1 and 3
 * give φ.
 *
 * The logarithm, sine and cosine are polynomials made of additions, multiplications, one
 * division-free range reduction and a square root, all correctly rounded, in a fixed order; the
 * build forbids contraction to fused multiply-add in this module. So every instruction set gives
 * the same bits, and the loops over lanes are vector code in each. Accuracy is tested against libm
 * in double. */
#include <math.h>

#include "rng/kern_rng.h"

#define NAME_(isa) rng_kernels_##isa
#define NAME(isa) NAME_(isa)

/* ln u for u in [2^-32, 1]: Cephes' logf. u = 2^e m with m in [√½, √2), ln u = e ln 2 + ln(1 + (m −
 * 1)); ln 2 is split in two so that the product with e is exact in its high part. */
static inline float logarithm(float u)
{
    union {
        float f;
        int32_t i;
    } bits = {.f = u};
    /* 0x3f3504f3 is √½: subtracting it makes the exponent field count from there. */
    const int32_t e = (bits.i - 0x3f3504f3) >> 23;
    bits.i -= e * (1 << 23);
    const float x = bits.f - 1.0f, x2 = x * x, k = (float)e;
    float y = 7.0376836292e-2f;
    y = y * x - 1.1514610310e-1f;
    y = y * x + 1.1676998740e-1f;
    y = y * x - 1.2420140846e-1f;
    y = y * x + 1.4249322787e-1f;
    y = y * x - 1.6668057665e-1f;
    y = y * x + 2.0000714765e-1f;
    y = y * x - 2.4999993993e-1f;
    y = y * x + 3.3333331174e-1f;
    y = y * x * x2;
    y = y + k * -2.12194440e-4f;
    y = y - 0.5f * x2;
    return x + y + k * 0.693359375f;
}

/* u = (31 bits + ½) / 2^31, in (0, 1]; the largest |z| is √(64 ln 2) = 6.66. */
static inline float radius(uint32_t word)
{
    const float u = ((float)(int32_t)(word >> 1) + 0.5f) * 0x1p-31f;
    return sqrtf(-2.0f * logarithm(u));
}

/* cos and sin of an angle whose quadrant is the word's top 2 bits and whose place in it, from −π/4
 * to π/4, is the other 30. */
static inline void circle(uint32_t word, float *cosine, float *sine)
{
    const float x = (float)(int32_t)(word << 2) * (0x1.921fb6p-1f * 0x1p-31f), x2 = x * x;
    const float s =
        ((-1.9515295891e-4f * x2 + 8.3321608736e-3f) * x2 - 1.6666654611e-1f) * x2 * x + x;
    const float c =
        ((2.443315711809948e-5f * x2 - 1.388731625493765e-3f) * x2 + 4.166664568298827e-2f) * x2 *
            x2 -
        0.5f * x2 + 1.0f;
    const uint32_t quadrant = word >> 30;
    const float a = quadrant & 1 ? s : c, b = quadrant & 1 ? c : s;
    *cosine = (quadrant + 1) & 2 ? -a : a;
    *sine = quadrant & 2 ? -b : b;
}

static void words(uint32_t *out, tw_rng_key key, uint32_t block, int64_t chunks)
{
    for (int64_t i = 0; i < chunks; i++, out += CHUNK, block += TW_RNG_LANES) {
        uint32_t w[4][TW_RNG_LANES];
        tw_rng_block16(w, key, block);
#pragma omp simd
        for (int l = 0; l < TW_RNG_LANES; l++)
            for (int j = 0; j < 4; j++) out[4 * l + j] = w[j][l];
    }
}

static void normals(float *out, tw_rng_key key, uint32_t block, int64_t chunks)
{
    for (int64_t i = 0; i < chunks; i++, out += CHUNK, block += TW_RNG_LANES) {
        uint32_t w[4][TW_RNG_LANES];
        float z[4][TW_RNG_LANES];
        tw_rng_block16(w, key, block);
#pragma omp simd
        for (int l = 0; l < TW_RNG_LANES; l++) {
            float c0, s0, c1, s1;
            const float r0 = radius(w[0][l]), r1 = radius(w[2][l]);
            circle(w[1][l], &c0, &s0);
            circle(w[3][l], &c1, &s1);
            z[0][l] = r0 * c0;
            z[1][l] = r0 * s0;
            z[2][l] = r1 * c1;
            z[3][l] = r1 * s1;
        }
#pragma omp simd
        for (int l = 0; l < TW_RNG_LANES; l++)
            for (int j = 0; j < 4; j++) out[4 * l + j] = z[j][l];
    }
}

const rng_kernels NAME(TW_ISA) = {.words = words, .normals = normals};
