/* Group normalisation, alone and fused with what stands around it: what op_group_norm.c and
 * op_norm_act.c share.
 *
 * The mathematics (Wu and He, "Group Normalization", ECCV 2018; SiLU: Elfwing et al. 2018). For one
 * image, with P pixels, channels c of a group, M = P · channels of a group, an embedding t_c that
 * is the same for all pixels (0 where there is none):
 *
 *     μ = Σ (x + t_c) / M,  σ² = Σ (x + t_c - μ)² / M,  r = 1 / sqrt(σ² + ε)
 *     x̂ = r (x + t_c - μ),  u = γ_c x̂ + β_c,  y = keep · mask · SiLU(u)
 *
 * The embedding costs no pass: it shifts the channel's sums. u is computed as a (x - s) + b from
 * per-channel numbers s, a, b where s is μ - t_c rounded to f32: so nothing is lost to cancellation
 * however large the mean, and b takes up what the rounding left.
 *
 * Derivation of the backward pass. Let g = ∂L/∂u = keep · mask · SiLU'(u) · ∂L/∂y. A γ and β serve
 * all pixels and images, so
 *
 *     ∂L/∂γ_c = Σ g x̂,   ∂L/∂β_c = Σ g.
 *
 * Within one image and group, x̂ depends on every x through μ and r. From ∂μ/∂x_j = 1 / M and
 * ∂r/∂x_j = -r³ (x_j + t - μ) / M = -r² x̂_j / M (the derivative of σ² through μ vanishes, since
 * deviations sum to zero):
 *
 *     ∂x̂_i/∂x_j = r (δ_ij - 1 / M - x̂_i x̂_j / M)
 *
 * and with h_i = γ_c g_i the gradient with respect to x̂, the sum over i gives
 *
 *     ∂L/∂x_j = r (h_j - A1 - x̂_j A2),   A1 = Σ_i h_i / M,   A2 = Σ_i h_i x̂_i / M.
 *
 * Both averages follow from the per-channel sums Σ g and Σ g x̂, which γ and β need anyway. So one
 * pass over the image takes the sums and a second one writes gx = c1 g + c2 (x - s) + c3 with
 * per-channel numbers. The embedding reaches x + t_c of all pixels alike, hence ∂L/∂t_c = Σ_p
 * ∂L/∂x, which is c1 Σ g + c2 Σ (x - s) + c3 P: no pass either.
 *
 * Where γ and β belong to an image (scale and shift from a condition) their sums are over its
 * pixels alone.
 *
 * Cost: every image is read twice, the second time from the second-level cache if it fits there. */
#ifndef TW_OPS_NORM_H
#define TW_OPS_NORM_H

#include "ops/kern_norm.h"
#include "ops/op.h"

/* For the plan's fusion pass; the fused pair is not in reach of a graph's builders, and none of
 * these has a derivative.
 *
 * group_norm       x, gamma, beta -> y, stats
 *                  i[0] groups, f[0] ε
 * group_norm_grad  x, gamma, stats, gy -> gx, ggamma, gbeta
 *                  attributes of group_norm
 * norm_act         x [N, …, C], gamma [C], beta [C], embedding [N, C] or NULL -> y, stats
 *                  i[0] groups, i[1] SiLU follows, i[2] number of the dropout layer, f[0] ε,
 *                  f[1] rate of the dropout (0: none)
 * norm_act_grad    x, gamma, beta, stats, gy, embedding or NULL, add or NULL
 *                  -> gx, ggamma, gbeta, gembedding [N, C]
 *                  attributes of norm_act. add is a gradient of x from elsewhere, which gx contains
 *                  and gembedding, the sum over positions, does not.
 *
 * gamma and beta may be [N, C] instead, one row for each image (scale and shift from a condition);
 * ggamma and gbeta are then rows too.
 *
 * stats is f32 [N, groups, 2]: μ (of x + embedding) and r. */
extern const tw_op tw_op_group_norm, tw_op_group_norm_grad, tw_op_norm_act, tw_op_norm_act_grad;

/* Where the two give the dropout's layer, rate and so on; zeros stand for "no such thing". */
typedef struct tw_norm {
    int64_t images, pixels, channels, groups;
    int64_t width;         /* length of per-channel arrays: channels, padded */
    int64_t affine_stride; /* from image to image in gamma and beta: 0, or channels */
    int64_t chunk_pixels, chunks;
    double eps;
    bool activation;
    int layer;
    double rate;
    float gain; /* of gx, with what is added to it; f[2] of norm_act_grad, 0 for none */
    tw_dtype dtype;
    tw_stored stored;
    int threads;
    bool by_image; /* one thread does one image; else threads share the chunks of all images */
    const tw_kern_norm *kernel;
} tw_norm;

/* Everything is as in the list above; NULL where absent, and outputs NULL where nobody reads them.
 */
typedef struct tw_norm_tensors {
    const void *x, *embedding, *gy, *add;
    const float *gamma, *beta;
    float *stats; /* written forward, read backward */
    void *y, *gx, *gembedding;
    float *ggamma, *gbeta;
} tw_norm_tensors;

/* Fills `p` from a task's node, whose input 0 is x and whose attributes are as above; sets the
 * task's scratch and implementation. */
tw_status tw_norm_plan(tw_norm *p, tw_task *t, bool backward);

/* Adds what a fused node's attributes say beyond group_norm's. */
void tw_norm_fuse(tw_norm *p, const tw_attr *attr);

void tw_norm_forward(const tw_norm *p, const tw_norm_tensors *x, const tw_run *run, void *scratch);
void tw_norm_backward(const tw_norm *p, const tw_norm_tensors *x, const tw_run *run, void *scratch);

/* Checks of infer(): x is [N, …, C] of rank 2 or more, gamma and beta are both [C] or [N, C],
 * groups divide C, ε > 0. */
tw_status tw_norm_check(const tw_node *n, const tw_value *x, const tw_value *gamma,
                        const tw_value *beta);

/* Checks that an embedding, where there is one, is [N, C] of y's type. */
tw_status tw_norm_check_rows(const tw_node *n, const tw_value *embedding, tw_shape y);

#endif
