/* MCG (Chung et al. 2022): the step of DPS along the manifold, then replacement. */
#include <stddef.h>

#include "inverse/posterior.h"

extern const tw_posterior_method tw_posterior_mcg;

typedef struct mcg_config {
    double zeta;
} mcg_config;

static const tw_config_field fields[] = {
    {NULL, "zeta", TW_CONFIG_DOUBLE, offsetof(mcg_config, zeta), "1", TW_CONFIG_ABOVE_ZERO, 1e6,
     .help = "size of a step along the gradient of ||y - A x0||"},
};

static tw_status add(const void *config, tw_posterior *p, int64_t n, const float *x,
                     const double *t, const int64_t *index, float *score)
{
    return posterior_gradient(p, ((const mcg_config *)config)->zeta, n, x, t, index, score);
}

static tw_status after(const void *config, tw_posterior *p, tw_batch *b, const tw_point *at,
                       int64_t name)
{
    (void)config;
    posterior_step_along(p, b, name);
    posterior_replace(p, b, at, name);
    return TW_OK;
}

const tw_posterior_method tw_posterior_mcg = {
    .kind = {"mcg", "the gradient's step, then replacement (MCG)", fields,
             sizeof fields / sizeof *fields, sizeof(mcg_config)},
    .basis = true,
    .vjp = true,
    .scratch = 1,
    .add = add,
    .after = after,
};
