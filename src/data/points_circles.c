/* Two circles about the origin, half of the points each: radii 1.5 and 0.75 with normal noise of
 * deviation 0.05. The outer circle is class 0. */
#include <math.h>

#include "data/points.h"
#include "tweedie/rng.h"

static void generate(uint64_t seed, int64_t i, float *point, int32_t *label)
{
    const tw_rng_stream stream = {.seed = seed, .purpose = TW_RNG_DATA, .position = i};
    double u[2];
    float z[2];
    tw_rng_uniform_double(u, &stream, 0, 2); /* words 0 … 3 */
    tw_rng_normal(z, &stream, 4, 2);
    *label = u[0] < 0.5 ? 0 : 1;
    const double radius = *label == 0 ? 1.5 : 0.75, angle = 6.283185307179586 * u[1];
    point[0] = (float)(radius * cos(angle) + 0.05 * z[0]);
    point[1] = (float)(radius * sin(angle) + 0.05 * z[1]);
}

/* The trapezoidal rule over each circle, whose error is far below rounding at this spacing. */
enum { NODES = 1024 };

static void node(int k, double *weight, double mean[2], double *std)
{
    const double radius = k < NODES ? 1.5 : 0.75, angle = 6.283185307179586 * k / NODES;
    *weight = 0.5 / NODES;
    mean[0] = radius * cos(angle);
    mean[1] = radius * sin(angle);
    *std = 0.05;
}

const tw_points_generator tw_points_circles = {.name = "circles",
                                               .summary =
                                                   "two circles of radius 1.5 and 0.75, noise 0.05",
                                               .classes = 2,
                                               .generate = generate,
                                               .nodes = 2 * NODES,
                                               .node = node};
