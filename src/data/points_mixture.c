/* A mixture of eight Gaussians of equal weight: centres on the circle of radius 1.5, deviation 0.1;
 * component k, at angle 2 π k / 8, is class k. Its score has a closed form, so samplers and learned
 * scores can be held against it. */
#include <math.h>

#include "data/points.h"
#include "tweedie/rng.h"

enum { COMPONENTS = 8 };

static void generate(uint64_t seed, int64_t i, float *point, int32_t *label)
{
    const tw_rng_stream stream = {.seed = seed, .purpose = TW_RNG_DATA, .position = i};
    int64_t k;
    float z[2];
    tw_rng_index(&k, &stream, COMPONENTS, 0, 1); /* words 0 and 1 */
    tw_rng_normal(z, &stream, 4, 2);
    const double angle = 6.283185307179586 * (double)k / COMPONENTS;
    *label = (int32_t)k;
    point[0] = (float)(1.5 * cos(angle) + 0.1 * z[0]);
    point[1] = (float)(1.5 * sin(angle) + 0.1 * z[1]);
}

static void node(int k, double *weight, double mean[2], double *std)
{
    const double angle = 6.283185307179586 * k / COMPONENTS;
    *weight = 1.0 / COMPONENTS;
    mean[0] = 1.5 * cos(angle);
    mean[1] = 1.5 * sin(angle);
    *std = 0.1;
}

const tw_points_generator tw_points_mixture = {
    .name = "mixture",
    .summary = "eight Gaussians of deviation 0.1 on the circle of radius 1.5",
    .classes = COMPONENTS,
    .generate = generate,
    .nodes = COMPONENTS,
    .node = node};
