/* Products of f32 tiles for convolutions of one tap, with numbers where they lie: sums of some rows
 * times two vectors of columns, in registers.
 *
 * Panels are 16 numbers wide, [panel][k][16], as the blocked weights of the parameter store are.
 * Two vectors are half a panel, one, or two, by the width of a vector. Each number is one chain of
 * sums in the order of k, whatever the number of rows, so that no result depends on how rows are
 * cut. */
#ifndef TW_OPS_KERN_POINTWISE_H
#define TW_OPS_KERN_POINTWISE_H

#include <stdbool.h>

#include "ops/kernel.h"

enum { TW_POINTWISE_PANEL = 16 };

/* Memory that is brought into the second-level cache meanwhile: a line after every FETCH_EACH k. */
enum { TW_POINTWISE_FETCH_EACH = 4 };
typedef struct tw_pointwise_ahead {
    const char *at;
    int64_t step; /* bytes */
} tw_pointwise_ahead;

/* c[r][·] = gain (Σ_k a[r][k] b[k][·] + bias[·] + summand[r][·]); bias and summand may be NULL, the
 * summand may be c. */
typedef struct tw_pointwise_product {
    const float *a, *b, *bias, *summand;
    float *c;
    int64_t inner;        /* k */
    int64_t a_row, c_row; /* from row to row; of the summand as of c */
    int64_t b_panel;      /* from panel to panel */
    float gain;
    tw_pointwise_ahead ahead;
    int columns; /* 1 … columns of the table */
} tw_pointwise_product;

/* c[r][·] = [c[r][·] +] Σ_k a[k][r] b[k][·]; c in panels too, [panel][r][16]. */
typedef struct tw_pointwise_sum {
    const float *a, *b;
    float *c;
    int64_t inner;
    int64_t b_panel, c_panel;
    tw_pointwise_ahead ahead[2];
    bool add;
} tw_pointwise_sum;

typedef struct tw_kern_pointwise {
    int rows_max, columns;
    void (*product)(const tw_pointwise_product *p, int rows); /* 1 … rows_max rows */
    void (*sum)(const tw_pointwise_sum *p, int rows);         /* as many, 16 at most */
    /* Panels of `count` rows of x, which are `row` apart, `panel` from one panel to the next; zeros
     * behind the last channel. Unless sums is NULL, sums[channel] = [sums[channel] +] the sum of
     * the rows, of whole panels. */
    void (*lay_out)(float *to, int64_t panel, const float *x, int64_t row, int64_t count,
                    int64_t channels, float *sums, bool add);
    /* The same of bf16, where the processor has AVX512_BF16, NULL elsewhere: numbers of panels are
     * two pixels' then, in 32 bits, and a `k` is both; behind the last of an odd count lie zeros.
     */
    void (*sum_pairs)(const tw_pointwise_sum *p, int rows);
    void (*lay_out_pairs)(float *to, int64_t panel, const tw_bf16 *x, int64_t row, int64_t count,
                          int64_t channels, float *sums, bool add);
} tw_kern_pointwise;

TW_KERNEL_DECLARE(tw_kern_pointwise);

#endif
