/* Replacement (Song et al. 2021, appendix I.1 and I.2): after each step what is measured takes its
 * place, with the noise of that time. The published code begins with it un-noised; here it has its
 * noise from the beginning. At the data it is the measurement itself, its noise included. */
#include <math.h>

#include "inverse/posterior.h"

extern const tw_posterior_method tw_posterior_replacement;

void posterior_replace(const tw_posterior *p, tw_batch *b, const tw_point *at, int64_t name)
{
    double *c = p->work[0], *x = p->work[1], *z = p->work[2];
    const double *s = p->a->singular;
    for (int64_t i = 0; i < b->n; i++) {
        const double *ybar = posterior_ybar(p, b->index[i]);
        for (int64_t k = 0; k < p->dims; k++) x[k] = (double)b->x[i * p->dims + k];
        tw_operator_to_basis(p->a, x, c);
        posterior_noise(p, b->index[i], name, z);
        for (int64_t k = 0; k < p->dims; k++) {
            if (!(s[k] > 0)) continue;
            const double has = at->alpha * p->noise / s[k],
                         left = fmax(at->sigma * at->sigma - has * has, 0);
            c[k] = at->alpha * ybar[k] + sqrt(left) * z[k];
        }
        tw_operator_from_basis(p->a, c, x);
        for (int64_t k = 0; k < p->dims; k++) b->x[i * p->dims + k] = (float)x[k];
    }
}

static tw_status after(const void *config, tw_posterior *p, tw_batch *b, const tw_point *at,
                       int64_t name)
{
    (void)config;
    posterior_replace(p, b, at, name);
    return TW_OK;
}

const tw_posterior_method tw_posterior_replacement = {
    .kind = {"replacement", "what is measured takes its place after each step (as published)"},
    .sampler = "pc",
    .basis = true,
    .after = after,
};
