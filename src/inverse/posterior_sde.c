/* The measurement carried along the forward process (Song et al. 2021, appendix I.4): with
 * y(t) = A x(t) + α n = α y + σ A z, z ~ N(0, I), a sample ŷ(t) ~ p(y(t) | y) is made at each time,
 * and the score of p(ŷ(t) | x(t)) = N(A x(t), α² σ_y² I + w σ² AAᵀ) is added. Exactly it would have
 * w = 0, which for small noise is as stiff as 1 / σ_y²; w = 1 is its mean over z, and steps of the
 * reverse SDE are stable with it. In the basis, where z is as good as Vᵀ z:
 *
 *   s² (α ȳ + σ z − c) / (α² σ_y² + w σ² s²) */
#include <math.h>
#include <stddef.h>

#include "inverse/posterior.h"

extern const tw_posterior_method tw_posterior_sde;

typedef struct sde_config {
    double weight;
} sde_config;

static const tw_config_field fields[] = {
    {NULL, "weight", TW_CONFIG_DOUBLE, offsetof(sde_config, weight), "1", 0, 1000,
     .help = "of the noise that the measurement is carried with in its likelihood's variance"},
};

static tw_status check(const void *config, const tw_posterior *p)
{
    if (((const sde_config *)config)->weight > 0 || p->noise > 0) return TW_OK;
    return tw_error_set(TW_ECONFIG, "restore.weight: 0 needs a task.noise above 0");
}

static tw_status add(const void *config, tw_posterior *p, int64_t n, const float *x,
                     const double *t, const int64_t *index, float *score)
{
    const double weight = ((const sde_config *)config)->weight;
    double *c = p->work[0], *z = p->work[1], *g = p->work[2];
    for (int64_t i = 0; i < n; i++) {
        const double alpha = tw_process_alpha(p->o.process, t[i]),
                     sigma = tw_process_sigma(p->o.process, t[i]), *s = p->a->singular,
                     *ybar = posterior_ybar(p, index[i]);
        for (int64_t k = 0; k < p->dims; k++) g[k] = (double)x[i * p->dims + k];
        tw_operator_to_basis(p->a, g, c);
        posterior_noise(p, index[i], posterior_name_of(p, t[i]), z);
        for (int64_t k = 0; k < p->dims; k++) {
            const double v = s[k] * s[k], variance = alpha * alpha * p->noise * p->noise +
                                                     weight * sigma * sigma * v;
            c[k] = v > 0 ? v * (alpha * ybar[k] + sigma * z[k] - c[k]) / variance : 0;
        }
        tw_operator_from_basis(p->a, c, g);
        for (int64_t k = 0; k < p->dims; k++) score[i * p->dims + k] += (float)g[k];
    }
    return TW_OK;
}

const tw_posterior_method tw_posterior_sde = {
    .kind = {"sde", "the measurement carried along the forward process (Song et al. 2021)", fields,
             sizeof fields / sizeof *fields, sizeof(sde_config)},
    .sampler = "pc",
    .basis = true,
    .check = check,
    .add = add,
};
