/* Images seen through an affine map. */
#ifndef DATA_WARP_H
#define DATA_WARP_H

#include <stdint.h>

/* A map of the plane, (x, y) ↦ (a x + b y + c, d x + e y + f), x to the right and y down, in pixels
 * from the centre of the image. */
typedef struct tw_affine_map {
    double a, b, c, d, e, f;
} tw_affine_map;

/* first, then second. */
tw_affine_map tw_affine_map_then(const tw_affine_map *first, const tw_affine_map *second);

/* out(p) = x(map(p)): between pixels by cubic convolution (Keys 1981, a = −1/2), which leaves
 * pixels as they are; beyond the border the image is continued by its mirror image.
 * @param x         [H][W][C]
 * @param[out] out  the same shape, other memory */
void tw_warp(float *out, const float *x, int64_t height, int64_t width, int64_t channels,
             const tw_affine_map *map);

#endif
