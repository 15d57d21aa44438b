/* One row of an image, filtered and resampled. */
#ifndef TW_OPS_KERN_FIR_H
#define TW_OPS_KERN_FIR_H

#include "ops/kernel.h"

enum { TW_FIR_TAPS = 8, TW_FIR_ROWS = TW_FIR_TAPS * TW_FIR_TAPS };

/* What output pixel j of a row is made of: Σ_k weight[k] · column(first + k). Patterns repeat every
 * `period` output pixels, of which each moves `advance` columns on. */
typedef struct tw_fir_pattern {
    int64_t first;
    int64_t count;
    float weight[TW_FIR_TAPS];
} tw_fir_pattern;

typedef struct tw_fir_row {
    const void *rows[TW_FIR_ROWS]; /* input rows of `columns` pixels, and their weights */
    float weight[TW_FIR_ROWS];
    int64_t count;
    int64_t columns, pixels, c; /* of an input row; of the output row; channels */
    int64_t period, advance;
    const tw_fir_pattern *pattern; /* [period] */
} tw_fir_row;

typedef void tw_fir_filter(void *out, const tw_fir_row *r);

typedef struct tw_kern_fir {
    tw_fir_filter *filter[2];
} tw_kern_fir;

TW_KERNEL_DECLARE(tw_kern_fir);

#endif
