/* Products of small panels of f32: c[r][·] = [c[r][·] +] Σ_k a(r, k) b[k][·], in registers.
 *
 * A panel of `a` is 16 numbers wide. `straight` reads a(r, k) with k across the panel and goes on
 * to the next panel after 16 k; `turned` reads it with r across panels, the first row being number
 * `row` of the first panel, and k down. b and c are as wide as `columns`. Each number of c is one
 * chain of sums in the order of k, whatever the number of rows, so that no result depends on how
 * rows are cut. */
#ifndef TW_OPS_KERN_PANEL_H
#define TW_OPS_KERN_PANEL_H

#include <stdbool.h>

#include "ops/kernel.h"

enum {
    TW_PANEL = 16,
    TW_PANEL_VECTORS = 2, /* in a row of b and c */
    TW_PANEL_COLUMNS_MAX = 32
};

typedef struct tw_panel_product {
    const float *a, *b;
    float *c;
    int64_t inner;    /* k */
    int64_t a_stride; /* from panel to panel */
    int64_t row;      /* of `turned`: 0 … 15, even if rows go on in the next panel */
    bool add;
} tw_panel_product;

typedef struct tw_kern_panel {
    int rows_max, columns;
    int turned_best; /* so many rows, even, are computed fastest */
    void (*straight)(const tw_panel_product *p, int rows); /* 1 … rows_max rows */
    void (*turned)(const tw_panel_product *p, int rows);
} tw_kern_panel;

TW_KERNEL_DECLARE(tw_kern_panel);

#endif
