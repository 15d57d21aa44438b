/* What is measured of a denoised sample: A x, or A D(x) where the operator measures what a map
 * makes of it. D is computed in float, as networks are. */
#include "inverse/posterior.h"

/* A batch into the map's own memory: p->mapped[0]. */
static void enter(tw_posterior *p, int64_t n, const double *x)
{
    for (int64_t k = 0; k < n * p->dims; k++) p->mapped[0][k] = (float)x[k];
}

void posterior_measure(tw_posterior *p, int64_t n, const double *x, double *y)
{
    const tw_operator *a = p->a;
    const tw_map *map = p->o.map;
    if (map) {
        enter(p, n, x);
        map->forward(map->self, n, p->mapped[0], p->mapped[2]);
    }
    for (int64_t i = 0; i < n; i++) {
        for (int64_t k = 0; map && k < a->dims; k++)
            p->measured[k] = (double)p->mapped[2][i * a->dims + k];
        tw_operator_forward(a, map ? p->measured : x + i * p->dims, y + i * a->outputs);
    }
}

void posterior_measure_back(tw_posterior *p, int64_t n, const double *x, const double *v,
                            double *out)
{
    const tw_operator *a = p->a;
    const tw_map *map = p->o.map;
    for (int64_t i = 0; i < n; i++) {
        tw_operator_adjoint(a, v + i * a->outputs, map ? p->measured : out + i * p->dims);
        for (int64_t k = 0; map && k < a->dims; k++)
            p->mapped[2][i * a->dims + k] = (float)p->measured[k];
    }
    if (!map) return;
    enter(p, n, x);
    map->pull_back(map->self, n, p->mapped[0], p->mapped[2], p->mapped[1]);
    for (int64_t k = 0; k < n * p->dims; k++) out[k] = (double)p->mapped[1][k];
}
