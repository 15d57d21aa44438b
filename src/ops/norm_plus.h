/* Instance normalisation with NCSN's addition: what op_instance_norm_plus.c and its gradient share.
 *
 * The mathematics (Song and Ermon 2019, appendix A; their code divides the variance of the means by
 * C - 1). For one image with P pixels and C channels:
 *
 *     μ_c = Σ x / P,   r_c = 1 / sqrt(Σ (x - μ_c)² / P + ε),   x̂ = r_c (x - μ_c)
 *     m = Σ_c μ_c / C,   v = Σ_c (μ_c - m)² / (C - 1),   μ̂_c = (μ_c - m) / sqrt(v + ε)
 *     u = γ_c (x̂ + α_c μ̂_c) + β_c,   y = u or ELU(u)
 *
 * so u is one affine map per channel and image, as in group normalisation (norm.h), whose loops
 * these are.
 *
 * Derivation of the backward pass. With g = ∂L/∂u, G = Σ_p g and H = Σ_p g x̂ of a channel:
 *
 *     ∂L/∂γ = H + α μ̂ G,   ∂L/∂α = γ μ̂ G,   ∂L/∂β = G
 *     ∂L/∂x = γ r (g - G / P - x̂ H / P) + q / P
 *
 * where q_c = ∂L/∂μ_c through μ̂ alone: with k_c = ∂L/∂μ̂_c = γ_c α_c G_c and s = sqrt(v + ε),
 *
 *     q_c = (k_c - Σ k / C - μ̂_c Σ k μ̂ / (C - 1)) / s. */
#ifndef TW_OPS_NORM_PLUS_H
#define TW_OPS_NORM_PLUS_H

#include "ops/kern_norm.h"
#include "ops/op.h"

/* instance_norm_plus       x [N, …, C], p -> y, stats        i[0] ELU follows, f[0] ε
 * instance_norm_plus_grad  x, p, stats, gy -> gx, gp         the same
 *
 * p is f32: γ, α, β of each image as [N, 3C], or of all images as [3C].
 * stats is f32 [N, 2, C]: μ and r. */
extern const tw_op tw_op_instance_norm_plus, tw_op_instance_norm_plus_grad;

typedef struct tw_norm_plus {
    int64_t images, pixels, channels;
    int64_t width; /* length of per-channel arrays */
    int64_t chunk_pixels, chunks;
    double eps;
    bool shared; /* one p serves all images */
    tw_norm_activation activation;
    tw_dtype dtype;
    tw_stored stored;
    int threads;
    bool by_image; /* one thread does one image; else threads share the chunks of all images */
    const tw_kern_norm *kernel;
} tw_norm_plus;

typedef struct tw_norm_plus_tensors {
    const void *x, *gy;
    const float *p;
    float *stats; /* written forward, where it is read; read backward */
    void *y, *gx; /* gx NULL where nobody reads it */
    float *gp;    /* NULL where nobody reads it */
} tw_norm_plus_tensors;

/* Checks of infer(): x, p, ε. */
tw_status tw_norm_plus_check(const tw_node *n, const tw_value *x, const tw_value *p);

/* Fills `p` from a task's node; sets the task's scratch and implementation. */
tw_status tw_norm_plus_plan(tw_norm_plus *p, tw_task *t, bool backward);

void tw_norm_plus_forward(const tw_norm_plus *p, const tw_norm_plus_tensors *x, void *scratch);
void tw_norm_plus_backward(const tw_norm_plus *p, const tw_norm_plus_tensors *x, void *scratch);

#endif
