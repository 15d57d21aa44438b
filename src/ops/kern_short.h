/* Products of f32 matrices in fixed point, of 16 bits: as many at once as of bf16, with sums that
 * are exact, and factors that are sixteen times finer.
 *
 * A row of the left side, and a column of the right one, has one scale: s x is rounded to whole
 * numbers, with s so that their root sum of squares is at most TW_SHORT_LEFT, or TW_SHORT_RIGHT. No
 * sum of products, nor a part of one, exceeds the product of the two (Cauchy-Schwarz), and that is
 * below 2^31 with what rounding adds, half a number for each of up to 65536 terms. So sums in 32
 * bits cannot overflow, and have the same bits in any order. Results are they divided by both
 * scales. Where x has a NaN or an infinity, so has its result.
 *
 * Numbers go two by two: the left side is [row][pair][2], the right one [panel][pair][column][2].
 * Of `turned` the left one is as the right one, in panels of TW_PANEL rows: both sides have rows of
 * f32 below each other as the inner dimension, and scales for their columns, whose root sums of
 * squares are at most TW_SHORT_EITHER. Then 4096 terms go without an overflow.
 */
#ifndef TW_OPS_KERN_SHORT_H
#define TW_OPS_KERN_SHORT_H

#include <math.h>
#include <stdbool.h>

#include "ops/kern_panel.h"

enum {
    TW_SHORT_LEFT = 65000,
    TW_SHORT_RIGHT = 32500,
    TW_SHORT_TERMS_MAX = 65536,
    TW_SHORT_EITHER = 46250,
    TW_SHORT_TURNED_TERMS_MAX = 4096
};

typedef struct tw_short_product {
    const int16_t *a, *b;
    const float *row, *column; /* inverse scales */
    float *c;                  /* [row][column], as wide as a panel */
    int64_t pairs, a_stride;   /* from row to row; not of `turned` */
    bool add;                  /* to c, of `turned` */
} tw_short_product;

/* Panels are as wide as kern_panel.h's. */
typedef struct tw_kern_short {
    int rows_max;
    /* 1 … rows_max rows; [1] where the processor has AVX512_VNNI, which is no instruction set of
     * ours: the same bits. */
    void (*product[2])(const tw_short_product *p, int rows);
    void (*turned[2])(const tw_short_product *p, int rows);
    /* A panel of either side of `turned`: [pair][width][2] of x, [rows][width]. `width` is a
     * multiple of the panel width of kern_panel.h's, or of TW_PANEL; a pair is filled with zeros.
     */
    void (*pairs)(int16_t *out, float *inverse, const float *x, int64_t rows, int64_t width);
    /* One row of the left side, of `count` numbers, a multiple of 16. @return the inverse scale */
    float (*left)(int16_t *out, const float *x, int64_t count);
} tw_kern_short;

TW_KERNEL_DECLARE(tw_kern_short);

/* The scale of numbers whose squares, times TW_SHORT_UNIT², add up to `squares` and are at most
 * `top`; its inverse. Squares of what is multiplied by that unit neither overflow nor vanish where
 * numbers are between 1e-25 and 1e12. */
#define TW_SHORT_UNIT 0x1p20f
static inline float tw_short_scale(float squares, float top, float most, float *inverse)
{
    const float by_sum = most * TW_SHORT_UNIT / sqrtf(squares),
                by_top = (float)INT16_MAX * TW_SHORT_UNIT / sqrtf(top),
                scale = by_top < by_sum ? by_top : by_sum; /* a NaN stays */
    *inverse = squares == 0 ? 0 : 1 / scale;
    return squares == 0 ? 0 : scale;
}

#endif
