/* The loop of methods whose steps are taken in the operator's basis: evaluate, denoise, step. */
#include "inverse/posterior.h"

/* x ← V step(Vᵀ x, Vᵀ x̂_0); of the first step of all, V begin(ȳ). */
static void step_all(const void *config, const tw_posterior *p, tw_batch *b, const tw_point *from,
                     const tw_point *to, const float *x0, int64_t name,
                     posterior_spectral_step *step)
{
    double *ct = p->work[0], *c0 = p->work[1], *z = p->work[2], *x = p->work[3];
    for (int64_t i = 0; i < b->n; i++) {
        for (int64_t k = 0; k < p->dims; k++) x[k] = x0 ? (double)x0[i * p->dims + k] : 0;
        tw_operator_to_basis(p->a, x, c0);
        for (int64_t k = 0; k < p->dims; k++) x[k] = x0 ? (double)b->x[i * p->dims + k] : 0;
        tw_operator_to_basis(p->a, x, ct);
        posterior_noise(p, b->index[i], name, z);
        step(config, p, posterior_ybar(p, b->index[i]), from, to, ct, c0, z, ct);
        tw_operator_from_basis(p->a, ct, x);
        for (int64_t k = 0; k < p->dims; k++) b->x[i * p->dims + k] = (float)x[k];
    }
}

tw_status posterior_spectral_loop(const void *config, tw_posterior *p, tw_sampler *s, tw_batch *b,
                                  posterior_spectral_step *begin, posterior_spectral_step *step)
{
    tw_status st = TW_OK;
    float *x0 = p->scratch[0];
    if (begin)
        step_all(config, p, b, &s->grid.point[0], &s->grid.point[0], NULL, (int64_t)1 << 43, begin);
    for (int64_t k = 0; k < s->grid.steps; k++) {
        const tw_point *from = &s->grid.point[k];
        TW_TRY(tw_batch_clipped_score(b, b->x, from));
        for (int64_t i = 0; i < b->n; i++) {
            posterior_denoised(p, from->t, b->x + i * p->dims, b->s + i * p->dims, p->work[0]);
            for (int64_t j = 0; j < p->dims; j++) x0[i * p->dims + j] = (float)p->work[0][j];
        }
        step_all(config, p, b, from, from + 1, x0, from->name, step);
        TW_TRY(tw_sampler_step_done(s, b, k + 1));
    }
done:
    return st;
}
