/* Sums of Gaussians in the plane. */
#include "tweedie/density.h"

#include <math.h>
#include <string.h>

#include "data/points.h"
#include "tweedie/memory.h"
#include "tweedie/text.h"

typedef struct node {
    double log_weight, mean[2], variance;
} node;

struct tw_density {
    const tw_points_generator *generator;
    node *nodes;
};

static tw_status find(const tw_points_generator **out, const char *name)
{
    tw_status st = TW_OK;
    const char *list[64];
    tw_text names = {0};
    for (int i = 0; i < tw_points_count; i++) {
        if (strcmp(tw_points_table[i]->name, name) == 0) {
            *out = tw_points_table[i];
            goto done;
        }
        if (i < 64) list[i] = tw_points_table[i]->name;
        TW_TRY(tw_text_add(&names, "%s%s", i ? ", " : "", tw_points_table[i]->name));
    }
    TW_TRY(tw_text_add_nearest(&names, name, list, tw_points_count < 64 ? tw_points_count : 64));
    TW_FAIL(TW_EUSAGE, "there is no density '%s'; there are %s", name, names.data);
done:
    tw_text_free(&names);
    return st;
}

tw_status tw_density_create(tw_density **out, const char *name)
{
    tw_status st = TW_OK;
    tw_density *d = NULL;
    const tw_points_generator *g = NULL;
    TW_TRY(find(&g, name));
    TW_TRY(tw_alloc(&d, 1, sizeof *d, "a density"));
    d->generator = g;
    TW_TRY(tw_alloc(&d->nodes, g->nodes, sizeof *d->nodes, "a density"));
    for (int k = 0; k < g->nodes; k++) {
        double weight, std;
        g->node(k, &weight, d->nodes[k].mean, &std);
        d->nodes[k].log_weight = log(weight);
        d->nodes[k].variance = std * std;
    }
    *out = d;
    d = NULL;
done:
    tw_density_destroy(&d);
    return st;
}

void tw_density_destroy(tw_density **density)
{
    tw_density *d = *density;
    if (!d) return;
    tw_free(&d->nodes);
    tw_free(density);
}

/* One pass: sums are kept relative to the largest term so far. */
double tw_density_at(const tw_density *d, double alpha, double sigma, const double x[2],
                     double *score)
{
    double top = -INFINITY, total = 0, s[2] = {0, 0};
    for (int k = 0; k < d->generator->nodes; k++) {
        const node *n = &d->nodes[k];
        const double v = alpha * alpha * n->variance + sigma * sigma,
                     r0 = x[0] - alpha * n->mean[0], r1 = x[1] - alpha * n->mean[1],
                     l = n->log_weight - 0.5 * (r0 * r0 + r1 * r1) / v - log(2 * M_PI * v);
        if (l < top - 50) continue;
        const double shrink = l > top ? exp(top - l) : 1, p = l > top ? 1 : exp(l - top);
        if (l > top) top = l;
        total = total * shrink + p;
        s[0] = s[0] * shrink - p * r0 / v;
        s[1] = s[1] * shrink - p * r1 / v;
    }
    for (int i = 0; score && i < 2; i++) score[i] = s[i] / total;
    return top + log(total);
}

int tw_density_nodes(const tw_density *d)
{
    return d->generator->nodes;
}

void tw_density_node(const tw_density *d, int k, double *weight, double mean[2], double *std)
{
    d->generator->node(k, weight, mean, std);
}

void tw_density_sample(const tw_density *d, uint64_t seed, int64_t i, float point[2])
{
    int32_t label;
    d->generator->generate(seed, i, point, &label);
}
