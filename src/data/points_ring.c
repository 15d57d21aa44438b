/* Points on the circle of radius 1.5, without any noise: data on a manifold of one dimension. They
 * have no density in the plane, and the score of p_σ grows like 1 / σ as the noise goes (Song and
 * Ermon 2019, section 3.2.1). One class. */
#include <math.h>

#include "data/points.h"
#include "tweedie/rng.h"

static void generate(uint64_t seed, int64_t i, float *point, int32_t *label)
{
    const tw_rng_stream stream = {.seed = seed, .purpose = TW_RNG_DATA, .position = i};
    double u;
    tw_rng_uniform_double(&u, &stream, 0, 1); /* words 0 and 1 */
    *label = 0;
    point[0] = (float)(1.5 * cos(6.283185307179586 * u));
    point[1] = (float)(1.5 * sin(6.283185307179586 * u));
}

/* The trapezoidal rule: to rounding for σ above the nodes' distance, 0.0023. */
enum { NODES = 4096 };

static void node(int k, double *weight, double mean[2], double *std)
{
    const double angle = 6.283185307179586 * k / NODES;
    *weight = 1.0 / NODES;
    mean[0] = 1.5 * cos(angle);
    mean[1] = 1.5 * sin(angle);
    *std = 0;
}

const tw_points_generator tw_points_ring = {.name = "ring",
                                            .summary = "the circle of radius 1.5, without noise",
                                            .classes = 1,
                                            .generate = generate,
                                            .nodes = NODES,
                                            .node = node};
