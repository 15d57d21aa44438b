/* DDNM+ (Wang, Yu, Zhang 2023, section 3.3): the range of A is taken from the measurement and its
 * null space from the denoiser, x̂_0' = λ A⁺ y + (1 − λ A⁺ A) x̂_0 in the basis, and a step of DDIM
 * to x_s = a x̂_0' + b x_t + e z. Where σ_y > 0, λ is as large, and the step's own noise as small,
 * as keeps the noise of y from exceeding that of the step, a λ σ_y / s <= e: without noise λ = 1.
 */
#include <math.h>
#include <stddef.h>

#include "inverse/posterior.h"

extern const tw_posterior_method tw_posterior_ddnm;

typedef struct ddnm_config {
    double eta;
} ddnm_config;

static const tw_config_field fields[] = {
    {NULL, "eta", TW_CONFIG_DOUBLE, offsetof(ddnm_config, eta), "0.85", 0, 1,
     .help = "fresh noise of a step, as of DDIM"},
};

static void step(const void *config, const tw_posterior *p, const double *ybar,
                 const tw_point *from, const tw_point *to, const double *ct, const double *c0,
                 const double *z, double *c)
{
    const tw_bridge q = tw_bridge_between(to->alpha, to->sigma, from->alpha, from->sigma);
    const double eta = ((const ddnm_config *)config)->eta, e = to->data ? 0 : eta * q.std,
                 b = sqrt(fmax(to->sigma * to->sigma - e * e, 0)) / from->sigma,
                 a = to->alpha - b * from->alpha, *s = p->a->singular;
    for (int64_t k = 0; k < p->dims; k++) {
        const double of_y = s[k] > 0 ? a * p->noise / s[k] : 0;
        const double lambda = !(s[k] > 0) ? 0 : of_y <= e ? 1 : e / of_y;
        const double own = sqrt(fmax(e * e - lambda * lambda * of_y * of_y, 0));
        c[k] = a * (lambda * ybar[k] + (1 - lambda) * c0[k]) + b * ct[k] + own * z[k];
    }
}

static tw_status run(const void *config, tw_posterior *p, tw_sampler *s, tw_batch *b)
{
    return posterior_spectral_loop(config, p, s, b, NULL, step);
}

const tw_posterior_method tw_posterior_ddnm = {
    .kind = {"ddnm", "range from the measurement, null space from the denoiser (DDNM)", fields,
             sizeof fields / sizeof *fields, sizeof(ddnm_config)},
    .basis = true,
    .scratch = 1,
    .run = run,
};
