/* Operations on tiles, as AMX has them: matrices of 16 rows of 64 bytes, in eight registers.
 *
 * A file defines TW_TILE_AMX or does not and includes this: the operations are then the processor's
 * instructions, or plain C that gives the same bits. Register numbers are constants 0 … 7.
 *
 *   TW_TILE_REGISTERS             declares the registers, at the beginning of a function
 *   TW_TILE_ZERO(k)               register k = 0
 *   TW_TILE_LOAD(k, p, stride)    register k = 16 rows from p on, `stride` bytes apart
 *   TW_TILE_STORE(k, p, stride)   the other way
 *   TW_TILE_DOT(c, a, b)          c[m][n] += Σ_k a[m][2k] b[k][2n] + a[m][2k+1] b[k][2n+1], bf16
 *
 * TDPBF16PS sums the even and the odd terms in chains of 16 fused multiply-adds of f32, adds the
 * two, and adds the result to c; each step rounds to nearest even, reads denormal numbers as 0 and
 * gives 0 for them, whatever MXCSR says (Intel SDM vol. 2). */
#ifndef TW_OPS_TILE_H
#define TW_OPS_TILE_H

#include <math.h>

#include "ops/element.h"

enum { TW_TILE_ROWS = 16, TW_TILE_BYTES = 64, TW_TILE_REGISTER_COUNT = 8 };

#ifdef TW_TILE_AMX

#include <immintrin.h>

#define TW_TILE_TARGET __attribute__((target("amx-tile,amx-bf16,avx512f")))
#define TW_TILE_REGISTERS
#define TW_TILE_ZERO(k) _tile_zero(k)
#define TW_TILE_LOAD(k, p, stride) _tile_loadd(k, p, stride)
#define TW_TILE_STORE(k, p, stride) _tile_stored(k, p, stride)
#define TW_TILE_DOT(c, a, b) _tile_dpbf16ps(c, a, b)

/* All eight registers of 16 rows of 64 bytes: palette 1 (Intel SDM vol. 1, 18.3). A constant: GCC
 * 12 tells its optimiser of the first 8 bytes alone that the instruction reads. */
typedef struct tw_tile_configuration {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} tw_tile_configuration;

TW_TILE_TARGET static inline void tw_tile_configure(void)
{
    static const tw_tile_configuration c = {.palette = 1,
                                            .row_bytes = {64, 64, 64, 64, 64, 64, 64, 64},
                                            .rows = {16, 16, 16, 16, 16, 16, 16, 16}};
    _tile_loadconfig(&c);
}

TW_TILE_TARGET static inline void tw_tile_release(void)
{
    _tile_release();
}

#else

#define TW_TILE_TARGET
#define TW_TILE_REGISTERS tw_tile_register tw_tile_at[TW_TILE_REGISTER_COUNT]
#define TW_TILE_ZERO(k) memset(&tw_tile_at[k], 0, sizeof tw_tile_at[k])
#define TW_TILE_LOAD(k, p, stride) tw_tile_load(&tw_tile_at[k], p, stride)
#define TW_TILE_STORE(k, p, stride) tw_tile_store(&tw_tile_at[k], p, stride)
#define TW_TILE_DOT(c, a, b) tw_tile_dot(&tw_tile_at[c], &tw_tile_at[a], &tw_tile_at[b])

typedef union tw_tile_register {
    float sum[16][16];
    tw_bf16 half[16][32];
} tw_tile_register;

static inline void tw_tile_configure(void)
{
}

static inline void tw_tile_release(void)
{
}

static inline void tw_tile_load(tw_tile_register *t, const void *from, int64_t stride)
{
    for (int r = 0; r < TW_TILE_ROWS; r++)
        memcpy(t->half[r], (const char *)from + r * stride, TW_TILE_BYTES);
}

static inline void tw_tile_store(const tw_tile_register *t, void *to, int64_t stride)
{
    for (int r = 0; r < TW_TILE_ROWS; r++)
        memcpy((char *)to + r * stride, t->half[r], TW_TILE_BYTES);
}

/* A denormal number is 0 of its sign. */
static inline float tw_tile_flush(float x)
{
    return fabsf(x) < 0x1p-126f ? copysignf(0, x) : x;
}

/* The sum of f32, and with a product of two bf16 numbers, exact in double, rounded once: 53 bits
 * are more than twice the 24 and two, so rounding to double first changes nothing. Tiny is what is
 * tiny after rounding to 24 bits. */
static inline float tw_tile_round(double x)
{
    return fabs(x) < 0x1p-126 - 0x1p-151 ? (float)copysign(0, x) : (float)x;
}

static inline void tw_tile_dot(tw_tile_register *c, const tw_tile_register *a,
                               const tw_tile_register *b)
{
    for (int m = 0; m < 16; m++) {
        float even[16] = {0}, odd[16] = {0};
        for (int k = 0; k < 16; k++) {
            const double a0 = (double)tw_tile_flush(tw_from_bf16(a->half[m][2 * k])),
                         a1 = (double)tw_tile_flush(tw_from_bf16(a->half[m][2 * k + 1]));
            for (int n = 0; n < 16; n++) {
                const double b0 = (double)tw_tile_flush(tw_from_bf16(b->half[k][2 * n])),
                             b1 = (double)tw_tile_flush(tw_from_bf16(b->half[k][2 * n + 1]));
                even[n] = tw_tile_round((double)even[n] + a0 * b0);
                odd[n] = tw_tile_round((double)odd[n] + a1 * b1);
            }
        }
        for (int n = 0; n < 16; n++) {
            const float sum = tw_tile_round((double)even[n] + (double)odd[n]);
            c->sum[m][n] = tw_tile_round((double)tw_tile_flush(c->sum[m][n]) + (double)sum);
        }
    }
}

#endif
#endif
