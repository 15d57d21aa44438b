/* A convolution's weights between the parameter store and the layouts and types that oneDNN's
 * primitives want.
 *
 * Every layout that occurs is blocked, so the offset of w[o, i, k] is a sum of a function of o, one
 * of i and one of k. A copy between two of them is described by the six tables; transposing and
 * turning the kernel round exchange and reverse tables. */
#ifndef TW_OPS_WEIGHTS_H
#define TW_OPS_WEIGHTS_H

#include "ops/dnnl_primitive.h"

/* Descriptor of weights as the parameter store keeps them (f32, plain or blocked), for oneDNN. */
tw_status tw_weights_md(tw_md *out, tw_shape shape, tw_layout layout);

/* The shape of `flipped` weights: [in, out, kernel…]. */
tw_shape tw_weights_flipped_shape(tw_shape shape);

/* One side of a copy: offsets of each o, i and k, in elements. */
typedef struct tw_weights_side {
    int64_t *o, *i, *k;
} tw_weights_side;

/* Stored weights are packed in units, stretches of memory that hold whole tiles of 16 x 16 (o, i):
 * of blocked ones a tile, of plain ones 16 rows. @return numbers of one unit */
int64_t tw_weights_unit(tw_shape shape, tw_layout layout);

/* The tiles of unit `unit`: (o, first), (o, first + 16), … with their i below `end`. */
typedef struct tw_weights_tiles {
    int64_t o, first, end;
} tw_weights_tiles;
tw_weights_tiles tw_weights_tiles_of(tw_shape shape, tw_layout layout, int64_t unit);

typedef struct tw_weights_copy {
    tw_shape shape; /* of the stored weights, with their layout */
    tw_layout layout;
    bool direct;  /* both sides are the same: nothing is copied */
    bool rounded; /* f32 that holds bf16 numbers: of bf16 plans where oneDNN computes in f32 */
    int64_t out, in, taps;
    tw_dtype to_type;
    tw_weights_side from, to;
    int64_t *tables; /* owned: the memory of all six */
} tw_weights_copy;

/* From the store to `wanted`, values of `type` (f32 or bf16; bf16 may be wanted as f32). With
 * `flip`, wanted is of the flipped shape: to[i][o][k] = from[o][i][K - 1 - k], which makes a
 * backward-data convolution of stride 1 a forward one. */
tw_status tw_weights_copy_pack(tw_weights_copy *out, tw_shape shape, tw_layout layout, bool flip,
                               const tw_md *wanted, tw_dtype type);

/* The same for a blocked layout that is not oneDNN's. */
tw_status tw_weights_copy_pack_blocked(tw_weights_copy *out, tw_shape shape, tw_layout layout,
                                       bool flip, const tw_md_blocking *wanted, tw_dtype type);

/* From what a backward-weights primitive writes (f32) to the store. */
tw_status tw_weights_copy_unpack(tw_weights_copy *out, tw_shape shape, tw_layout layout,
                                 const tw_md *given);
tw_status tw_weights_copy_unpack_blocked(tw_weights_copy *out, tw_shape shape, tw_layout layout,
                                         const tw_md_blocking *given);
void tw_weights_copy_destroy(tw_weights_copy *c);

/* Does a copy fill memory of `bytes`, so that the layout pads nothing? */
bool tw_weights_copy_fills(const tw_weights_copy *c, size_t bytes);

/* Copies; what `to` pads beyond the weights' own shape is left alone. */
void tw_weights_copy_run(const tw_weights_copy *c, void *to, const float *from);

/* The tiles of one unit of the stored weights, by one thread. */
void tw_weights_copy_unit(const tw_weights_copy *c, void *to, const float *from, int64_t unit);

/* The part of it that begins with the store's w[o, i], multiples of 16, and is 16 of both at most;
 * by one thread. */
void tw_weights_copy_tile(const tw_weights_copy *c, void *to, const float *from, int64_t o,
                          int64_t i);

#endif
