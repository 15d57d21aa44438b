/* The network of improved DDPM in EDM's terms (Karras et al. 2022, table 1 and appendix C.3.4): F
 * is the noise, and with r = σ / α and y = x_t / α
 *
 *   D(y; r) = y − r F(c_in y; c_noise),   c_in = 1 / √(r² + 1),   c_noise = M − 1 − j,
 *
 * j the index of the noise level u_j nearest to r. These are the cosine schedule's,
 *
 *   u_M = 0,   u_{j−1} = √((u_j² + 1) / max(ᾱ_{j−1} / ᾱ_j, C1) − 1),   ᾱ_j = sin²(½π j / (M (C2 +
 * 1)))
 *
 * where C1 <= 1/4 counts at j = 1 alone, since ᾱ_{j−1} / ᾱ_j is above 1/4 from j = 2 on (sin 2x < 2
 * sin x): the quotients multiply to u_j² + 1 = ᾱ_M / ᾱ_j. */
#include <math.h>
#include <stddef.h>

#include "tweedie/prediction.h"

typedef struct iddpm_config {
    double c1, c2;
    int64_t steps;
} iddpm_config;

static const tw_config_field fields[] = {
    {NULL, "c1", TW_CONFIG_DOUBLE, offsetof(iddpm_config, c1), "0.001", TW_CONFIG_ABOVE_ZERO, 0.25,
     .fixed = true, .help = "bounds the first step of the network's schedule"},
    {NULL, "c2", TW_CONFIG_DOUBLE, offsetof(iddpm_config, c2), "0.008", 0, 1, .fixed = true,
     .help = "offset of the cosine of the network's schedule"},
    {NULL, "levels", TW_CONFIG_INT64, offsetof(iddpm_config, steps), "1000", 2, 1000000,
     .fixed = true, .help = "steps of the network's schedule"},
};

static double angle(const iddpm_config *c, int64_t j)
{
    return M_PI_2 * (double)j / ((double)c->steps * (c->c2 + 1));
}

/* u_j */
static double level(const iddpm_config *c, int64_t j)
{
    const double q = sin(angle(c, c->steps)) / sin(angle(c, j > 1 ? j : 1)), one = q * q;
    return sqrt(fmax(j ? one - 1 : one / c->c1 - 1, 0));
}

/* u falls with j; its inverse says between which two to choose. */
static int64_t nearest(const iddpm_config *c, double r)
{
    const double at = asin(sin(angle(c, c->steps)) / sqrt(r * r + 1)) / angle(c, 1);
    int64_t best = (int64_t)fmin(floor(at), (double)c->steps);
    for (int64_t j = best - 1; j <= best + 1; j += 2)
        if (j >= 0 && j <= c->steps && fabs(level(c, j) - r) < fabs(level(c, best) - r)) {
            best = j;
            break;
        }
    return best;
}

static void target(const void *config, const tw_process *p, double t, double *a, double *b)
{
    (void)config, (void)p, (void)t;
    *a = 0;
    *b = 1;
}

static double input(const void *config, const tw_process *p, double t)
{
    (void)config;
    return 1 / hypot(tw_process_sigma(p, t), tw_process_alpha(p, t));
}

static double condition(const void *config, const tw_process *p, double t)
{
    const iddpm_config *c = config;
    const double r = tw_process_sigma(p, t) / tw_process_alpha(p, t);
    return (double)(c->steps - 1 - nearest(c, r));
}

const tw_prediction tw_prediction_edm_iddpm = {
    .kind = {"edm_iddpm", "the noise, as EDM's iDDPM preconditioning has it", fields,
             sizeof fields / sizeof *fields, sizeof(iddpm_config)},
    .target = target,
    .input = input,
    .condition = condition,
};
