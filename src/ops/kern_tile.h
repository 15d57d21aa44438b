/* Copies a tile of up to 16 x 16 numbers between two layouts that are each a sum of row and column
 * offsets. */
#ifndef TW_OPS_KERN_TILE_H
#define TW_OPS_KERN_TILE_H

#include "ops/kernel.h"

enum { TW_TILE = 16 };

typedef struct tw_tile {
    int64_t rows, columns;
    const int64_t *from_row, *from_column, *to_row, *to_column; /* offsets in elements */
} tw_tile;

typedef struct tw_kern_tile {
    void (*to_f32)(const tw_tile *t, float *to, const float *from);
    void (*to_rounded)(const tw_tile *t, float *to, const float *from); /* bf16 numbers, in f32 */
    void (*to_bf16)(const tw_tile *t, tw_bf16 *to, const float *from);
    void (*finish)(void); /* to be called between to_bf16 and what tells others of it */
} tw_kern_tile;

TW_KERNEL_DECLARE(tw_kern_tile);

#endif
