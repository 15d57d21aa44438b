/* Networks as lists of operations on symbolic values, and their gradients.
 *
 * A graph is built for one batch size. Building allocates no tensor and reads like the paper:
 *
 *     h = tw_conv(g, x, weight, bias, &same3x3);
 *     h = tw_silu(g, tw_group_norm(g, h, gamma, beta, 32, 1e-6));
 *
 * Errors are sticky: a builder that is given NULL, or whose shapes do not fit, returns NULL and the
 * graph keeps the first message; tw_graph_status() tells it at the end. Values belong to their
 * graph. Nothing here is collective.
 *
 * Shapes are channels last: [N, C], [N, W, C], [N, H, W, C] or [N, D, H, W, C]; a scalar has rank
 * 0. */
#ifndef TWEEDIE_GRAPH_H
#define TWEEDIE_GRAPH_H

#include <stdbool.h>
#include <stdint.h>

#include "tweedie/status.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { TW_RANK_MAX = 5, TW_NAME_MAX = 96 };

/* What a value's elements are. TW_ACT is stored as f32 or bf16, as the plan's precision says;
 * TW_F32 and TW_I32 are what they say. */
typedef enum tw_type { TW_ACT, TW_F32, TW_I32 } tw_type;

typedef struct tw_shape {
    int rank;
    int64_t dims[TW_RANK_MAX];
} tw_shape;

/* How a parameter, and everything elementwise that goes with it (gradient, moments, EMA), lies
 * in memory. The checkpoint always holds TW_PLAIN. TW_BLOCKED is [O/16][I/16][kernel][16 i][16 o]
 * of a convolution's [O, I, kernel]: what oneDNN's backward-weights primitives produce and its f32
 * forward primitives read. */
typedef enum tw_layout { TW_PLAIN, TW_BLOCKED } tw_layout;

/* How convolutions with 3 x 3 kernels at stride 1 are computed: by their definition, by
 * Winograd's algorithm wherever it can be, or by it where it is faster and accurate. */
typedef enum tw_convolution {
    TW_CONVOLUTION_DIRECT,
    TW_CONVOLUTION_WINOGRAD,
    TW_CONVOLUTION_AUTO
} tw_convolution;

typedef struct tw_graph tw_graph;
typedef struct tw_node tw_node;

typedef enum tw_role {
    TW_ROLE_NODE,
    TW_ROLE_INPUT,
    TW_ROLE_PARAM,    /* a trained parameter */
    TW_ROLE_CONSTANT, /* a frozen one */
    TW_ROLE_STATE     /* a running statistic */
} tw_role;

/* A symbolic tensor; read-only for users of a graph. */
typedef struct tw_value {
    tw_type type;
    tw_role role;
    tw_layout layout;
    tw_shape shape;
    tw_node *node;    /* the producer where role is TW_ROLE_NODE */
    int output;       /* which of the producer's outputs */
    int id;           /* unique in the graph, in order of creation */
    const char *name; /* of inputs, parameters and constants; "" otherwise */
} tw_value;

/* How a parameter begins. The random ones are functions of (seed, parameter's index, element in
 * plain layout). */
typedef enum tw_init_kind {
    TW_INIT_ZEROS,
    TW_INIT_ONES,
    TW_INIT_UNIFORM, /* U(-bound, bound) */
    TW_INIT_NORMAL   /* N(mean, std²) */
} tw_init_kind;

typedef struct tw_init {
    tw_init_kind kind;
    double bound;     /* of TW_INIT_UNIFORM */
    double mean, std; /* of TW_INIT_NORMAL */
    /* Where period > 0: of each `period` elements only the first `live` begin so, the others are
     * zero (scales and shifts in one table). */
    int64_t period, live;
} tw_init;

/* Variance scaling, fan_avg, uniform (Ho et al. 2020; Song et al. 2021): bound = sqrt(3 scale /
 * ((fan_in + fan_out) / 2)); scale 0 becomes 1e-10. */
tw_init tw_init_variance_scaling(double scale, int64_t fan_in, int64_t fan_out);

/* PyTorch's default of convolutions and linear layers, weights and biases: U(±1/sqrt(fan_in)). */
tw_init tw_init_fan_in(int64_t fan_in);

extern const tw_init tw_init_zeros, tw_init_ones;

/* ---- the graph ---- */

tw_status tw_graph_create(tw_graph **out);
void tw_graph_destroy(tw_graph **graph);

/* The first error of building, or TW_OK; its message is set again for the calling thread. */
tw_status tw_graph_status(const tw_graph *g);

/* Records a builder's error, as TW_FAIL does for a function; returns NULL so that a builder may
 * return it. Later errors are ignored. */
__attribute__((format(printf, 3, 4))) tw_value *tw_graph_fail(tw_graph *g, tw_status code,
                                                              const char *format, ...);

/* A value that is given anew for each run. `name` is unique in the graph. */
tw_value *tw_input(tw_graph *g, const char *name, tw_type type, tw_shape shape);

/* The input of that name, or NULL. */
tw_value *tw_graph_input(const tw_graph *g, const char *name);

/* Whether an operation reads the input of that name. */
bool tw_graph_reads(const tw_graph *g, const char *name);

/* A trainable parameter, f32, at most rank 5, in plain layout [out, in, kernel…]. Its name is a
 * path in the module tree
 * ("down.0.res1.conv1.weight") and unique in the graph. The storage layout is chosen here, by shape
 * alone. */
tw_value *tw_param(tw_graph *g, const char *name, tw_shape shape, tw_init init);

/* As tw_param for a frozen parameter: it belongs to the network and is saved with it, is not
 * trained (Fourier frequencies, layers taken from elsewhere), and its gradient is never asked for.
 */
tw_value *tw_constant(tw_graph *g, const char *name, tw_shape shape, tw_init init);

/* As tw_constant for what is neither trained nor fixed: a running statistic, which whoever trains
 * writes to the store between two steps. Saved; no optimiser touches it, and the EMA of it is a
 * copy. */
tw_value *tw_state_param(tw_graph *g, const char *name, tw_shape shape, tw_init init);

/* What a step measures for a state parameter, f32 of its shape and layout: once the graph has
 * gradients (tw_graph_gradient_of_params) a plan writes the value behind them, and it is summed
 * over microbatches and ranks as they are. */
void tw_graph_statistic(tw_graph *g, tw_value *state, tw_value *value);

/* A network of its own in a graph that has another one. */
typedef struct tw_graph_scope {
    const char *prefix; /* of the names of its parameters; "": none */
    bool frozen;        /* what it declares as trained is frozen (tw_constant), without dropout */
    bool again;         /* it is there already: its parameters are those of the same names, where
                           otherwise a second one of a name is refused */
} tw_graph_scope;

/* Parameters of all roles that are declared until the matching pop are of that scope, within those
 * that are open already; at most 4. Inputs are not. To build a network twice with the same
 * parameters open its scope twice, the second time with `again`. */
void tw_graph_push_scope(tw_graph *g, const tw_graph_scope *scope);
void tw_graph_pop_scope(tw_graph *g);

/* Names a value so that a plan keeps it and its user can read it after a run. */
void tw_graph_output(tw_graph *g, const char *name, tw_value *value);

/* Adds the operations that compute the gradient of sum(y · seed) with respect to wrt[0..n).
 * @param y     any value of floating type
 * @param seed  same shape as y, or NULL for ones
 * @param[out] gradient  n values of the shapes of wrt; NULL where y does not depend on wrt[i]
 * The graph fails with TW_EUNSUPPORTED, naming the operation, where an operation on the way has no
 * gradient rule. */
void tw_graph_gradient(tw_graph *g, tw_value *y, tw_value *seed, tw_value *const *wrt, int n,
                       tw_value **gradient);

/* Does the same for all trainable parameters of the graph and marks the results as their gradients,
 * which a plan writes to the parameter store. */
void tw_graph_gradient_of_params(tw_graph *g, tw_value *loss);

/* What is minimised beside the loss, of the loss's shape: tw_graph_gradient_of_params adds it, and
 * the loss's own value knows nothing of it. */
void tw_graph_add_loss(tw_graph *g, tw_value *term);

/* The trained parameters in order of creation. */
int tw_graph_param_count(const tw_graph *g);
tw_value *tw_graph_param(const tw_graph *g, int i);

/* ---- shapes ---- */

#define TW_SHAPE(...)                                                                              \
    tw_shape_make((const int64_t[]){__VA_ARGS__},                                                  \
                  (int)(sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t)))
tw_shape tw_shape_make(const int64_t *dims, int rank);
int64_t tw_shape_count(tw_shape s);    /* elements */
int64_t tw_shape_channels(tw_shape s); /* last dimension, 1 for a scalar */
bool tw_shape_equal(tw_shape a, tw_shape b);
const char *tw_shape_text(tw_shape s, char out[64]); /* "[16, 32, 32, 128]" */

/* ---- operations: each NULL-safe, each returning its first output ---- */

/* Geometry of a convolution over rank - 2 spatial dimensions; entries beyond are ignored. */
typedef struct tw_conv_geometry {
    int64_t stride[3];
    int64_t dilation[3]; /* 1 = dense */
    int64_t before[3];   /* zero padding in front of each spatial dimension */
    int64_t after[3];    /* and behind it: may differ */
} tw_conv_geometry;

/* The same stride, dilation 1 and padding for all dimensions. */
tw_conv_geometry tw_conv_square(int64_t stride, int64_t before, int64_t after);

/* What lies outside: zeros, the reflection about the first and last position, or the period again.
 */
typedef enum tw_padding { TW_PAD_ZERO, TW_PAD_REFLECT, TW_PAD_CIRCULAR } tw_padding;

/* What convolutions, filters and pools that are added from now on find outside, in the place of
 * zeros: TW_PAD_CIRCULAR makes a network of fields on a torus, whose output of a shifted input is
 * the shifted output. What cannot be periodic fails the graph then: convolutions that do not keep
 * the extent or divide it by their stride. Interpolation has no corners to keep then. */
void tw_graph_set_padding(tw_graph *g, tw_padding padding);
tw_padding tw_graph_padding(const tw_graph *g);
/* Whether anything has had such a border. */
bool tw_graph_is_padded(const tw_graph *g);

/* y = w * x + b. x [N, spatial…, I], w a value [O, I, kernel…], b [O] or NULL. */
tw_value *tw_conv(tw_graph *g, tw_value *x, tw_value *w, tw_value *b,
                  const tw_conv_geometry *geometry);

/* The adjoint of a convolution of that geometry that maps [N, extent…, I] to x's shape [N,
 * spatial…, O], plus b: w is [O, I, kernel…], b [I] or NULL. PyTorch's ConvTranspose, extent[]
 * saying what its output_padding does. */
tw_value *tw_conv_transposed(tw_graph *g, tw_value *x, tw_value *w, tw_value *b,
                             const tw_conv_geometry *geometry, const int64_t *extent);

/* op(a) op(b), op = transposition of the last two dimensions where asked. b has rank 2 and serves
 * all of a's matrices, or both have the same leading dimensions. */
tw_value *tw_matmul(tw_graph *g, tw_value *a, tw_value *b, bool transpose_a, bool transpose_b);

/* y = x wᵀ + b over the last dimension: x [N, …, I], w [O, I], b [O] or NULL. */
tw_value *tw_linear(tw_graph *g, tw_value *x, tw_value *w, tw_value *b);

/* Elementwise; b may have dimensions of 1 (or a lower rank: then it is aligned with the last
 * dimensions) that are repeated. */
tw_value *tw_add(tw_graph *g, tw_value *a, tw_value *b);
tw_value *tw_mul(tw_graph *g, tw_value *a, tw_value *b);
tw_value *tw_sub(tw_graph *g, tw_value *a, tw_value *b);
/* scale · x + shift */
tw_value *tw_affine(tw_graph *g, tw_value *x, double scale, double shift);
/* e^x */
tw_value *tw_exp(tw_graph *g, tw_value *x);
/* max(x, lowest)^p, lowest > 0; of a few numbers of each sample */
tw_value *tw_power(tw_graph *g, tw_value *x, double p, double lowest);
/* x itself, of which gradients know nothing. */
tw_value *tw_detach(tw_graph *g, tw_value *x);
/* Repeats dimensions of 1 up to `shape`; its adjoint sums x down to `shape`. */
tw_value *tw_broadcast(tw_graph *g, tw_value *x, tw_shape shape);
tw_value *tw_sum_to(tw_graph *g, tw_value *x, tw_shape shape);
/* The same elements under another shape. */
tw_value *tw_reshape(tw_graph *g, tw_value *x, tw_shape shape);
/* The same numbers as another type (TW_ACT or TW_F32). */
tw_value *tw_cast(tw_graph *g, tw_value *x, tw_type type);

typedef enum tw_activation_kind {
    TW_SILU,
    TW_RELU,
    TW_ELU,
    TW_SOFTPLUS,
    TW_TANH,
    TW_SIGMOID,
    TW_LEAKY_RELU, /* 0.2 x below zero */
    TW_ACTIVATION_COUNT
} tw_activation_kind;
tw_value *tw_activation(tw_graph *g, tw_value *x, tw_activation_kind kind);
tw_value *tw_silu(tw_graph *g, tw_value *x);

/* Group normalisation (Wu & He 2018), biased variance, over the channels of a group and all spatial
 * positions. gamma, beta f32 [C], or [N, C] where a condition gives each sample its own. */
tw_value *tw_group_norm(tw_graph *g, tw_value *x, tw_value *gamma, tw_value *beta, int64_t groups,
                        double eps);

/* Instance normalisation that keeps the channels' means (InstanceNorm++ of Song and Ermon 2019),
 * and ELU behind it where asked: γ (x̂ + α μ̂) + β, μ̂ being the means normalised over the channels,
 * of which there are at least 2. scales f32: γ, α, β of each image as [N, 3C], or of all images as
 * [3C]. It has no second derivative. */
tw_value *tw_instance_norm_plus(tw_graph *g, tw_value *x, tw_value *scales, double eps, bool elu);

/* softmax(scale · x) over the last dimension. */
tw_value *tw_softmax(tw_graph *g, tw_value *x, double scale);

/* softmax(scale · q kᵀ) v over the positions of each image and in each head by itself (Vaswani et
 * al. 2017), as one operation whose intermediates stay in cache. qkv [N, spatial…, 3C]: q, k and v
 * one after the other along the channels, heads along the channels of each. Gives [N, spatial…, C].
 * heads divides C; scale > 0. It has no second derivative. */
tw_value *tw_attention(tw_graph *g, tw_value *qkv, int64_t heads, double scale);

/* Both published orders along the 3C channels: q, k and v in front and heads within each, or heads
 * in front and each head's q, k and v within it (improved-diffusion's, "legacy" in
 * guided-diffusion). */
typedef enum tw_qkv_order { TW_QKV_BY_PART, TW_QKV_BY_HEAD } tw_qkv_order;
tw_value *tw_attention_ordered(tw_graph *g, tw_value *qkv, int64_t heads, double scale,
                               tw_qkv_order order);

/* Joins, and cuts [first, first + count) out of, the last dimension. */
tw_value *tw_concat(tw_graph *g, tw_value *a, tw_value *b);
tw_value *tw_slice(tw_graph *g, tw_value *x, int64_t first, int64_t count);
/* Puts x at [first, first + its channels) of a last dimension of `total` zeros. */
tw_value *tw_pad_channels(tw_graph *g, tw_value *x, int64_t first, int64_t total);

/* Each spatial position repeated `factor` times in every spatial dimension; and the mean over
 * factor^d windows. */
tw_value *tw_upsample_nearest(tw_graph *g, tw_value *x, int64_t factor);
tw_value *tw_average_pool(tw_graph *g, tw_value *x, int64_t factor);

/* A filter in each spatial dimension between whole factors (upfirdn of StyleGAN2): zeros between
 * the positions, the filter, every `down`-th value kept; zeros outside. Extents become (extent · up
 * + before + after − taps) / down + 1. */
typedef struct tw_fir_geometry {
    int64_t up, down;      /* 1 to 4 */
    int64_t before, after; /* zero padding at factor `up`; negative: cut off */
    int64_t taps;          /* 1 to 8 */
    double tap[8];         /* symmetric */
} tw_fir_geometry;
tw_value *tw_fir(tw_graph *g, tw_value *x, const tw_fir_geometry *geometry);

/* Windows of `window` positions (odd) around each position, at stride 1: their largest number, and
 * their sum over window^d, where positions outside count as nothing and as zeros. */
tw_value *tw_max_pool_same(tw_graph *g, tw_value *x, int64_t window);
tw_value *tw_average_pool_same(tw_graph *g, tw_value *x, int64_t window);

/* Linear interpolation in each spatial dimension to the extents extent[0 … rank - 2), the outermost
 * positions staying where they are (PyTorch's bilinear with align_corners); of a torus, which has
 * no outermost ones, positions are the middles of equal pieces of it. */
tw_value *tw_resize_linear(tw_graph *g, tw_value *x, const int64_t *extent);

/* The mean over the positions of a window (odd) that exist, at stride 1 (PyTorch's average pooling
 * without count_include_pad). */
tw_value *tw_average_pool_inside(tw_graph *g, tw_value *x, int64_t window);

/* Linear interpolation as libraries resize pictures: position p of `to` is taken from (p + 1/2)
 * from / to − 1/2, not beyond the borders (PyTorch's bilinear), or from p from / to (TensorFlow 1's
 * resize_bilinear). Without a smoothing filter where it makes smaller. */
typedef enum tw_resize { TW_RESIZE_CENTRES, TW_RESIZE_STARTS } tw_resize;
tw_value *tw_resize_picture(tw_graph *g, tw_value *x, const int64_t *extent, tw_resize kind);

/* Borders of so many positions around, or cut off, each spatial dimension (three numbers; those
 * beyond x's dimensions are ignored): zeros, x reflected about its first and last position, or x
 * repeated as a period, as often as it takes. */
tw_value *tw_pad(tw_graph *g, tw_value *x, const int64_t before[3], const int64_t after[3],
                 tw_padding kind);
tw_value *tw_crop(tw_graph *g, tw_value *x, const int64_t before[3], const int64_t after[3]);

/* Inverted dropout: zero with probability `rate`, else x / (1 - rate). The mask is a function of
 * (run's seed, step, global position of the sample, number of the dropout layer in the graph,
 * element) and is never stored. Identity where a run does not train. */
tw_value *tw_dropout(tw_graph *g, tw_value *x, double rate);

/* [sin(t f) ‖ cos(t f)], f_i = exp(-ln(max_period) i / (half - 1)), computed in f32 as the
 * published code does. t [N] f32 -> [N, dim]; an odd dim gets a last column of zeros. */
tw_value *tw_embed_sinusoidal(tw_graph *g, tw_value *t, int64_t dim, double max_period);
/* The same where published code differs: f_i = exp((-ln(max_period) i) / (half - shift)), rounded
 * to f32 in that order, the cosines in front where `cosines_first` (improved-diffusion: shift 0,
 * cosines first; diffusers: freq_shift and flip_sin_to_cos). */
tw_value *tw_embed_timestep(tw_graph *g, tw_value *t, int64_t dim, double max_period, double shift,
                            bool cosines_first);
/* [sin(2π t w) ‖ cos(2π t w)] with constant frequencies w [dim / 2] (Tancik et al. 2020). */
tw_value *tw_embed_fourier(tw_graph *g, tw_value *t, tw_value *frequencies);
/* Row index[n] of a table [rows, dim]. Indices outside of the table give zeros (the importer and
 * the loader refuse them). */
tw_value *tw_embed_table(tw_graph *g, tw_value *table, tw_value *index);

/* The row of a table [rows, c] that is nearest to each vector of x [.., c], both f32: i32
 * [vectors], a constant of all gradients. */
tw_value *tw_nearest_row(tw_graph *g, tw_value *x, tw_value *table);

/* weight[n] · Σ (a - b)² / D of each sample, f32 [N]; D = elements of a sample. weight [N] f32 or
 * NULL for ones. */
tw_value *tw_squared_error(tw_graph *g, tw_value *a, tw_value *b, tw_value *weight);

/* weight[n] · −log softmax(logits)[label] of each sample, f32 [N]: logits f32 [N, classes], labels
 * i32 [N], weight [N] f32 or NULL for ones. */
tw_value *tw_cross_entropy(tw_graph *g, tw_value *logits, tw_value *label, tw_value *weight);
/* f32 [N, classes]: 1 at the label i32 [N] of each row, else 0; a constant of all gradients. */
tw_value *tw_one_hot(tw_graph *g, tw_value *label, int64_t classes);

/* Any operation by its name: what a new op_NAME.c is reached by without a declaration here.
 * Attributes as that file says. */
tw_value *tw_apply(tw_graph *g, const char *op, tw_value *const *in, int n, const int64_t *i,
                   const double *f);

#ifdef __cplusplus
}
#endif

#endif
