/* Matrix products Y = A B [+ bias] whose bits depend on no number of threads.
 *
 * oneDNN cuts a product by the threads that there are, along the inner dimension too where the sum
 * is long: on AVX2 nearly always (gemm:jit), on AVX-512 from some 2,000 terms on (brgemm). Here the
 * cut into pieces hangs on the shape alone; each piece is a primitive of one thread, and pieces
 * along the inner dimension are added in their order. */
#ifndef TW_OPS_PRODUCT_H
#define TW_OPS_PRODUCT_H

#include "ops/dnnl_primitive.h"

/* How one operand lies in memory, in elements. */
typedef struct tw_product_matrix {
    int64_t row_stride, column_stride;
    tw_dtype type; /* f32, or bf16 where oneDNN computes in it (tw_dnnl_bf16_unit) */
} tw_product_matrix;

/* A [rows, inner], B [inner, columns] and dense Y [rows, columns], `count` times one behind the
 * other. */
typedef struct tw_product_shape {
    int64_t count, rows, inner, columns;
    tw_product_matrix a, b;
    tw_dtype y;
    bool bias; /* f32 [columns], the same for all */
} tw_product_shape;

typedef struct tw_product {
    tw_product_shape shape;
    int64_t rows, inner, columns; /* of a piece; the last ones may have fewer */
    int64_t row_pieces, inner_pieces, column_pieces, jobs;
    int threads;
    tw_primitive *pieces;             /* [threads][last row][last inner][last column] */
    size_t thread_bytes, sums_offset; /* of the scratch: a thread's own; the partial sums */
    size_t scratch_bytes;
    char implementation[80];
} tw_product;

/* Makes the primitives of as many threads as OpenMP has now. */
tw_status tw_product_create(tw_product *out, const tw_product_shape *shape);
void tw_product_destroy(tw_product *p);

/* Computes; bias may be NULL where the shape has none. */
void tw_product_run(const tw_product *p, const void *a, const void *b, const float *bias, void *y,
                    void *scratch);

#endif
