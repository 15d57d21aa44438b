/* The step of NCSN (Song and Ermon 2019, algorithm 1): step_size at the smallest level, and in
 * proportion to the noise's variance at the others,
 *
 *   ε_i = step_size · σ_i² / σ_L²,   x ← x + ε_i s + √(2 ε_i) z,
 *
 * the convention of the published code and of NCSNv2's paper: NCSN's paper writes ε_i / 2 and √ε_i,
 * so that the code's 2e-5 is its 4e-5. Where nothing is said it is 0.2 σ_L², the published 2e-5 at
 * σ_L = 0.01. Of a continuous process σ_L is σ where sampling usually
 * ends. */
#include <stddef.h>

#include "sample/sampler.h"

typedef struct ncsn_config {
    double step_size;
} ncsn_config;

static const tw_config_field fields[] = {
    {NULL, "step_size", TW_CONFIG_DOUBLE, offsetof(ncsn_config, step_size), "0", 0, 1e6,
     .help = "Langevin step at the smallest noise level, sigma; 0: 0.2 sigma^2"},
};

static void size(const void *config, const tw_batch *b, const tw_point *at, const float *z,
                 double *step)
{
    const tw_process *p = b->process;
    const double smallest = tw_process_sigma(p, tw_process_is_discrete(p) ? 0 : p->epsilon),
                 asked = ((const ncsn_config *)config)->step_size, ratio = at->sigma / smallest,
                 all = (asked > 0 ? asked : 0.2 * smallest * smallest) * ratio * ratio;
    (void)z;
    for (int64_t i = 0; i < b->n; i++) step[i] = all;
}

const tw_rule tw_rule_ncsn = {
    .kind = {"ncsn", "a step for the smallest level, in proportion to sigma^2", fields,
             sizeof fields / sizeof *fields, sizeof(ncsn_config)},
    .size = size,
};
