/* Backward-weights of f32 convolutions over images as products of panels (kern_panel.h): any
 * kernel, stride, dilation and padding, in the parameter's storage layout.
 *
 * gw[o, i, k] = Σ_q gy[q, o] x[q·stride + k·dilation - before, i]: output pixels are taken in
 * blocks whose number depends on the shapes alone; those of gy are laid out in panels for all
 * threads, those of x that a tap meets by the thread that needs them. A number's sum is in one
 * order, whoever computes it. */
#ifndef TW_OPS_PANEL_GRADIENT_H
#define TW_OPS_PANEL_GRADIENT_H

#include "ops/conv.h"
#include "ops/kern_panel.h"

typedef struct tw_panel_gradient {
    const tw_kern_panel *panel;
    int64_t images, in[2], inputs, out[2], outputs, pixels; /* pixels: of all outputs */
    int64_t kernel[2], stride[2], dilation[2], before[2];
    int64_t in_panels, out_panels, groups, group; /* group: output panels of one item */
    int64_t tap_stride, panel_stride;             /* of the sums */
    size_t y_bytes, x_bytes;                      /* of a block of gy; of x, each thread's */
    int threads;
    tw_weights_copy weights;
} tw_panel_gradient;

/* Can the gradient be computed so, and should it? */
bool tw_panel_gradient_suits(const tw_conv_shapes *s, const tw_attr *a, tw_dtype act);

/* Prepares it for a task whose output 0 is the gradient: scratch, implementation. */
tw_status tw_panel_gradient_create(tw_panel_gradient *out, tw_task *t, const tw_conv_shapes *s,
                                   const tw_attr *a);
void tw_panel_gradient_destroy(tw_panel_gradient *d);

/* out[0] = gradient of in[0] = x and in[1] = gy */
void tw_panel_gradient_run(const tw_panel_gradient *d, const tw_task *t);

#endif
