/* Backward-weights of convolutions of one tap at stride 1 without padding:
 * gw[o, i] = Σ_q gy[q, o] x[q, i], and gb[o] = Σ_q gy[q, o]; of f32, and of bf16 by AVX512_BF16's
 * products of pairs of pixels, with sums in f32.
 *
 * Pixels are cut into segments, whose number depends on the shapes alone; each has sums of its own,
 * which are added in the end, in order. So a number does not depend on who computes it. A thread
 * lays out a block of a segment's pixels in panels, which stay in its second-level cache. */
#ifndef TW_OPS_POINTWISE_GRADIENT_H
#define TW_OPS_POINTWISE_GRADIENT_H

#include "ops/conv.h"
#include "ops/kern_columns.h"
#include "ops/kern_pointwise.h"

typedef struct tw_pointwise_gradient {
    const tw_kern_pointwise *kern;
    const tw_kern_columns *columns;
    int64_t pixels, inputs, outputs; /* pixels: of all images */
    int64_t in_panels, tiles;        /* tiles: of output channels, as wide as the kernel's */
    int64_t segments, group, groups; /* group: tiles that an item has, of `groups` */
    int64_t panel, c_panel;          /* from panel to panel: of pixels, of the sums */
    int64_t sums, bias, own;         /* floats: of a segment's, of a thread's panels */
    int64_t each;                    /* pixels in a number of the panels: 1, or 2 of bf16 */
    int threads;
    bool direct; /* the first segment's sums lie where the result goes */
    tw_weights_copy weights;
} tw_pointwise_gradient;

/* Can the gradient be computed so, and should it? */
bool tw_pointwise_gradient_suits(const tw_conv_shapes *s, const tw_attr *a, tw_dtype act);

/* Prepares it for a task whose output 0 is the gradient: scratch, implementation. */
tw_status tw_pointwise_gradient_create(tw_pointwise_gradient *out, tw_task *t,
                                       const tw_conv_shapes *s);
void tw_pointwise_gradient_destroy(tw_pointwise_gradient *d);

/* out[0] = gradient of in[0] = x and in[1] = gy; out[1], unless NULL, that of the bias. */
void tw_pointwise_gradient_run(const tw_pointwise_gradient *d, const tw_task *t);

#endif
