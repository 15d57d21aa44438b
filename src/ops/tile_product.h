/* Products of bf16 matrices by tiles, summed in f32: c[m][n] = [c[m][n] +] Σ_k a[m][k] b[k][n] over
 * segments of steps of 32 k.
 *
 * The same in three forms: AMX, the dot products of AVX512_BF16, and plain C with the bits of AMX,
 * which tests hold the first against. */
#ifndef TW_OPS_TILE_PRODUCT_H
#define TW_OPS_TILE_PRODUCT_H

#include <stdbool.h>

#include "ops/kernel.h"

enum { TW_TILE_SIDE = 16, TW_TILE_STEP = 32 /* k */ };

/* a: rows of k, `a_stride` elements apart, 16 of them a tile. b: pairs of k, [tile][k / 2][16
 * n][2], dense within a tile. c: tiles of [16 m][16 n], dense. */
typedef struct tw_tile_product {
    const tw_bf16 *a, *b;
    float *c;
    int64_t a_stride;             /* from row to row */
    int64_t b_tile;               /* to the next 16 columns of b */
    int64_t c_row, c_column;      /* to the tiles of the next 16 rows and columns of c */
    int64_t segments, steps;      /* steps of each segment */
    int64_t a_segment, b_segment; /* to the next one */
    int rows, columns;            /* tiles: 1 or 2 each */
    bool add;
} tw_tile_product;

typedef struct tw_tile_form {
    const char *name;
    void (*begin)(void); /* by a thread, before its first product of a parallel region */
    void (*multiply)(const tw_tile_product *p);
    void (*end)(void); /* after its last */
} tw_tile_form;

extern const tw_tile_form tw_tile_plain;

/* The processor's own, within $TWEEDIE_ISA and oneDNN's bounds; NULL where it has none. */
const tw_tile_form *tw_tile_form_amx(void);
const tw_tile_form *tw_tile_form_dots(void);

#endif
