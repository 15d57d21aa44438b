/* ΠGDM (Song, Vahdat, Mardani, Kautz 2023): x_0 | x_t taken for N(x̂_0, r² I), so that y | x_t is
 * Gaussian, and
 *
 *   ∇ log p(y | x_t) = Jᵀ Aᵀ (r² AAᵀ + σ_y² I)⁻¹ (y − A x̂_0),   r² = σ² / (α² / variance + σ²)…
 *
 * that is r² = variance σ² / (σ² + α² variance), exact where the data are white with this
 * variance. */
#include <stddef.h>

#include "inverse/posterior.h"

extern const tw_posterior_method tw_posterior_pigdm;

typedef struct pigdm_config {
    double variance;
} pigdm_config;

static const tw_config_field fields[] = {
    {NULL, "variance", TW_CONFIG_DOUBLE, offsetof(pigdm_config, variance), "1",
     TW_CONFIG_ABOVE_ZERO, 1e6, .help = "of the data, in model units"},
};

static tw_status add(const void *config, tw_posterior *p, int64_t n, const float *x,
                     const double *t, const int64_t *index, float *score)
{
    tw_status st = TW_OK;
    const double variance = ((const pigdm_config *)config)->variance;
    double *x0 = p->work[0], *c = p->work[1];
    float *g = p->scratch[0];
    for (int64_t i = 0; i < n; i++) {
        const double alpha = tw_process_alpha(p->o.process, t[i]),
                     sigma = tw_process_sigma(p->o.process, t[i]), *s = p->a->singular,
                     *ybar = posterior_ybar(p, index[i]);
        const double r2 = variance * sigma * sigma / (sigma * sigma + alpha * alpha * variance);
        posterior_denoised(p, t[i], x + i * p->dims, score + i * p->dims, x0);
        tw_operator_to_basis(p->a, x0, c);
        for (int64_t k = 0; k < p->dims; k++) {
            const double v = s[k] * s[k];
            c[k] = v > 0 ? v * (ybar[k] - c[k]) / (r2 * v + p->noise * p->noise) : 0;
        }
        tw_operator_from_basis(p->a, c, x0);
        for (int64_t k = 0; k < p->dims; k++) g[i * p->dims + k] = (float)x0[k];
    }
    TW_TRY(posterior_pull_back(p, n, x, t, index, g, g));
    for (int64_t k = 0; k < n * p->dims; k++) score[k] += g[k];
done:
    return st;
}

const tw_posterior_method tw_posterior_pigdm = {
    .kind = {"pigdm", "the gradient of a Gaussian likelihood around x0 (Pseudoinverse-guided)",
             fields, sizeof fields / sizeof *fields, sizeof(pigdm_config)},
    .basis = true,
    .vjp = true,
    .scratch = 1,
    .add = add,
};
