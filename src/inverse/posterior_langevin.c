/* Annealed Langevin dynamics with the likelihood's own score (Jalal et al. 2021): at each noise
 * level
 *
 *   y | x_t ~ N(A x_t / α, σ_y² I + (σ/α)² AAᵀ)
 *
 * which is what it would be under a flat prior. Langevin dynamics at the last level samples
 * p_t(x) p(y | x) itself, so what is left of the error goes to zero with its σ and with the steps.
 */
#include "inverse/posterior.h"

extern const tw_posterior_method tw_posterior_langevin;

static tw_status add(const void *config, tw_posterior *p, int64_t n, const float *x,
                     const double *t, const int64_t *index, float *score)
{
    double *c = p->work[0], *g = p->work[1];
    (void)config;
    for (int64_t i = 0; i < n; i++) {
        const double alpha = tw_process_alpha(p->o.process, t[i]),
                     ratio = tw_process_sigma(p->o.process, t[i]) / alpha, *s = p->a->singular,
                     *ybar = posterior_ybar(p, index[i]);
        for (int64_t k = 0; k < p->dims; k++) g[k] = (double)x[i * p->dims + k] / alpha;
        tw_operator_to_basis(p->a, g, c);
        for (int64_t k = 0; k < p->dims; k++) {
            const double v = s[k] * s[k], variance = p->noise * p->noise + ratio * ratio * v;
            c[k] = v > 0 ? v * (ybar[k] - c[k]) / (alpha * variance) : 0;
        }
        tw_operator_from_basis(p->a, c, g);
        for (int64_t k = 0; k < p->dims; k++) score[i * p->dims + k] += (float)g[k];
    }
    return TW_OK;
}

const tw_posterior_method tw_posterior_langevin = {
    .kind = {"langevin", "annealed Langevin dynamics with the likelihood's score"},
    .sampler = "annealed_langevin",
    .basis = true,
    .add = add,
};
