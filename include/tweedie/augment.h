/* Augmentations: random transformations of the images that a network is trained with. A network
 * that is told what was done to each image learns what images look like that nothing was done to,
 * and is asked for these when it samples. Each augmentation is one file src/data/augment_NAME.c
 * that defines `const tw_augment tw_augment_NAME` and is found by the build.
 *
 * What is done to an image is a function of (seed, position in the global batch, step) alone. Not
 * collective; nothing here fails or allocates. */
#ifndef TWEEDIE_AUGMENT_H
#define TWEEDIE_AUGMENT_H

#include "tweedie/kind.h"
#include "tweedie/rng.h"

#ifdef __cplusplus
extern "C" {
#endif

/* An image of a batch. */
typedef struct tw_augment_image {
    int64_t height, width, channels;
    tw_rng_stream stream; /* its numbers: TW_RNG_AUGMENT */
    bool mirrored;        /* it has been mirrored left to right already */
} tw_augment_image;

typedef struct tw_augment {
    tw_kind kind;   /* keys of [data] */
    int64_t labels; /* numbers that the network is told of each image, all zero for one that
                       nothing was done to; 0: nothing is ever done */
    /* Transforms an image, and says how.
     * @param[in,out] x    [H][W][C] in model units; NULL: only says how
     * @param work         as large as x; overwritten
     * @param[out] labels  [labels], or NULL */
    void (*run)(const void *config, const tw_augment_image *image, float *x, float *work,
                float *labels);
} tw_augment;

extern const tw_kinds tw_augment_kinds;

#ifdef __cplusplus
}
#endif

#endif
