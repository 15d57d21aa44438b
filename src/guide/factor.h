/* What guidances by a second network share: s(x_t) + w ∇x log f(x_t) within an interval of times.
 */
#ifndef GUIDE_FACTOR_H
#define GUIDE_FACTOR_H

#include <string.h>

#include "guide/interval.h"

/* Scratch arrays of guide_by_factor. */
enum { GUIDE_FACTOR_SCRATCH = 2 };

/* The points that are guided, to the front of scratch[0], g->t and g->label.
 * @return how many */
static inline int64_t guide_gather(tw_guided *g, const guide_interval *interval,
                                   const tw_guided_points *p)
{
    const int64_t dims = g->view.dims;
    int64_t n = 0;
    for (int64_t i = 0; i < p->n; i++) {
        if (!guide_acts_at(interval, p->t[i])) continue;
        memcpy(g->scratch[0] + n * dims, p->x + i * dims, (size_t)dims * sizeof *p->x);
        g->t[n] = p->t[i];
        g->label[n++] = tw_label_of(&g->use.labels, p->index[i]);
    }
    return n;
}

/* eval of a guidance: the wrapped score + scale · gradient; its energy − scale · log of the factor.
 */
static inline tw_status guide_by_factor(tw_guided *g, const guide_interval *interval, double scale,
                                        double temperature, const tw_guided_points *p, float *score,
                                        float *variance, double *energy)
{
    tw_status st = TW_OK;
    const tw_log_factor *f = g->use.factor;
    const int64_t dims = g->view.dims;
    const float w = (float)scale, *gradient = g->scratch[1];
    TW_TRY(tw_guided_score(g, p, score, variance, energy));
    const int64_t n = scale == 0 ? 0 : guide_gather(g, interval, p);
    if (n == 0) goto done;
    TW_TRY(f->eval(f->self, n, g->scratch[0], g->t, g->label, temperature, g->scratch[1],
                   energy ? g->number : NULL));
    for (int64_t i = 0, at = 0; i < p->n; i++) {
        if (!guide_acts_at(interval, p->t[i])) continue;
        for (int64_t k = 0; k < dims; k++) score[i * dims + k] += w * gradient[at * dims + k];
        if (energy) energy[i] -= scale * g->number[at];
        at++;
    }
done:
    return st;
}

#endif
