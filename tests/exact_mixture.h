/* Data Σ w_k N(mean_k, diag std_k²) seen through any process: their exact score, its
 * vector-Jacobian product, their energy and their density, in double. What samplers, likelihood and
 * guidance are tested with. Header only; no test of its own. */
#ifndef TESTS_EXACT_MIXTURE_H
#define TESTS_EXACT_MIXTURE_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tweedie/process.h"
#include "tweedie/score.h"

enum { MODES_MAX = 3, MIXTURE_DIMS_MAX = 64 };

typedef struct mixture {
    const tw_process *process;
    int modes;
    int64_t dims;
    double weight[MODES_MAX], mean[MODES_MAX][MIXTURE_DIMS_MAX], std[MODES_MAX][MIXTURE_DIMS_MAX];
    int64_t calls, points, batch; /* how often it was asked, for how many; batch != 0: expected n */
    bool strange_batch;
} mixture;

/* log p_t(x), and where they are not NULL the score and the diagonal-plus-rank-one Jacobian's
 * product with v. */
static inline double mixture_at(const mixture *m, const float *x, double t, double *score,
                                const float *v, double *vjp)
{
    const double a = tw_process_alpha(m->process, t), sigma = tw_process_sigma(m->process, t);
    double log_density[MODES_MAX], top = -INFINITY, total = 0;
    double s[MIXTURE_DIMS_MAX] = {0}, jv[MIXTURE_DIMS_MAX] = {0};
    for (int k = 0; k < m->modes; k++) {
        log_density[k] = log(m->weight[k]);
        for (int64_t d = 0; d < m->dims; d++) {
            const double w = a * a * m->std[k][d] * m->std[k][d] + sigma * sigma,
                         r = (double)x[d] - a * m->mean[k][d];
            log_density[k] -= 0.5 * (r * r / w + log(2 * M_PI * w));
        }
        top = fmax(top, log_density[k]);
    }
    for (int k = 0; k < m->modes; k++) total += exp(log_density[k] - top);
    for (int k = 0; k < m->modes; k++) { /* s = Σ p_k s_k,  J = Σ p_k (J_k + s_k s_kᵀ) − s sᵀ */
        const double p = exp(log_density[k] - top) / total;
        double along = 0;
        for (int64_t d = 0; d < m->dims; d++) {
            const double w = a * a * m->std[k][d] * m->std[k][d] + sigma * sigma,
                         sk = -((double)x[d] - a * m->mean[k][d]) / w;
            s[d] += p * sk;
            if (v) along += sk * (double)v[d];
        }
        for (int64_t d = 0; v && d < m->dims; d++) {
            const double w = a * a * m->std[k][d] * m->std[k][d] + sigma * sigma,
                         sk = -((double)x[d] - a * m->mean[k][d]) / w;
            jv[d] += p * (along * sk - (double)v[d] / w);
        }
    }
    double along = 0;
    for (int64_t d = 0; v && d < m->dims; d++) along += s[d] * (double)v[d];
    for (int64_t d = 0; score && d < m->dims; d++) score[d] = s[d];
    for (int64_t d = 0; vjp && d < m->dims; d++) vjp[d] = jv[d] - along * s[d];
    return top + log(total);
}

static inline void mixture_count(mixture *m, int64_t n)
{
    m->calls++;
    m->points += n;
    if (m->batch && n != m->batch) m->strange_batch = true;
}

static inline tw_status mixture_vjp(void *self, int64_t n, const float *x, const double *t,
                                    const int64_t *index, const float *v, float *score, float *vjp)
{
    mixture *m = self;
    (void)index;
    mixture_count(m, n);
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < n; i++) {
        double s[MIXTURE_DIMS_MAX], jv[MIXTURE_DIMS_MAX];
        const int64_t at = i * m->dims;
        mixture_at(m, x + at, t[i], s, v ? v + at : NULL, jv);
        for (int64_t d = 0; score && d < m->dims; d++) score[at + d] = (float)s[d];
        for (int64_t d = 0; vjp && d < m->dims; d++) vjp[at + d] = (float)jv[d];
    }
    return TW_OK;
}

static inline tw_status mixture_eval(void *self, int64_t n, const float *x, const double *t,
                                     const int64_t *index, float *score)
{
    return mixture_vjp(self, n, x, t, index, NULL, score, NULL);
}

static inline tw_status mixture_energy(void *self, int64_t n, const float *x, const double *t,
                                       const int64_t *index, float *score, double *energy)
{
    mixture *m = self;
    for (int64_t i = 0; i < n; i++)
        energy[i] = -mixture_at(m, x + i * m->dims, t[i], NULL, NULL, NULL);
    return score ? mixture_eval(self, n, x, t, index, score) : TW_OK;
}

/* Everything that a score may have, but a learned variance. */
static inline tw_score mixture_score(mixture *m)
{
    return (tw_score){.self = m,
                      .dims = m->dims,
                      .eval = mixture_eval,
                      .vjp = mixture_vjp,
                      .eval_energy = mixture_energy};
}

#endif
