/* An Archimedean spiral of two turns: r = 2 s, angle = 4 π s with s = sqrt(u), so that points are
 * about evenly spread along its length; normal noise of deviation 0.05. One class. */
#include <math.h>

#include "data/points.h"
#include "tweedie/rng.h"

static void generate(uint64_t seed, int64_t i, float *point, int32_t *label)
{
    const tw_rng_stream stream = {.seed = seed, .purpose = TW_RNG_DATA, .position = i};
    double u;
    float z[2];
    tw_rng_uniform_double(&u, &stream, 0, 1); /* words 0 and 1 */
    tw_rng_normal(z, &stream, 4, 2);
    const double s = sqrt(u), radius = 2 * s, angle = 12.566370614359172 * s;
    *label = 0;
    point[0] = (float)(radius * cos(angle) + 0.05 * z[0]);
    point[1] = (float)(radius * sin(angle) + 0.05 * z[1]);
}

/* The midpoint rule in u. */
enum { NODES = 4096 };

static void node(int k, double *weight, double mean[2], double *std)
{
    const double s = sqrt((k + 0.5) / NODES);
    *weight = 1.0 / NODES;
    mean[0] = 2 * s * cos(12.566370614359172 * s);
    mean[1] = 2 * s * sin(12.566370614359172 * s);
    *std = 0.05;
}

const tw_points_generator tw_points_spiral = {.name = "spiral",
                                              .summary =
                                                  "a spiral of two turns and radius 2, noise 0.05",
                                              .classes = 1,
                                              .generate = generate,
                                              .nodes = NODES,
                                              .node = node};
