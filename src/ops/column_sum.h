/* Sums over the rows of a matrix: the gradient of a bias. */
#ifndef TW_OPS_COLUMN_SUM_H
#define TW_OPS_COLUMN_SUM_H

#include "ops/op.h"

/* Scratch that tw_column_sum wants. */
size_t tw_column_sum_scratch(int64_t columns);

/* out[c] = Σ_r x[r, c], x f32 or bf16, out f32. Rows are cut in a number of pieces that is fixed,
 * each summed by itself and the sums added in order: the same for any number of threads. */
void tw_column_sum(float *out, const void *x, tw_dtype type, int64_t rows, int64_t columns,
                   void *scratch);

#endif
