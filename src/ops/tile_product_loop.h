/* The product over tiles, in the operations of tile.h: included once by each form. */
#ifndef TW_OPS_TILE_PRODUCT_LOOP_H
#define TW_OPS_TILE_PRODUCT_LOOP_H

#include "ops/tile.h"
#include "ops/tile_product.h"

enum { TW_TILE_SUM_BYTES = TW_TILE_SIDE * sizeof(float) };

/* Registers 0 to 3 are the sums, 4 and 5 tiles of a, 6 and 7 tiles of b. */
TW_TILE_TARGET TW_INLINE void multiply_tiles(const tw_tile_product *p, const int rows,
                                             const int columns)
{
    TW_TILE_REGISTERS;
    const int64_t row_bytes = p->a_stride * (int64_t)sizeof(tw_bf16);
    float *c = p->c;
    TW_TILE_ZERO(0);
    if (columns > 1) TW_TILE_ZERO(1);
    if (rows > 1) TW_TILE_ZERO(2);
    if (rows > 1 && columns > 1) TW_TILE_ZERO(3);
    if (p->add) {
        TW_TILE_LOAD(0, c, TW_TILE_SUM_BYTES);
        if (columns > 1) TW_TILE_LOAD(1, c + p->c_column, TW_TILE_SUM_BYTES);
        if (rows > 1) TW_TILE_LOAD(2, c + p->c_row, TW_TILE_SUM_BYTES);
        if (rows > 1 && columns > 1) TW_TILE_LOAD(3, c + p->c_row + p->c_column, TW_TILE_SUM_BYTES);
    }
    for (int64_t s = 0; s < p->segments; s++) {
        const tw_bf16 *a = p->a + s * p->a_segment, *b = p->b + s * p->b_segment;
        for (int64_t k = 0; k < p->steps; k++) {
            TW_TILE_LOAD(4, a, row_bytes);
            TW_TILE_LOAD(6, b, TW_TILE_BYTES);
            TW_TILE_DOT(0, 4, 6);
            if (columns > 1) TW_TILE_LOAD(7, b + p->b_tile, TW_TILE_BYTES);
            if (columns > 1) TW_TILE_DOT(1, 4, 7);
            if (rows > 1) TW_TILE_LOAD(5, a + TW_TILE_SIDE * p->a_stride, row_bytes);
            if (rows > 1) TW_TILE_DOT(2, 5, 6);
            if (rows > 1 && columns > 1) TW_TILE_DOT(3, 5, 7);
            a += TW_TILE_STEP;
            b += TW_TILE_STEP * TW_TILE_SIDE;
        }
    }
    TW_TILE_STORE(0, c, TW_TILE_SUM_BYTES);
    if (columns > 1) TW_TILE_STORE(1, c + p->c_column, TW_TILE_SUM_BYTES);
    if (rows > 1) TW_TILE_STORE(2, c + p->c_row, TW_TILE_SUM_BYTES);
    if (rows > 1 && columns > 1) TW_TILE_STORE(3, c + p->c_row + p->c_column, TW_TILE_SUM_BYTES);
}

TW_TILE_TARGET static void multiply(const tw_tile_product *p)
{
    if (p->rows > 1 && p->columns > 1)
        multiply_tiles(p, 2, 2);
    else if (p->rows > 1)
        multiply_tiles(p, 2, 1);
    else if (p->columns > 1)
        multiply_tiles(p, 1, 2);
    else
        multiply_tiles(p, 1, 1);
}

TW_TILE_TARGET static void begin(void)
{
    tw_tile_configure();
}

TW_TILE_TARGET static void end(void)
{
    tw_tile_release();
}

#endif
