/* Coarse images on a finer grid: what a downscaling model is conditioned on. */
#ifndef TWEEDIE_DATA_COARSE_H
#define TWEEDIE_DATA_COARSE_H

#include "tweedie/data.h"

/* The average of each block of k x k pixels, in each of its pixels. `spec` is of uint8 or float32
 * images whose sides are multiples of k.
 * @param stored    [H][W][C], as stored
 * @param[out] out  the same */
void tw_coarse_average(const tw_dataset_spec *spec, int64_t k, const void *stored, void *out);

/* Each pixel of an image repeated until it has the sides of `to`, which those of `from` divide;
 * both are of one kind and as many channels.
 * @param stored    [h][w][C], as stored
 * @param[out] out  [H][W][C] */
void tw_coarse_repeat(const tw_dataset_spec *from, const tw_dataset_spec *to, const void *stored,
                      void *out);

/* Whether the sides of `from` are those of `to` or divide them. */
bool tw_coarse_divides(const tw_dataset_spec *from, const tw_dataset_spec *to);

#endif
