/* Our own direct convolution for what neither Winograd's algorithm nor oneDNN does well, in any
 * direction but that of the weights: at stride 2 where oneDNN has no AVX-512 (its channels-last
 * kernels for AVX2 reach two thirds of its blocked ones), and with three output channels or fewer
 * (oneDNN fills a vector with them).
 *
 * Nothing is copied: for each pixel of the result there is a list of pointers to the pixels that
 * the kernel's taps meet, or to zeros. The gradient with respect to the input of a strided
 * convolution is the same for each remainder of its rows and columns by the stride, with the taps
 * that meet something there. A result does not depend on the number of threads or on the batch. */
#ifndef TW_OPS_CONV_GATHER_H
#define TW_OPS_CONV_GATHER_H

#include "ops/conv.h"
#include "ops/kern_gather.h"

enum { TW_GATHER_TAPS_MAX = 25, TW_GATHER_CLASSES_MAX = 4 };

/* Pixels of the result that meet the same taps: every step[d]-th from first[d] on. */
typedef struct tw_gather_class {
    int64_t first[2], extent[2], pixels; /* pixels: of all images */
    int64_t taps, tap[TW_GATHER_TAPS_MAX];
    int64_t offset[TW_GATHER_TAPS_MAX][2]; /* of the pixel met, from step times the number in class
                                            */
} tw_gather_class;

typedef struct tw_conv_gather {
    const tw_kern_gather *kern;
    tw_stored stored;
    size_t element;
    int64_t images, in[2], inputs, out[2], outputs;
    int64_t step[2], source_step[2]; /* of a class's pixels: in the result, in the input */
    int classes;
    tw_gather_class class[TW_GATHER_CLASSES_MAX];
    int64_t panel, panels, panel_stride, tap_stride; /* channels; of the packed weights */
    int64_t block, blocks;                           /* pixels at a time */
    size_t zeros, own;                               /* bytes: of zeros, of a thread's scratch */
    int threads;
    float gain;
    bool narrow;
    tw_weights_copy weights;
} tw_conv_gather;

/* Can the convolution, or with TW_CONV_BACKWARD_DATA the gradient with respect to its input, be
 * computed so, and should it? */
bool tw_conv_gather_suits(const tw_conv_shapes *s, const tw_attr *a, tw_conv_direction direction,
                          tw_dtype act);

/* Prepares it for a task: scratch and packed memory, implementation. With `flip`, the task's
 * parameter has the exchanged shape and is turned round; of TW_CONV_BACKWARD_DATA it always is. */
tw_status tw_conv_gather_create(tw_conv_gather *out, tw_task *t, const tw_conv_shapes *s,
                                const tw_attr *a, tw_conv_direction direction, bool flip);
void tw_conv_gather_destroy(tw_conv_gather *d);

/* out[0] = gain (conv(in[0]) [+ bias] [+ summand]); both may be NULL, and the summand may be
 * out[0].
 */
void tw_conv_gather_run(const tw_conv_gather *d, const tw_task *t, const float *bias,
                        const void *summand);

#endif
