/* The transforms of Winograd's convolutions F(m × m, 3 × 3), m = 2 or 4 (Lavin and Gray 2016, arXiv
 * 1509.09308): y = Aᵀ [(G g Gᵀ) ⊙ (Bᵀ d B)] A for a tile of m × m results, (m + 2)² points of a
 * transform each.
 *
 * Transformed numbers lie as [point][panel][row][channel of the panel], rows being tiles, or input
 * channels of transformed weights. Panels of the input are TW_PANEL wide, as the left side of
 * kern_panel.h's products, all others as wide as its `columns`. */
#ifndef TW_OPS_KERN_WINOGRAD_H
#define TW_OPS_KERN_WINOGRAD_H

#include "ops/kern_panel.h"
#include "ops/stored.h"

enum {
    TW_WINOGRAD_POINTS_MAX = 36,
    TW_WINOGRAD_CHANNELS = 16 /* of a tile of weights, each way */
};

/* The weights of 16 × 16 channels: [kernel row][kernel column][input][output]. */
typedef float tw_winograd_kernel[9][TW_WINOGRAD_CHANNELS][TW_WINOGRAD_CHANNELS];

enum { TW_WINOGRAD_GRAM = 45 /* pairs k <= l of 9 */ };
typedef struct tw_winograd_gram {
    float at[TW_WINOGRAD_GRAM][TW_WINOGRAD_CHANNELS];
} tw_winograd_gram;

/* A number for each point and each of 16 output channels. */
typedef struct tw_winograd_columns {
    float at[TW_WINOGRAD_POINTS_MAX][TW_WINOGRAD_CHANNELS];
} tw_winograd_columns;

/* One row of transformed numbers. */
typedef struct tw_winograd_row {
    float *at; /* point 0, panel 0 */
    int64_t point_stride, panel_stride;
} tw_winograd_row;

typedef struct tw_winograd_output {
    const float *bias;   /* of the first channel, or NULL */
    const void *summand; /* added to the result, where the result is (and may be there), or NULL */
    void *y;
    float gain;           /* factor of the sum of all */
    const int64_t *at;    /* offset of each pixel of the tile, row by row; -1: not there */
    const int64_t *ahead; /* of the tile that comes next, which is fetched meanwhile */
} tw_winograd_output;

/* By m, [0] of 2, [1] of 4, and by how x, y and their gradients are stored; all transformed numbers
 * are f32. Channels are counted from the row's first; panels are written whole,
 * with zeros behind the last channel. */
typedef struct tw_kern_winograd {
    /* Bᵀ d B; pixel: of the tile's (m + 2)², row by row; ahead: those of the tile that comes next,
     * which are fetched into the cache meanwhile. */
    void (*input[2][TW_STORED_COUNT])(const tw_winograd_row *v, const void *const *pixel,
                                      const void *const *ahead, int64_t channels);
    /* Aᵀ m A, with bias and summand. */
    void (*output[2][TW_STORED_COUNT])(const tw_winograd_row *m, const tw_winograd_output *to,
                                       int64_t channels);
    /* A gy Aᵀ; pixel: of the tile's m², row by row; ahead: as of input. */
    void (*gradient[2][TW_STORED_COUNT])(const tw_winograd_row *z, const void *const *pixel,
                                         const void *const *ahead, int64_t channels);
    /* G g Gᵀ of `inputs` rows, which lie one after the other in a panel, and of `outputs` channels,
     * a multiple of every vector. */
    void (*weights[2])(const tw_winograd_row *u, const tw_winograd_kernel *g, int64_t inputs,
                       int64_t outputs);
    /* The same for products in fixed point (kern_short.h), of 16 inputs and 16 outputs: `gram` adds
     * Σ_i g[k][i][o] g[l][i][o] over these inputs, for kernel positions k <= l, of numbers times
     * TW_SHORT_UNIT. From those of all inputs come `squares` of transformed ones, a little more
     * than Σ_i u². `fixed` writes numbers of the right side, [point][pair][column][2], times their
     * scales; panels are as wide as a block at least. */
    void (*gram)(tw_winograd_gram *gram, const tw_winograd_kernel *g);
    void (*squares[2])(tw_winograd_columns *squares, const tw_winograd_gram *gram);
    void (*fixed[2])(int16_t *u, int64_t point_stride, const tw_winograd_kernel *g,
                     const tw_winograd_columns *scale);
    /* Gᵀ u G, the other way. */
    void (*weights_gradient[2])(tw_winograd_kernel *g, const tw_winograd_row *u, int64_t inputs,
                                int64_t outputs);
} tw_kern_winograd;

TW_KERNEL_DECLARE(tw_kern_winograd);

#endif
