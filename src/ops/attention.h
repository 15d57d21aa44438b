/* Attention over the positions of an image (Vaswani et al. 2017; without projections), what
 * op_attention.c and op_attention_grad.c share.
 *
 * For each image and head, with Q, K, V [P, D] (D = C / heads), softmax over rows:
 *
 *     S = Q Kᵀ,  A = softmax(scale · S),  O = A V
 *
 * Derivation of the backward pass, gX standing for ∂L/∂X. From O = A V: gV = Aᵀ gO and gA = gO Vᵀ.
 * A row a = softmax(scale · s) has ∂a_i/∂s_j = scale · a_i (δ_ij - a_j), so gs_j = scale · a_j
 * (ga_j - Σ_i a_i ga_i). From S = Q Kᵀ: gQ = gS K and gK = gSᵀ Q.
 *
 * A block of queries at a time has its rows of S, which its rows of A replace, and its rows of gA,
 * which those of gS replace: no thread needs a P × P matrix. Of A the backward pass gets all where
 * that is no more than O, and computes it again by blocks where it is more, from Q and K and two
 * numbers of each query: the largest score and the sum of exponentials (Dao et al. 2022, arXiv
 * 2205.14135; 10 products of P × D with P for 8). gK and gV are sums over blocks of queries.
 *
 * Blocks hang on the shape alone and stay in the second-level cache. Forward, threads share blocks;
 * backward, images and heads, since gK and gV are sums in the order of blocks. The products are
 * oneDNN primitives of one thread, made once for each thread since their memory objects and
 * scratchpads may not be shared. S, gA and sums over blocks are f32 in any precision. */
#ifndef TW_OPS_ATTENTION_H
#define TW_OPS_ATTENTION_H

#include "ops/dnnl_primitive.h"
#include "ops/kern_attention.h"

/* attention       qkv [N, …, 3C] -> o [N, …, C], kept                   i[0] heads, i[1] order (a
 *                                                               tw_qkv_order), f[0] scale
 * attention_grad  qkv, kept, go -> gqkv                                 the same
 *
 * kept, for the gradient: A [N, heads, P, P], or rows [N, heads, 2, P], which are f32: of each
 * query the largest score and, behind those of all queries, 1 / Σ_j exp(scale (s_j - largest)). */
extern const tw_op tw_op_attention, tw_op_attention_grad;

enum { TW_ATTENTION_BUFFERS_MAX = 10 };

/* A matrix as oneDNN is told of it. */
typedef struct tw_attention_matrix {
    int64_t row_stride, column_stride;
    tw_dtype type;
} tw_attention_matrix;

typedef struct tw_attention_product {
    int64_t m, n, k;
    tw_attention_matrix a, b, c;
    bool add; /* to c */
} tw_attention_product;

typedef struct tw_attention_state {
    int64_t images, positions, heads, width, channels; /* width = D */
    tw_dtype type;
    tw_stored stored;
    float scale;
    /* Are Q, K, V, O and their gradients copied to and from dense matrices? oneDNN's best products
     * take no others. Large f32 ones are not: the copies cost more than they bring (256 positions
     * of 256 channels, oneDNN 2.6.3: 135 µs strided, 130 µs dense). */
    bool packed;
    bool keeps;                   /* tw_attention_keeps */
    int64_t head_step, part_step; /* in qkv: from head to head, from q to k and k to v */
    int64_t qkv_stride, o_stride; /* from position to position in the matrices that products see */
    int64_t block, blocks;        /* queries at a time; the last block may have fewer */
    int threads, count;
    tw_primitive *products;                  /* [threads][count] */
    size_t offset[TW_ATTENTION_BUFFERS_MAX]; /* of a thread's buffers in its scratch */
    size_t scratchpad, thread_bytes;
    const tw_kern_attention *kernel;
} tw_attention_state;

/* Heads divide C; P and so on from the shapes. */
tw_status tw_attention_check(const tw_node *n);

/* Are probabilities kept, for heads and a result of shape o? And the shape and type of what is. */
bool tw_attention_keeps(tw_shape o, int64_t heads);
tw_shape tw_attention_kept_shape(tw_shape o, int64_t heads);
tw_type tw_attention_kept_type(tw_shape o, int64_t heads, tw_type type);

/* Makes the state of a task but for products and buffers. Release it with tw_attention_destroy,
 * which is the op's destroy(). */
tw_status tw_attention_create(tw_task *t);
void tw_attention_destroy(tw_task *t);

/* Cuts positions into blocks, of which one has `bytes` for each pair of positions. @param jobs that
 * there should be, with images and heads, to keep threads busy */
void tw_attention_cut(tw_attention_state *s, int64_t bytes, int64_t jobs);

/* Positions of block b. */
static inline int64_t tw_attention_rows(const tw_attention_state *s, int64_t b)
{
    return b < s->blocks - 1 ? s->block : s->positions - b * s->block;
}

/* Makes the products for each thread, then gives each thread the buffers (bytes[0 … buffers)) and
 * the largest scratchpad behind them. */
tw_status tw_attention_prepare(tw_task *t, const tw_attention_product *products, int count,
                               const size_t *bytes, int buffers);

/* The calling thread's buffer i, and its product i on data in the order A, B, C. */
void *tw_attention_buffer(const tw_attention_state *s, void *scratch, int i);
void tw_attention_multiply(const tw_attention_state *s, int i, const void *a, const void *b,
                           void *c, void *scratch);

/* The matrix of rows × D elements that begins at `first` and has `stride` elements from row to row:
 * itself where products take it, else copied to `buffer`. For results the other way: where a
 * product is to write, and the copy from there. */
const void *tw_attention_gather(const tw_attention_state *s, void *buffer, const void *data,
                                int64_t first, int64_t stride, int64_t rows);
void *tw_attention_target(const tw_attention_state *s, void *buffer, void *data, int64_t first,
                          int64_t stride);
void tw_attention_scatter(const tw_attention_state *s, void *data, int64_t first, int64_t stride,
                          const void *buffer, int64_t rows);

#endif
