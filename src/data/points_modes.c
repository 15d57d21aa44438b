/* Two Gaussians far apart, of weights 0.8 and 0.2: the example of Song and Ermon (2019, section
 * 3.2.2) in a quarter of its units, so centres (1.25, 1.25) and (−1.25, −1.25), deviation 0.25. The
 * score between them does not say which is heavier, so Langevin dynamics gets their weights wrong
 * and annealed Langevin dynamics right. The heavier is class 0. */
#include "data/points.h"
#include "tweedie/rng.h"

static void node(int k, double *weight, double mean[2], double *std)
{
    *weight = k == 0 ? 0.8 : 0.2;
    mean[0] = mean[1] = k == 0 ? 1.25 : -1.25;
    *std = 0.25;
}

static void generate(uint64_t seed, int64_t i, float *point, int32_t *label)
{
    const tw_rng_stream stream = {.seed = seed, .purpose = TW_RNG_DATA, .position = i};
    double u, weight, mean[2], std;
    float z[2];
    tw_rng_uniform_double(&u, &stream, 0, 1); /* words 0 and 1 */
    tw_rng_normal(z, &stream, 4, 2);
    *label = u < 0.8 ? 0 : 1;
    node(*label, &weight, mean, &std);
    point[0] = (float)(mean[0] + std * z[0]);
    point[1] = (float)(mean[1] + std * z[1]);
}

const tw_points_generator tw_points_modes = {
    .name = "modes",
    .summary = "two Gaussians far apart, weights 0.8 and 0.2, deviation 0.25",
    .classes = 2,
    .generate = generate,
    .nodes = 2,
    .node = node};
