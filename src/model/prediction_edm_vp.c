/* The VP network in EDM's terms (Karras et al. 2022, table 1): F is the noise, and with r = σ / α
 * and y = x_t / α
 *
 *   D(y; r) = y − r F(c_in y; c_noise),   c_in = 1 / √(r² + 1),   c_noise = (M − 1) t(r),
 *   t(r) = (√(β_min² + 2 β_d ln(1 + r²)) − β_min) / β_d,   β_d = β_max − β_min.
 *
 * On the process vp with the same β it is epsilon; on others the network is given the VP sample and
 * the VP time of the same noise level. */
#include <math.h>
#include <stddef.h>

#include "tweedie/prediction.h"

typedef struct vp_config {
    double beta_min, beta_d, steps;
} vp_config;

static const tw_config_field fields[] = {
    {NULL, "beta_min", TW_CONFIG_DOUBLE, offsetof(vp_config, beta_min), "0.1", 0, 1e3,
     .fixed = true, .help = "beta at time 0 of the network's clock"},
    {NULL, "beta_d", TW_CONFIG_DOUBLE, offsetof(vp_config, beta_d), "19.9", TW_CONFIG_ABOVE_ZERO,
     1e3, .fixed = true, .help = "by how much beta grows until time 1"},
    {NULL, "levels", TW_CONFIG_DOUBLE, offsetof(vp_config, steps), "1000", 2, 1e6, .fixed = true,
     .help = "steps of the network's clock: it is told (M - 1) times the time"},
};

static void target(const void *config, const tw_process *p, double t, double *a, double *b)
{
    (void)config, (void)p, (void)t;
    *a = 0;
    *b = 1;
}

/* 1 / (α √(r² + 1)) */
static double input(const void *config, const tw_process *p, double t)
{
    (void)config;
    return 1 / hypot(tw_process_sigma(p, t), tw_process_alpha(p, t));
}

static double condition(const void *config, const tw_process *p, double t)
{
    const vp_config *c = config;
    const double r = tw_process_sigma(p, t) / tw_process_alpha(p, t);
    const double root = sqrt(c->beta_min * c->beta_min + 2 * c->beta_d * log1p(r * r));
    return (c->steps - 1) * (root - c->beta_min) / c->beta_d;
}

const tw_prediction tw_prediction_edm_vp = {
    .kind = {"edm_vp", "the noise, as EDM's VP preconditioning has it", fields,
             sizeof fields / sizeof *fields, sizeof(vp_config)},
    .target = target,
    .input = input,
    .condition = condition,
};
