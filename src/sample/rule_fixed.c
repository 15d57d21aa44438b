/* One step ε of x ← x + ε s + √(2 ε) z, whatever the time. */
#include <stddef.h>

#include "sample/sampler.h"

typedef struct fixed_config {
    double step_size;
} fixed_config;

static const tw_config_field fields[] = {
    {NULL, "step_size", TW_CONFIG_DOUBLE, offsetof(fixed_config, step_size), "1e-3",
     TW_CONFIG_ABOVE_ZERO, 1e6, .help = "Langevin step"},
};

static void size(const void *config, const tw_batch *b, const tw_point *at, const float *z,
                 double *step)
{
    (void)at, (void)z;
    for (int64_t i = 0; i < b->n; i++) step[i] = ((const fixed_config *)config)->step_size;
}

const tw_rule tw_rule_fixed = {
    .kind = {"fixed", "the same at all times", fields, sizeof fields / sizeof *fields,
             sizeof(fixed_config)},
    .size = size,
};
