/* The step of the published Langevin corrector (Song et al. 2021, algorithms 4 and 5): so long that
 * the ratio of the score's part to the noise's is `snr`,
 *
 *   ε = 2 a (snr ‖z‖ / ‖s‖)²,   a of step_scale.h.
 *
 * The published code takes the means of ‖z‖ and ‖s‖ over the batch, so that a sample depends on its
 * neighbours; here each sample has its own unless `coupled` asks for theirs. A sample's own score
 * nearly vanishes at a mode, which in few dimensions is often enough for steps without bound to
 * throw samples out: so ‖s‖ counts as no less than half of what it is for data of variance 1,
 * √D / √(α² + σ²). In the dimensions of images that changes nothing.
 *
 * A step ε(x) makes Langevin dynamics sample p/ε ∝ p ‖s‖² instead of p: of a Gaussian, (D + 2) / D
 * of the variance. So of points in few dimensions the rule sigma, or `coupled`, is the right one.
 */
#include <math.h>
#include <stddef.h>

#include "sample/step_scale.h"

typedef struct snr_config {
    double snr;
    bool coupled;
} snr_config;

static const tw_config_field fields[] = {
    {NULL, "snr", TW_CONFIG_DOUBLE, offsetof(snr_config, snr), "0.16", TW_CONFIG_ABOVE_ZERO, 100,
     .help = "signal-to-noise ratio of a Langevin step"},
    {NULL, "coupled", TW_CONFIG_BOOL, offsetof(snr_config, coupled), "no",
     .help = "one step size for a batch, as published: samples then depend on their neighbours"},
};

static double norm(const float *x, int64_t n)
{
    double sum = 0;
    for (int64_t k = 0; k < n; k++) sum += (double)x[k] * (double)x[k];
    return sqrt(sum);
}

static void size(const void *config, const tw_batch *b, const tw_point *at, const float *z,
                 double *step)
{
    const snr_config *c = config;
    const double a = step_scale(b->process, at), spread = hypot(at->alpha, at->sigma),
                 least = 0.5 * sqrt((double)b->dims) / spread;
    double of_z = 0, of_s = 0;
    for (int64_t i = 0; i < b->n; i++) {
        const double nz = norm(z + i * b->dims, b->dims), ns = norm(b->s + i * b->dims, b->dims);
        const double r = c->snr * nz / fmax(ns, least);
        of_z += nz;
        of_s += ns;
        step[i] = 2 * a * r * r;
    }
    if (!c->coupled) return;
    const double r = of_s > 0 ? c->snr * of_z / of_s : 0;
    for (int64_t i = 0; i < b->n; i++) step[i] = 2 * a * r * r;
}

const tw_rule tw_rule_snr = {
    .kind = {"snr", "a signal-to-noise ratio", fields, sizeof fields / sizeof *fields,
             sizeof(snr_config)},
    .of_state = true,
    .size = size,
};
