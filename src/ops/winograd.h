/* Convolutions with 3 × 3 kernels at stride 1 by Winograd's minimal filtering, on NHWC, in f32 or
 * (below) in fixed point: F(4 × 4, 3 × 3), or F(2 × 2, 3 × 3) where images are so small that it
 * multiplies less.
 *
 * The outputs are cut into tiles of m × m, each of which comes from (m + 2)² inputs. Tiles and
 * weights are transformed; then, point by point of the transform, channels are a matrix product
 * over tiles; the products are transformed back. F(4 × 4) multiplies a quarter as often as the
 * definition, at three to ten times the rounding error of oneDNN's direct convolution of the same
 * shape: 1.0e-6 to 5.2e-6 of the root mean square, from 4 x 4 to 32 x 32 pixels and 32 to 512
 * channels, against 1.4e-7 to 1.3e-6 (4.1e-6 in backward-weights on AVX2; bench_conv).
 *
 * Products run at the processor's peak; what is to be saved is waiting for memory. So blocks of
 * tiles stay in a second-level cache, and what comes next is fetched: the next tile by each
 * transform, the next block by the products of this one.
 *
 * Results do not depend on the number of threads, nor of an image on the others of its batch. */
#ifndef TW_OPS_WINOGRAD_H
#define TW_OPS_WINOGRAD_H

#include "ops/conv.h"
#include "ops/kern_columns.h"
#include "ops/kern_short.h"
#include "ops/kern_winograd.h"

/* How the images of a convolution are cut; x and y are its input and output. */
typedef struct tw_winograd_grid {
    int64_t in_height, in_width, in_channels, out_height, out_width, out_channels, before[2];
    int64_t rows, columns, tiles; /* of tiles in an image; tiles in all images */
    int m, size, points;          /* size: of kern_winograd's tables */
    bool paired;      /* point -1 of the transform is not needed, in either dimension: see below */
    tw_stored stored; /* x and y */
    size_t element;   /* bytes of theirs */
} tw_winograd_grid;

/* Can a convolution of direction `direction`, or what stands for it, be computed so, and should it,
 * as `wish` says? Depends on the shapes and the processor alone. */
bool tw_winograd_suits(const tw_conv_shapes *s, const tw_attr *a, tw_conv_direction direction,
                       tw_dtype act, tw_convolution wish);

tw_winograd_grid tw_winograd_grid_of(const tw_conv_shapes *s, const tw_attr *a, tw_dtype act);

/* Is x a tensor whose pixels are repeated two by two, so that each tile of inputs is (a, b, b, c)
 * or (a, b, b, c, c, d) in rows and columns? Its transform is zero then at the point -1. What that
 * point adds to outputs, (1, -1, 1, -1) times a number, cancels likewise in sums of two. */
bool tw_winograd_is_paired(const tw_winograd_grid *g, const tw_value *x);

/* Does a point belong to those that `paired` spares: 7 of 16, 11 of 36? */
static inline bool tw_winograd_spares(const tw_winograd_grid *g, int64_t point)
{
    enum { MINUS_ONE = 2 }; /* kern_winograd.c's order */
    return g->paired && (point % (g->m + 2) == MINUS_ONE || point / (g->m + 2) == MINUS_ONE);
}

/* Where the (m + 2)² inputs of a tile are, first channel; `zeros` where they are padding. */
void tw_winograd_inputs(const tw_winograd_grid *g, int64_t tile, const void *x, const void *zeros,
                        const void **pixel);
/* Offsets of the m² outputs of a tile; -1 where the image has ended. */
void tw_winograd_outputs(const tw_winograd_grid *g, int64_t tile, int64_t *at);

/* Memory, which is fetched into the second-level cache by pieces. */
typedef struct tw_winograd_reach {
    const char *first, *end;
} tw_winograd_reach;

/* What the rows of x hold that tiles [first, first + count) touch, count > 0; of y likewise. */
tw_winograd_reach tw_winograd_input_reach(const tw_winograd_grid *g, const void *x, int64_t first,
                                          int64_t count);
tw_winograd_reach tw_winograd_output_reach(const tw_winograd_grid *g, const void *y, int64_t first,
                                           int64_t count);
/* Piece `k` of `all`. */
void tw_winograd_fetch(const tw_winograd_reach *r, int64_t k, int64_t all);

/* The layout of tw_winograd_kernel, of every 16 × 16 channels in the same memory. */
tw_md_blocking tw_winograd_kernel_layout(void);

/* "winograd4:avx2"; "winograd4:avx512_vnni" of products in fixed point */
tw_status tw_winograd_name(tw_task *t, const tw_winograd_grid *g, bool fixed);

/* y = conv(x) */
typedef struct tw_winograd {
    tw_winograd_grid grid;
    const tw_kern_winograd *kern;
    const tw_kern_panel *panel;
    int64_t in_panels, out_panels;
    int64_t block, blocks;      /* tiles at a time */
    int64_t group, groups;      /* output panels at a time */
    tw_winograd_row v, m, u;    /* strides of transformed inputs, products and weights */
    int64_t zeros, inputs, own; /* floats of a thread's scratch: the zeros it begins with,
                                   transformed inputs, all */
    int threads;
    const tw_kern_short *fixed; /* products are in fixed point; NULL: in f32 */
    bool native;                /* by AVX512_VNNI */
    bool flip;
    bool direct; /* the store's tiles are tw_winograd_kernels: nothing is copied */
    float gain;  /* of the result */
    tw_weights_copy weights;
} tw_winograd;

/* Prepares the convolution of shapes `s` for a task: its scratch and packed memory, its
 * implementation. With `flip`, the task's parameter has the exchanged shape and is turned round. */
tw_status tw_winograd_create(tw_winograd *out, tw_task *t, const tw_conv_shapes *s,
                             const tw_attr *a, bool flip);
void tw_winograd_destroy(tw_winograd *w);
/* Unit `unit` of the stored weights (weights.h), by one thread. */
void tw_winograd_pack(const tw_winograd *w, const tw_task *t, int64_t unit);

/* out[0] = gain (conv(in[0]) [+ bias] [+ summand]); both may be NULL, and the summand may be
 * out[0].
 */
void tw_winograd_run(const tw_winograd *w, const tw_task *t, const float *bias,
                     const void *summand);

/* Some output panels of a block, and what is to be read next. */
typedef struct tw_winograd_work {
    int64_t first, count; /* tiles */
    int64_t panel, last;  /* output panels [panel, last) */
    tw_winograd_reach next;
} tw_winograd_work;

/* Of bf16, where the processor has AVX512_VNNI, transformed numbers are multiplied in fixed point
 * (kern_short.h), in all directions: here rows are the tiles' points, columns those of the weights.
 *
 * Products are as fast as bf16's, whose eight bits are too few for F(4 x 4): random numbers with
 * weights that are not rounded err by 0.019 of the root mean square in bf16, by 0.002 here, and by
 * 0.0017 in a direct convolution of weights in bf16. */
bool tw_winograd_fixed_suits(const tw_winograd_grid *g);
/* Strides of v and u are numbers of 16 bits then; how many floats a block's transformed inputs
 * take, their scales and one tile in f32 behind them. */
void tw_winograd_fixed_layout(tw_winograd *w);
int64_t tw_winograd_fixed_inputs_size(const tw_winograd *w);
size_t tw_winograd_fixed_packed_bytes(const tw_winograd *w);
void tw_winograd_fixed_pack(const tw_winograd *w, const tw_task *t);
/* The weights of 16 × 16 channels from (i, o) on, in `copy` where they are elsewhere otherwise;
 * zeros behind the last channels. */
const tw_winograd_kernel *tw_winograd_weights(const tw_winograd *w, const tw_task *t,
                                              tw_winograd_kernel *copy, int64_t i, int64_t o);
void tw_winograd_fixed_inputs(const tw_winograd *w, float *v, const void *x, const float *zeros,
                              int64_t first, int64_t count);
void tw_winograd_fixed_multiply(const tw_winograd *w, float *m, const float *v, const void *packed,
                                const tw_winograd_work *k);

/* gw = the gradient of y's convolution with respect to its weights, gb with respect to its bias */
typedef struct tw_winograd_gradient {
    tw_winograd_grid grid;
    const tw_kern_winograd *kern;
    const tw_kern_panel *panel;
    const tw_kern_columns *columns;
    int64_t in_panels, out_panels;
    int64_t segments, block; /* of tiles: with sums of their own; tiles at a time */
    int64_t group, groups;   /* output panels at a time */
    tw_winograd_row v, z, u; /* strides of transformed inputs, gradients and weights' gradients */
    int64_t zeros, sums, bias, own; /* floats: zeros that scratch begins with; sums of a segment, of
                                       weights and bias; transformed tiles of a thread, or of all */
    int64_t strip;                  /* floats of each thread: what becomes fixed-point numbers */
    int threads;
    bool together;              /* all threads work on one segment */
    const tw_kern_short *fixed; /* products are in fixed point; NULL: in f32 */
    bool native;                /* by AVX512_VNNI */
    tw_weights_copy weights;
} tw_winograd_gradient;

/* What a thread works on: transformed tiles, the sums of a segment, output panels [first, last). */
typedef struct tw_winograd_gradient_work {
    const float *zeros;
    float *v, *z, *u, *bias, *strip;
    int64_t first, last;
} tw_winograd_gradient_work;

/* Prepares it for a task whose output 0 is the gradient: scratch, implementation. */
tw_status tw_winograd_gradient_create(tw_winograd_gradient *out, tw_task *t,
                                      const tw_conv_shapes *s, const tw_attr *a);
void tw_winograd_gradient_destroy(tw_winograd_gradient *w);

/* out[0] = gradient of in[0] = x and in[1] = gy, out[1], unless NULL, that of the bias */
void tw_winograd_gradient_run(const tw_winograd_gradient *w, const tw_task *t);

/* The bias's gradient of a panel, from `count` rows of point (1, 1) of transformed gradients. */
void tw_winograd_gradient_add_bias(const tw_winograd_gradient *w,
                                   const tw_winograd_gradient_work *k, const float *z,
                                   int64_t panel, int64_t count, bool add);

/* The same in fixed point: scales belong to a channel at a point, over the tiles of a block. A sum
 * of a block errs by 9e-6 |x| |y|, the roots of its sums of squares, however its tiles differ in
 * size (kern_short.h): so by what grows with the root of their number. Gradients of random numbers
 * err by 0.0005 to 0.0009 of their root mean square with 64 tiles, from 8 x 8 to 32 x 32 pixels and
 * 128 to 512 channels, and of 16 images whose gradients differ by factors up to 1e6 too; by 0.0017
 * with 256 tiles; rounding x and gy to bf16 makes 0.0024. More tiles read and write sums less
 * often, but with 48 to 128 of them that is the same time.
 *
 * Strides of v and z are numbers of 16 bits, of `block` tiles. */
enum { TW_WINOGRAD_FIXED_TILES = 64 };
void tw_winograd_gradient_fixed_layout(tw_winograd_gradient *w);
/* Part `part` of `parts` of the channels of tiles [first, first + count). */
void tw_winograd_gradient_fixed_transform(const tw_winograd_gradient *w, const tw_task *t,
                                          const tw_winograd_gradient_work *k, int64_t first,
                                          int64_t count, int64_t part, int64_t parts, bool add);
/* One point and one panel of output channels. */
void tw_winograd_gradient_fixed_multiply(const tw_winograd_gradient *w,
                                         const tw_winograd_gradient_work *k, int64_t point,
                                         int64_t panel, int64_t count, bool add);

#endif
